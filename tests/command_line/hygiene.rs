//! Promise 3 of docs/architecture.md for a process that holds weights: what a host finds of them outside
//! the process, while it runs, when it is made to dump core, and after its end, is nothing.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::deployment::Deployment;
use super::processes::prepared;
use super::tenant::{SERVE, Tenant};

/// In the weights: numbers like any others to the engine.
const CANARY: &[u8; 32] = b"canary-in-the-weights-e07b2c91-!";

/// The generated model with canaries over the weights at its end, which are packed in eight bits.
fn with_canaries(mut model: Vec<u8>) -> Vec<u8> {
    let end = model.len();
    model[end - 64 * CANARY.len()..].as_chunks_mut().0.fill(*CANARY);
    model
}

/// Every file below `folder` that holds `wanted`.
fn holding(folder: &Path, wanted: &[u8], found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holding(&path, wanted, found);
        } else if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            if bytes.windows(wanted.len()).any(|window| window == wanted) {
                found.push(path.display().to_string());
            }
        }
    }
}

/// Names of all that is below `folder`, but for what a broker keeps.
fn names(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if name == "broker" {
            continue;
        }
        if entry.path().is_dir() {
            names(&entry.path(), &format!("{name}/"), found);
        }
        found.push(name);
    }
    found.sort();
}

/// The soft and the hard limit on core files of a process.
fn core_limits(id: u32) -> Vec<String> {
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    line.split_whitespace().take(2).map(str::to_owned).collect()
}

/// Makes `child` abort. A process that is undumpable has no core dumped, whoever would take it: the limit
/// alone does not keep one from a program that the system pipes cores to.
fn crashes_without_a_core(child: &mut Child) {
    assert_eq!(core_limits(child.id()), ["0", "0"], "no core, and no way back");
    let killed = Command::new("kill").args(["-ABRT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = child.wait().unwrap();
    assert!(status.signal().is_some() && !status.core_dumped(), "{status}");
}

/// The program with `arguments` in `folder`, by a shell that allows cores and sends what the program warns
/// of to a file.
fn allowed_to_dump(folder: &Path, temporary: &Path, arguments: &[&str]) -> Command {
    let script = "ulimit -c unlimited 2>/dev/null; exec \"$0\" \"$@\" 2> warned.txt";
    let mut command = prepared(Command::new("/bin/sh"), folder);
    command.args(["-c", script, env!("CARGO_BIN_EXE_strongroom")]).args(arguments);
    command.env("TMPDIR", temporary).stderr(Stdio::null());
    command
}

#[test]
fn a_server_that_is_made_to_crash_leaves_nothing_of_its_weights() {
    let deployment = Deployment::with(with_canaries);
    let scene = &deployment.tenant.scene;
    let (folder, temporary) = (scene.path(""), scene.path("temporary"));
    fs::create_dir(&temporary).unwrap();
    // The plain model is the tenant's; the host has what follows from it.
    let plain = scene.read("model.gguf");
    assert!(plain.windows(CANARY.len()).any(|window| window == CANARY), "the search finds what is there");
    fs::remove_file(scene.path("model.gguf")).unwrap();
    let mut before = Vec::new();
    names(&folder, "", &mut before);

    let mut command = allowed_to_dump(&folder, &temporary, &[&["--json"], &SERVE[..]].concat());
    let mut server = command.spawn().unwrap();
    let mut said = BufReader::new(server.stdout.take().unwrap());
    let mut text = String::new();
    loop {
        let mut line = String::new();
        let read = said.read_line(&mut line).unwrap();
        assert!(read > 0, "{text}{}", String::from_utf8_lossy(&scene.read("warned.txt")));
        text.push_str(&line);
        if serde_json::from_str::<Value>(&line).unwrap()["event"] == "ready" {
            break;
        }
    }

    // Memory maps of weights or of the sealed model would be files that the host can change.
    let maps = fs::read_to_string(format!("/proc/{}/maps", server.id())).unwrap_or_default();
    assert!(!maps.contains("model.sealed") && !maps.contains("/temporary"), "{maps}");
    crashes_without_a_core(&mut server);
    said.read_to_string(&mut text).unwrap();
    scene.write("said.txt", text);

    let mut after = Vec::new();
    names(&folder, "", &mut after);
    let new: Vec<&String> = after.iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(new, ["said.txt", "warned.txt"], "a server that was killed leaves what it said");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    let hexadecimal = hex::encode(CANARY);
    for wanted in [&CANARY[..], hexadecimal.as_bytes()] {
        let mut found = Vec::new();
        holding(&folder, wanted, &mut found);
        assert!(found.is_empty(), "weights are in {found:?}");
    }
}

#[test]
fn sealing_leaves_nothing_but_the_sealed_model() {
    let tenant = Tenant::with(with_canaries);
    let scene = &tenant.scene;
    let (folder, temporary) = (scene.path(""), scene.path("temporary"));
    fs::create_dir(&temporary).unwrap();
    let mut before = Vec::new();
    names(&folder, "", &mut before);
    let seal = Tenant::seal("new.sealed", &["--name", "tiny", "--development", "--version", "2"]);

    // It waits for its publisher's key, and is protected before it has it.
    let fifo = scene.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let waiting: Vec<&str> = seal.iter().map(|word| if *word == "publisher.key" { "fifo" } else { word }).collect();
    let mut sealer = allowed_to_dump(&folder, &temporary, &waiting).spawn().unwrap();
    let writer = File::options().write(true).open(&fifo).unwrap();
    crashes_without_a_core(&mut sealer);
    drop(writer);
    fs::remove_file(&fifo).unwrap();

    let output = allowed_to_dump(&folder, &temporary, &seal).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&scene.read("warned.txt")));
    fs::remove_file(scene.path("warned.txt")).unwrap();
    let mut after = Vec::new();
    names(&folder, "", &mut after);
    after.retain(|name| !before.contains(name) && !name.starts_with("new.sealed"));
    assert!(after.is_empty(), "sealing left {after:?}");
    let mut found = Vec::new();
    holding(&folder, CANARY, &mut found);
    assert_eq!(found, [scene.path("model.gguf").display().to_string()]);
    assert!(!output.stdout.windows(CANARY.len()).any(|window| window == CANARY));
}
