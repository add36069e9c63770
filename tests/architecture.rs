//! The rules of docs/architecture.md as tests: which crate may reach what, who depends
//! on whom, where `unsafe` may stand, licences, duplicates, sizes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// Crates that must not be reached, with whatever they pull in, by normal dependencies.
const BANNED: &[(&str, &[&str])] = &[
    ("strongroom-attestation", &["tokio", "hyper", "rustls", "reqwest", "candle-core", "wasmtime"]),
    ("strongroom-channel", &["tokio", "hyper", "rustls", "reqwest", "candle-core", "wasmtime"]),
    ("strongroom-client", &["candle-core", "wasmtime", "redb"]),
    ("strongroom-endorsements", &["candle-core", "wasmtime", "redb"]),
    ("strongroom-enclave-loader", &["candle-core", "wasmtime", "axum"]),
    ("strongroom-broker", &["candle-core", "wasmtime"]),
    ("strongroom-engine", &["wasmtime", "axum", "reqwest", "strongroom-enclave-loader"]),
    ("strongroom-plugins", &["candle-core", "axum", "reqwest", "strongroom-enclave-loader"]),
];

/// The arrows of docs/architecture.md: a crate's direct normal dependencies among ours.
const ARROWS: &[(&str, &[&str])] = &[
    ("strongroom-attestation", &[]),
    ("strongroom-channel", &["strongroom-attestation"]),
    ("strongroom-simulated-platform", &[]),
    ("strongroom-client", &["strongroom-attestation", "strongroom-channel"]),
    ("strongroom-endorsements", &["strongroom-attestation"]),
    ("strongroom-enclave-loader", &["strongroom-attestation", "strongroom-channel"]),
    ("strongroom-broker", &["strongroom-attestation", "strongroom-channel", "strongroom-enclave-loader"]),
    ("strongroom-engine", &[]),
    ("strongroom-plugins", &[]),
    (
        "strongroom-runtime",
        &[
            "strongroom-attestation",
            "strongroom-channel",
            "strongroom-enclave-loader",
            "strongroom-engine",
            "strongroom-plugins",
            "strongroom-simulated-platform",
        ],
    ),
];

/// Source files that may hold `unsafe`, each block with its `SAFETY:`.
const UNSAFE_FILES: &[&str] = &[
    // the kernels: vectors, threads that share slices, mapped memory
    "runtime/engine/src/kernels/amx/bf16.rs",
    "runtime/engine/src/kernels/amx/emulated.rs",
    "runtime/engine/src/kernels/amx/int8.rs",
    "runtime/engine/src/kernels/amx/mod.rs",
    "runtime/engine/src/kernels/amx/rows.rs",
    "runtime/engine/src/kernels/attention.rs",
    "runtime/engine/src/kernels/avx2.rs",
    "runtime/engine/src/kernels/avx512/attention.rs",
    "runtime/engine/src/kernels/avx512/integers.rs",
    "runtime/engine/src/kernels/avx512/mod.rs",
    "runtime/engine/src/kernels/avx512/pairs.rs",
    "runtime/engine/src/kernels/avx512/rounded.rs",
    "runtime/engine/src/kernels/avx512/unpack.rs",
    "runtime/engine/src/kernels/elementwise.rs",
    "runtime/engine/src/kernels/inside.rs",
    "runtime/engine/src/kernels/kv_page.rs",
    "runtime/engine/src/kernels/matmul.rs",
    "runtime/engine/src/kernels/matmul/floats.rs",
    "runtime/engine/src/kernels/matmul/integers.rs",
    "runtime/engine/src/kernels/matmul/pairs.rs",
    "runtime/engine/src/kernels/matmul/tiles.rs",
    "runtime/engine/src/kernels/pack.rs",
    "runtime/engine/src/kernels/pool.rs",
    "runtime/engine/src/kernels/rows.rs",
    "runtime/src/evidence/nvidia/nvml.rs", // a C library, whose safe wrapper panics on a size that the driver names
    "tests/fuzz/src/memory.rs",            // counts what is allocated
];

/// Licences that what ships may have; each alternative of an expression must be covered.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Versions that ship twice, and why that is borne.
const DUPLICATES: &[(&str, &str)] = &[
    ("base64", "tokenizers and reqwest each want their own; ours goes with most of the graph"),
    ("block-buffer", "wasmtime's cranelift is on the previous generation of RustCrypto"),
    ("const-oid", "the same"),
    ("cpufeatures", "the same"),
    ("crypto-common", "the same"),
    ("digest", "the same"),
    ("embedded-io", "postcard names both, for wasmtime"),
    ("getrandom", "candle's and tokenizers' rand is a version behind; ring's, locked for rustls, two"),
    ("hashbrown", "safetensors and gimli are a version behind wasmtime"),
    ("rand", "candle is a version behind"),
    ("rand_core", "the same"),
    ("sha2", "wasmtime's cranelift is on the previous generation of RustCrypto"),
    ("syn", "macros at build time only; nothing of it ships"),
];

/// Files longer than this need a reason in `LONG_FILES`.
const LINES_MAX: usize = 500;
/// Longer files, and why.
const LONG_FILES: &[(&str, &str)] = &[];

#[test]
fn no_crate_reaches_what_it_must_not() {
    let graph = Graph::load();
    for (name, banned) in BANNED {
        let reached = graph.reached(name);
        for ban in *banned {
            assert!(!reached.contains(*ban), "{name} reaches {ban}: docs/architecture.md section 2 forbids it");
        }
    }
}

#[test]
fn dependencies_point_only_as_drawn() {
    let graph = Graph::load();
    for (name, wanted) in ARROWS {
        let found: BTreeSet<&str> =
            graph.direct(name).into_iter().filter(|dependency| dependency.starts_with("strongroom")).collect();
        let wanted: BTreeSet<&str> = wanted.iter().copied().collect();
        let new: Vec<_> = found.difference(&wanted).collect();
        assert!(new.is_empty(), "{name} has new arrows to {new:?}: draw them in docs/architecture.md first");
    }
    for name in graph.names.values().filter(|name| name.starts_with("strongroom-")) {
        assert!(ARROWS.iter().any(|(known, _)| known == name), "{name} is not in the list of arrows");
    }
}

#[test]
fn the_client_alone_links_neither_engine_nor_sandbox() {
    let features = [("client", &["candle-core", "wasmtime", "redb"][..]), ("broker", &["candle-core", "wasmtime"][..])];
    for (feature, banned) in features {
        let linked = linked(&["--no-default-features", "--features", feature]);
        for ban in banned {
            assert!(!linked.contains(*ban), "--features {feature} links {ban}");
        }
    }
}

/// A release image cannot simulate: the crate is not there.
#[test]
fn a_release_image_knows_no_simulation() {
    let simulation = "strongroom-simulated-platform";
    assert!(linked(&[]).contains(simulation), "a development build has it");
    for roles in ["serve", "broker", "client", "serve,broker,client"] {
        let linked = linked(&["--no-default-features", "--features", roles]);
        assert!(linked.contains("strongroom-attestation"), "{roles}: this is not the tree that was asked for");
        assert!(!linked.contains(simulation), "--features {roles} links {simulation}");
    }
}

#[test]
fn unsafe_stands_only_in_the_named_files() {
    for (path, text) in sources() {
        let uses = text.lines().filter(|line| is_unsafe(line)).count();
        let named = UNSAFE_FILES.contains(&path.as_str());
        assert!(uses == 0 || named, "{path} has {uses} unsafe blocks and is not in UNSAFE_FILES");
        if named {
            // A block says why it may; a function, what its callers must see to.
            let reasons = text.matches("SAFETY:").count() + text.matches("/// # Safety").count();
            assert!(reasons >= uses, "{path}: {uses} unsafe blocks and functions, {reasons} reasons");
        }
    }
}

#[test]
fn licences_of_what_ships_are_known() {
    let graph = Graph::load();
    for id in graph.reached_ids("strongroom") {
        let package = &graph.packages[&id];
        let licence = package["license"].as_str().unwrap_or("none");
        let covered = licence.replace('/', " OR ").split(" OR ").any(|alternative| {
            alternative.split(" AND ").all(|part| LICENCES.contains(&part.trim().trim_matches(['(', ')'])))
        });
        assert!(covered, "{} has licence {licence}", package["name"]);
    }
}

#[test]
fn no_version_ships_twice_without_a_reason() {
    let graph = Graph::load();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let reached = graph.reached_ids("strongroom");
    for id in &reached {
        let package = &graph.packages[id];
        let (name, version) = (package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        versions.entry(name).or_default().insert(version);
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let known = DUPLICATES.iter().any(|(known, _)| known == name);
        assert!(known, "{name} ships in versions {versions:?}: agree on one, or add it with a reason");
    }
    for (name, _) in DUPLICATES {
        assert!(versions.get(name).is_some_and(|versions| versions.len() > 1), "{name} is no duplicate any more");
    }
}

#[test]
fn files_hold_one_idea() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        let excused = LONG_FILES.iter().any(|(known, _)| *known == path);
        assert!(lines <= LINES_MAX || excused, "{path} has {lines} lines: what is the second idea?");
    }
}

#[test]
fn the_readme_has_the_map() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for folder in ["attestation/", "enclave-loader/", "runtime/", "examples/", "tests/", "docs/"] {
        assert!(readme.contains(folder), "README.md does not name {folder}");
    }
    let allowed = ["attestation", "enclave-loader", "runtime", "examples", "tests", "docs", "target"];
    for entry in fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() && !name.starts_with('.') {
            assert!(allowed.contains(&name.as_str()), "{name}/ has no place at the top level");
        }
    }
}

/// Names of the crates that the command links with these flags.
fn linked(flags: &[&str]) -> BTreeSet<String> {
    let tree =
        ["tree", "--offline", "--locked", "-p", "strongroom", "-e", "normal", "--prefix", "none", "--format", "{p}"];
    let out = cargo(&[&tree[..], flags].concat());
    out.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The packages and normal dependencies of this workspace, from `cargo metadata`.
struct Graph {
    names: BTreeMap<String, String>,
    packages: BTreeMap<String, Value>,
    edges: BTreeMap<String, Vec<String>>,
}

impl Graph {
    fn load() -> &'static Self {
        static GRAPH: OnceLock<Graph> = OnceLock::new();
        GRAPH.get_or_init(|| {
            let text = cargo(&[
                "metadata",
                "--format-version",
                "1",
                "--offline",
                "--locked",
                "--filter-platform",
                "x86_64-unknown-linux-gnu",
            ]);
            let metadata: Value = serde_json::from_str(&text).unwrap();
            let mut graph = Self { names: BTreeMap::new(), packages: BTreeMap::new(), edges: BTreeMap::new() };
            for package in metadata["packages"].as_array().unwrap() {
                let id = package["id"].as_str().unwrap().to_owned();
                graph.names.insert(id.clone(), package["name"].as_str().unwrap().to_owned());
                graph.packages.insert(id, package.clone());
            }
            for node in metadata["resolve"]["nodes"].as_array().unwrap() {
                let normal = |dependency: &&Value| {
                    dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
                };
                let edges = node["deps"].as_array().unwrap().iter().filter(normal);
                let edges = edges.map(|dependency| dependency["pkg"].as_str().unwrap().to_owned()).collect();
                graph.edges.insert(node["id"].as_str().unwrap().to_owned(), edges);
            }
            graph
        })
    }

    fn id(&self, name: &str) -> &str {
        let found = self.names.iter().find(|(_, known)| known.as_str() == name);
        found.unwrap_or_else(|| panic!("no package {name}")).0
    }

    fn direct(&self, name: &str) -> BTreeSet<&str> {
        self.edges[self.id(name)].iter().map(|id| self.names[id].as_str()).collect()
    }

    fn reached_ids(&self, name: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![self.id(name).to_owned()];
        while let Some(id) = open.pop() {
            if reached.insert(id.clone()) {
                open.extend(self.edges[&id].iter().cloned());
            }
        }
        reached
    }

    fn reached(&self, name: &str) -> BTreeSet<&str> {
        self.reached_ids(name).into_iter().map(|id| self.names[self.id_of(&id)].as_str()).collect()
    }

    fn id_of(&self, id: &str) -> &str {
        self.names.get_key_value(id).unwrap().0
    }
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    assert!(out.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Our Rust sources: path from the root, and text.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["attestation", "enclave-loader", "runtime", "examples", "tests"] {
        collect(&root().join(folder), &mut files);
    }
    assert!(files.len() > 100, "only {} sources found", files.len());
    files
}

fn collect(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let word = concat!("uns", "afe");
    [" {", " fn", " impl", " extern"].iter().any(|after| code.contains(&format!("{word}{after}")))
}
