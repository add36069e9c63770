//! `componentize MODULE COMPONENT`: makes a component of a core Wasm module that carries
//! its interface (as guests of wit-bindgen do), and loads it once as the server would, so
//! that what is written can be served.

use std::error::Error;
use std::process::ExitCode;

use strongroom_plugins::{Grants, Limits, PluginHost};
use wit_component::ComponentEncoder;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, component] = arguments.as_slice() else {
        eprintln!("usage: componentize MODULE COMPONENT");
        return ExitCode::from(2);
    };
    match componentize(module, component) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("componentize: {module}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn componentize(module: &str, component: &str) -> Result<(), Box<dyn Error>> {
    let module = std::fs::read(module)?;
    let encoded = ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| format!("{error:#}"))?;
    PluginHost::new(Limits::default())?.load("check", &encoded, &Grants::none())?;
    std::fs::write(component, encoded)?;
    Ok(())
}
