//! Sources that are odd or that change, and disks that are full: each is sealed right, or refused with
//! its code, and can be sealed afterwards.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use strongroom_enclave_loader::{Progress, SealError, SealedSummary, seal};

use crate::fixture::{CHUNK, Tenant, Workshop, any_file_holds, bytes, files_below, read_all};
use crate::resume::interrupt;

fn seal_once(workshop: &Workshop) -> Result<SealedSummary, SealError> {
    seal(&workshop.source(), &workshop.sealed(), &Tenant::new(1).options(1), &|_| ())
}

fn refusal(workshop: &Workshop) -> SealError {
    let result = seal_once(workshop);
    assert!(!workshop.sealed().exists());
    result.expect_err("refused")
}

fn opens(workshop: &Workshop, files: &[(&str, &[u8])]) {
    let model = Tenant::new(1).open(&workshop.sealed()).expect("opens");
    assert_eq!(model.files().len(), files.len());
    for (path, content) in files {
        assert!(read_all(&model, path) == *content, "{path:?}");
    }
    model.verify_files(&|_| ()).expect("verifies");
}

/// A file that cannot be written to for want of room: what the kernel says on a full disk.
const FULL: &str = "/dev/full";

#[test]
fn a_full_disk_is_told_and_a_later_run_goes_on() {
    let tenant = Tenant::new(1);
    let content = bytes(3, 5 * CHUNK as usize);
    for name in ["keys.new", "checkpoint.new", "blobs/0002.bin", "manifest.new"] {
        let workshop = Workshop::new(&[("model.gguf", &content)]);
        interrupt(&workshop, &tenant, 2);
        let path = workshop.partial().join(name);
        let _ = fs::remove_file(&path);
        symlink(FULL, &path).expect("links");
        let error = refusal(&workshop);
        assert!(matches!(&error, SealError::Io { kind: std::io::ErrorKind::StorageFull, .. }), "{name}: {error:?}");
        assert!(error.to_string().contains(name.split('.').next().expect("a name")), "{error}");
        fs::remove_file(&path).expect("removes");
        assert!(seal_once(&workshop).expect("seals").runs >= 2, "{name}: it went on");
        opens(&workshop, &[("model.gguf", &content)]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    // Reading the start of one's own memory is an I/O error for everybody, root too.
    let workshop = Workshop::new(&[]);
    let result = seal(Path::new("/proc/self/mem"), &workshop.sealed(), &Tenant::new(1).options(1), &|_| ());
    let error = result.expect_err("refused");
    assert!(error.code() == "SEAL_IO" && error.to_string().contains("/proc/self/mem"), "{error}");

    let workshop = Workshop::new(&[("config.json", b"{}"), ("model.gguf", b"GGUF")]);
    let path = workshop.source().join("model.gguf");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("forbids");
    // Root may read it all the same.
    match File::open(&path) {
        Ok(_) => opens_after(&workshop),
        Err(_) => assert_eq!(refusal(&workshop).code(), "SEAL_IO"),
    }
}

fn opens_after(workshop: &Workshop) {
    seal_once(workshop).expect("seals");
    opens(workshop, &[("config.json", b"{}"), ("model.gguf", b"GGUF")]);
}

/// What may happen to a source while it is sealed.
type Change = fn(&Path);

#[test]
fn a_file_that_changes_grows_shrinks_or_is_replaced_is_told_and_can_be_sealed_later() {
    let changes: [(&str, Change); 6] = [
        ("one byte, and the old times", |path| {
            let before = fs::metadata(path).and_then(|file| file.modified()).expect("a time");
            let mut file = File::options().write(true).open(path).expect("opens");
            file.seek(SeekFrom::Start(3)).and_then(|_| file.write_all(&[0])).expect("writes");
            file.set_modified(before).expect("pretends");
        }),
        ("grows", |path| File::options().append(true).open(path).and_then(|mut f| f.write_all(b"x")).expect("grows")),
        ("shrinks", |path| File::options().write(true).open(path).and_then(|f| f.set_len(70_000)).expect("shrinks")),
        ("is emptied", |path| drop(File::create(path).expect("empties"))),
        ("is replaced by its own copy", |path| {
            fs::copy(path, path.with_extension("copy")).expect("copies");
            fs::rename(path.with_extension("copy"), path).expect("renames");
        }),
        ("becomes a link", |path| {
            fs::rename(path, path.with_file_name(".elsewhere")).expect("renames");
            symlink(".elsewhere", path).expect("links");
        }),
    ];
    for (what, change) in changes {
        for at in [0, 2 * CHUNK, 5 * CHUNK] {
            let content = bytes(3, 5 * CHUNK as usize);
            let workshop = Workshop::new(&[("model.gguf", &content)]);
            let path = workshop.source().join("model.gguf");
            let changed = std::cell::Cell::new(false);
            let progress = |progress: Progress| {
                if progress.done >= at && !changed.replace(true) {
                    change(&path);
                }
            };
            let result = seal(&workshop.source(), &workshop.sealed(), &Tenant::new(1).options(1), &progress);
            let code = result.map_err(|error| error.code());
            assert!(matches!(code, Err("SEAL_SOURCE_CHANGED" | "SEAL_SYMLINK")), "{what} at {at}: {code:?}");
            assert!(!workshop.sealed().exists());
            if !path.is_symlink() {
                assert_eq!(seal_once(&workshop).expect("seals").runs, 1, "{what}: nothing of before is kept");
                opens(&workshop, &[("model.gguf", &fs::read(&path).expect("reads"))]);
            }
        }
    }
}

#[test]
fn a_file_that_vanishes_is_named() {
    let workshop = Workshop::new(&[("model.gguf", &bytes(3, 5 * CHUNK as usize))]);
    let path = workshop.source().join("model.gguf");
    let vanish = |progress: Progress| {
        if progress.done == 2 * CHUNK {
            let _ = fs::remove_file(&path);
        }
    };
    let result = seal(&workshop.source(), &workshop.sealed(), &Tenant::new(1).options(1), &vanish);
    let error = result.expect_err("refused");
    assert!(error.code() == "SEAL_IO" && error.to_string().contains("model.gguf"), "{error}");
}

#[test]
fn what_is_no_file_is_refused_without_being_opened() {
    let workshop = Workshop::new(&[("config.json", b"{}")]);
    // Opening it would wait for a writer.
    let fifo = workshop.source().join("model.gguf");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("runs mkfifo").success());
    assert_eq!(refusal(&workshop).code(), "SEAL_NOT_A_FILE");
    for device in ["/dev/zero", "/dev/null", FULL] {
        let result = seal(Path::new(device), &workshop.sealed(), &Tenant::new(1).options(1), &|_| ());
        assert_eq!(result.map_err(|error| error.code()), Err("SEAL_NOT_A_FILE"), "{device}");
    }
    let socket = Workshop::new(&[("config.json", b"{}")]);
    let _listener = std::os::unix::net::UnixListener::bind(socket.source().join("socket")).expect("binds");
    assert_eq!(refusal(&socket).code(), "SEAL_NOT_A_FILE");
}

#[test]
fn directories_in_a_loop_are_refused_as_the_link_that_makes_it() {
    let workshop = Workshop::new(&[("a/b/config.json", b"{}")]);
    symlink("..", workshop.source().join("a/b/up")).expect("links");
    assert_eq!(refusal(&workshop).code(), "SEAL_SYMLINK");
    let workshop = Workshop::new(&[("config.json", b"{}")]);
    symlink("itself", workshop.source().join("itself")).expect("links");
    assert_eq!(refusal(&workshop).code(), "SEAL_SYMLINK");
    // The source itself is no exception.
    let workshop = Workshop::new(&[("config.json", b"{}")]);
    let link = workshop.source().with_file_name("link");
    symlink("source", &link).expect("links");
    let result = seal(&link, &workshop.sealed(), &Tenant::new(1).options(1), &|_| ());
    assert_eq!(result.map_err(|error| error.code()), Err("SEAL_SYMLINK"));
}

#[test]
fn a_destination_inside_the_source_is_refused_before_anything_is_written() {
    let workshop = Workshop::new(&[("a/config.json", b"{}")]);
    symlink("source", workshop.source().with_file_name("link")).expect("links");
    for inside in ["source/sealed", "source/a/sealed", "source/new/sealed", "link/sealed", "source/a/../sealed"] {
        let destination = workshop.source().with_file_name(inside);
        let result = seal(&workshop.source(), &destination, &Tenant::new(1).options(1), &|_| ());
        assert_eq!(result.map_err(|error| error.code()), Err("SEAL_OPTIONS"), "{inside}");
    }
    assert_eq!(files_below(&workshop.source()).len(), 1);
    // Beside a file is not inside it.
    let destination = workshop.source().join("a/sealed");
    let file = workshop.source().join("a/config.json");
    seal(&file, &destination, &Tenant::new(1).options(1), &|_| ()).expect("seals");
}

#[test]
fn empty_files_come_back_empty_wherever_they_stand() {
    let files: [(&str, &[u8]); 4] = [("a", b""), ("b", b"b"), ("c", b""), ("d", b"")];
    let workshop = Workshop::new(&files);
    seal_once(&workshop).expect("seals");
    opens(&workshop, &files);
    let only_empty = Workshop::new(&[("a", b"")]);
    assert_eq!(seal_once(&only_empty).expect("seals").bytes, 4_096);
    opens(&only_empty, &[("a", b"")]);
}

#[test]
fn odd_names_come_back_and_impossible_ones_are_refused() {
    let long = format!("{}.json", "n".repeat(250));
    let directory = "d".repeat(250);
    let deep = [&directory, &directory, &directory, long.as_str()].join("/");
    let files: Vec<(&str, &[u8])> = vec![
        (" leading and trailing ", b"1"),
        ("'single' \"double\" `back`", b"2"),
        ("$(touch x);*?[a]#%", b"3"),
        ("-rf", b"4"),
        ("Grüße/模型/🔐.json", b"5"),
        ("e\u{301} and \u{e9} differ", b"6"),
        (&long, b"7"),
        (&deep, b"8"),
    ];
    let workshop = Workshop::new(&files);
    seal_once(&workshop).expect("seals");
    opens(&workshop, &files);
    assert!(!any_file_holds(&workshop.sealed(), "模型".as_bytes()) && !any_file_holds(&workshop.sealed(), b"touch x"));

    let too_deep = format!("{directory}/{deep}");
    for name in ["line\nbreak", "\u{1b}[31mred", "back\\slash", "tab\there", "del\u{7f}", &too_deep] {
        let workshop = Workshop::new(&[("config.json", b"{}"), (name, b"x")]);
        let error = refusal(&workshop);
        assert_eq!(error.code(), "SEAL_FILE_NAME", "{name:?}");
        assert!(!error.to_string().chars().any(char::is_control), "{name:?} is shown as it is");
    }
    let workshop = Workshop::new(&[("config.json", b"{}")]);
    let not_utf8: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff\xfe");
    fs::write(workshop.source().join(not_utf8), b"x").expect("writes");
    assert_eq!(refusal(&workshop).code(), "SEAL_FILE_NAME");
}

#[test]
fn ten_thousand_small_files_come_back() {
    // Those of a few bytes take a chunk each; most are empty here, so that the test writes 65 MB.
    small_files_come_back(|number| if number % 10 == 0 { number.to_string() } else { String::new() });
}

#[test]
#[ignore = "writes 655 MB"]
fn ten_thousand_small_files_with_content_come_back() {
    small_files_come_back(|number| number.to_string());
}

fn small_files_come_back(content: fn(u32) -> String) {
    let workshop = Workshop::new(&[]);
    let path = |number: u32| format!("{:02}/{number}.json", number % 100);
    for number in 0..10_000 {
        let location = workshop.source().join(path(number));
        fs::create_dir_all(location.parent().expect("a parent")).expect("creates");
        fs::write(location, content(number)).expect("writes");
    }
    let tenant = Tenant::new(1);
    let summary = workshop.seal(&tenant.options(4_096));
    assert_eq!(summary.files, 10_000);
    let model = tenant.open(&workshop.sealed()).expect("opens");
    for number in (0..10_000).step_by(7) {
        assert_eq!(read_all(&model, &path(number)), content(number).as_bytes());
    }
}

/// A source of 5 GiB that takes no room; what is sealed from it does.
#[test]
#[ignore = "writes 5 GiB"]
fn a_sparse_file_beyond_4_gib_comes_back() {
    const LEN: u64 = 5 << 30;
    let workshop = Workshop::new(&[("model.gguf", b"GGUF")]);
    let mut file = File::options().write(true).open(workshop.source().join("model.gguf")).expect("opens");
    file.set_len(LEN).expect("grows");
    for at in [u64::from(u32::MAX) - 3, LEN - 8] {
        file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(b"here it")).expect("writes");
    }
    drop(file);
    let tenant = Tenant::new(1);
    let mut options = tenant.options(1);
    (options.chunk_log2, options.blob_bytes) = (20, 1 << 30);
    let summary = workshop.seal(&options);
    assert!(summary.bytes >= LEN);
    let model = tenant.open(&workshop.sealed()).expect("opens");
    let mut reader = model.reader("model.gguf").expect("the file");
    for (at, wanted) in
        [(0, *b"GGUF\0\0\0"), (u64::from(u32::MAX) - 3, *b"here it"), (3 << 30, [0; 7]), (LEN - 8, *b"here it")]
    {
        let mut found = [1; 7];
        reader.seek(SeekFrom::Start(at)).expect("seeks");
        reader.read_exact(&mut found).expect("reads");
        assert_eq!(found, wanted, "at {at}");
    }
    model.verify_files(&|_| ()).expect("verifies");
}
