//! Prints the tokens of texts, to compare with other tokenizers. Each line of the input is a JSON
//! string; each line of the output is a JSON object with its `ids` and the text `decoded` of them.
//! `cargo run -p strongroom-engine --example tokenize -- MODEL.gguf|DIRECTORY < TEXTS`

use std::io::BufRead;
use std::path::PathBuf;

use strongroom_engine::{LoadOptions, ModelFiles, PlainDirectory, PlainFile, load};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = PathBuf::from(std::env::args().nth(1).ok_or("wanted: MODEL")?);
    let files: Box<dyn ModelFiles> =
        if path.is_dir() { Box::new(PlainDirectory(path)) } else { Box::new(PlainFile(path)) };
    let loaded = load(files.as_ref(), &LoadOptions::default(), &|_, _| ())?;
    let text = loaded.text();
    for line in std::io::stdin().lock().lines() {
        let ids = text.encode(&serde_json::from_str::<String>(&line?)?)?;
        println!("{}", serde_json::json!({"ids": ids, "decoded": text.decode(&ids)}));
    }
    Ok(())
}
