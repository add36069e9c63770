//! `strongroom demo`, where it ends before it begins.

use std::fs;

use serde::Deserialize;

use super::scene::Scene;

#[derive(Deserialize)]
struct Wanted {
    file: String,
    bytes: u64,
}

/// A download that broke off, or that is not the model, is named and left alone.
#[test]
fn a_wrong_model_in_the_cache_is_neither_used_nor_removed() {
    let mut scene = Scene::new();
    let wanted: Wanted = toml::from_str(include_str!("../../examples/demo/model.toml")).unwrap();
    fs::create_dir(scene.path("cache")).unwrap();
    let file = format!("cache/{}", wanted.file);
    scene.write(&file, b"half of it");
    assert_eq!(scene.show(&["demo", "--cache", "cache"]).exit, 4);
    assert_eq!(scene.read(&file), b"half of it");

    // The right length, and other bytes; a file with a hole takes no disk.
    fs::File::create(scene.path(&file)).unwrap().set_len(wanted.bytes).unwrap();
    assert_eq!(scene.show(&["demo", "--cache", "cache"]).exit, 4);
    assert_eq!(fs::metadata(scene.path(&file)).unwrap().len(), wanted.bytes);
    assert_eq!(fs::read_dir(scene.path("cache")).unwrap().count(), 1, "the file is alone in the cache");
    scene.agrees_with("demo-wrong-model");
}

#[test]
fn a_model_that_is_not_there() {
    let mut scene = Scene::new();
    assert_eq!(scene.show(&["demo", "--model", "none.gguf"]).exit, 1);
    assert_eq!(scene.show(&["demo", "--model", "none.gguf", "--offline"]).exit, 2);
    scene.agrees_with("demo-no-model");
}
