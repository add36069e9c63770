//! `strongroom-browser-bindgen MODULE.wasm DIRECTORY`: writes the module with its JavaScript and its
//! types, as `strongroom_browser.js`, `.d.ts` and `_bg.wasm`, for a page and for Node alike.
//!
//! The tool of the same purpose on the registry does more, and fetches; this is its library, in the
//! version that the lock names.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, directory] = arguments.as_slice() else {
        eprintln!("wanted: MODULE.wasm DIRECTORY");
        return ExitCode::from(2);
    };
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    let written = bindgen
        .input_path(module)
        .out_name("strongroom_browser")
        .omit_default_module_path(false) // the module lies beside its JavaScript
        .remove_name_section(true)
        .remove_producers_section(true)
        .web(true)
        .and_then(|bindgen| bindgen.typescript(true).generate(directory));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{module}: {error:?}");
            ExitCode::FAILURE
        }
    }
}
