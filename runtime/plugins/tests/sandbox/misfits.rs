//! Components that are refused when they are loaded.

use strongroom_plugins::{Grants, PluginError, PluginHost};
use wit_component::StringEncoding;

use crate::guests::{ECHO_TEXT, LIMITS, component, guest, load, response_guest, response_hook};

fn refusal(wasm: &[u8]) -> PluginError {
    load(wasm).unwrap_err()
}

/// A component in component text: what no compiler for this interface would make.
fn text(component: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {component})")).unwrap()
}

#[test]
fn a_clock_is_not_given() {
    let wasm = text(r#"(import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result u64)))))"#);
    assert_eq!(refusal(&wasm), PluginError::ImportDenied { name: "wasi:clocks/monotonic-clock@0.2.0".into() });
}

#[test]
fn an_import_beside_the_right_exports_is_denied() {
    let wit = "package strongroom:plugin@0.1.0;
        interface response-hook { on-response: func(text: string) -> result<string, string>; }
        world greedy { import fetch: func(url: string) -> string; export response-hook; }";
    let fetch = r#"(import "$root" "fetch" (func (param i32 i32 i32)))"#;
    let body = format!("{fetch} {}", response_hook(ECHO_TEXT));
    let refused = refusal(&component(wit, "greedy", &body, StringEncoding::UTF8));
    assert_eq!(refused, PluginError::ImportDenied { name: "fetch".into() });
    assert!(refused.to_string().contains("\"fetch\""), "{refused}");
}

#[test]
fn a_component_of_no_world_exports_no_hook() {
    assert_eq!(refusal(&text("")), PluginError::MissingExport);
}

#[test]
fn another_world_is_refused() {
    let wit = "package other:thing; world w { export run: func(); }";
    let wasm = component(wit, "w", r#"(func (export "run"))"#, StringEncoding::UTF8);
    assert_eq!(refusal(&wasm), PluginError::UnknownExport { name: "run".into() });
}

/// A filter written for a later interface must not be loaded with its newest hook unused.
#[test]
fn a_later_version_of_the_interface_is_refused() {
    let wit = "package strongroom:plugin@0.2.0;
        interface response-hook { on-response: func(text: string) -> result<string, string>; }
        world response-filter { export response-hook; }";
    let body = response_hook(ECHO_TEXT).replace("@0.1.0", "@0.2.0");
    let wasm = component(wit, "response-filter", &body, StringEncoding::UTF8);
    let name = "strongroom:plugin/response-hook@0.2.0".into();
    assert_eq!(refusal(&wasm), PluginError::UnknownExport { name });
}

#[test]
fn a_hook_of_another_type_is_refused() {
    let wit = "package strongroom:plugin@0.1.0;
        interface response-hook { on-response: func(text: string) -> string; }
        world response-filter { export response-hook; }";
    let wasm = component(wit, "response-filter", &response_hook("(i32.const 16)"), StringEncoding::UTF8);
    assert!(matches!(refusal(&wasm), PluginError::WrongType { .. }));
}

#[test]
fn a_hook_without_its_function_is_refused() {
    let wasm = text(r#"(instance $empty) (export "strongroom:plugin/request-hook@0.1.0" (instance $empty))"#);
    assert!(matches!(refusal(&wasm), PluginError::WrongType { .. }));
}

#[test]
fn a_core_module_is_not_a_component() {
    assert!(matches!(refusal(&wat::parse_str("(module)").unwrap()), PluginError::Malformed { .. }));
}

#[test]
fn text_and_noise_are_malformed() {
    for bytes in [&b""[..], b"(component)", b"\0asm", &[0xff; 64]] {
        assert!(matches!(refusal(bytes), PluginError::Malformed { .. }), "{bytes:?}");
    }
}

/// Cut anywhere, the component is refused. The one exception: the notes of the tools that
/// made it stand last, and without some of them it is whole, and another component.
#[test]
fn every_truncation_is_refused() {
    let whole = response_guest(ECHO_TEXT);
    let host = PluginHost::new(LIMITS).unwrap();
    for length in 0..whole.len() {
        let (kept, lost) = whole.split_at(length);
        if let Ok(plugin) = host.load("cut", kept, &Grants::none()) {
            assert!(are_notes(lost), "{length} of {} bytes were accepted", whole.len());
            assert_ne!(plugin.digest(), crate::redact::sha256(&whole));
            assert_eq!(plugin.on_response("x".to_owned()).as_deref(), Ok("x"));
        }
    }
}

/// Whether `bytes` are whole custom sections: each is a zero, a length in LEB128, and that
/// many bytes.
fn are_notes(mut bytes: &[u8]) -> bool {
    while let Some((&section, rest)) = bytes.split_first() {
        let Some(last) = rest.iter().position(|byte| byte & 0x80 == 0) else {
            return false;
        };
        let length = rest[..=last].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
        match rest[last + 1..].split_at_checked(length) {
            Some((_, after)) if section == 0 => bytes = after,
            _ => return false,
        }
    }
    true
}

#[test]
fn a_component_that_starts_too_big_is_refused() {
    let wasm = text(r"(core module $m (memory 1000)) (core instance (instantiate $m))");
    let refused = refusal(&wasm);
    assert!(matches!(refused, PluginError::Malformed { .. } | PluginError::OutOfMemory { .. }), "{refused}");
}

#[test]
fn a_component_with_a_thousand_parts_is_refused() {
    let parts = "(core instance (instantiate $m))".repeat(1000);
    let wasm = text(&format!("(core module $m (memory 1)) {parts}"));
    assert!(matches!(refusal(&wasm), PluginError::Malformed { .. }));
}

#[test]
fn a_start_that_never_ends_is_found_at_load() {
    let body = format!("(func $start (loop $again (br $again))) (start $start) {}", response_hook(ECHO_TEXT));
    assert_eq!(refusal(&guest("response-filter", &body)), PluginError::OutOfFuel { fuel: LIMITS.fuel });
}
