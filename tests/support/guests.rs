//! Plugins that misbehave, as text.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The committed interface.
const WIT: &str = include_str!("../../runtime/wit/plugin.wit");

/// Memory, and an allocator for arguments that gives what was never used before.
const RUNTIME: &str = r#"
    (memory (export "memory") 16)
    (global $next (mut i32) (i32.const 1024))
    (func (export "cabi_realloc") (param i32) (param i32) (param i32) (param $length i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $length)))
      (local.get $at))
"#;

/// A filter of requests whose hook runs `body`; `data` are data segments.
pub(crate) fn request_filter(data: &str, body: &str) -> Vec<u8> {
    let hook = format!(
        r#"(func (export "strongroom:plugin/request-hook@0.1.0#on-request")
             (param i32) (param i32) (param i32) (param i32) (result i32) {body})"#
    );
    component("request-filter", data, &hook)
}

/// A filter of answers whose hook runs `body`.
pub(crate) fn response_filter(body: &str) -> Vec<u8> {
    let hook = format!(
        r#"(func (export "strongroom:plugin/response-hook@0.1.0#on-response")
             (param i32) (param i32) (result i32) {body})"#
    );
    component("response-filter", "", &hook)
}

/// A filter that leaves nothing of a request.
pub(crate) fn empties() -> Vec<u8> {
    let body = "(i32.store (i32.const 16) (i32.const 0))
                (i32.store (i32.const 20) (i32.const 64))
                (i32.store (i32.const 24) (i32.const 0))
                (i32.const 16)";
    request_filter("", body)
}

fn component(world: &str, data: &str, hook: &str) -> Vec<u8> {
    let mut module = wat::parse_str(format!("(module {RUNTIME} {data} {hook})")).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve.push_str("plugin.wit", WIT).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// A filter that refuses every request with this reason.
pub(crate) fn refuses(reason: &str) -> Vec<u8> {
    let data = format!("(data (i32.const 64) \"{reason}\")");
    let body = format!(
        "(i32.store (i32.const 16) (i32.const 1))
         (i32.store (i32.const 20) (i32.const 64))
         (i32.store (i32.const 24) (i32.const {}))
         (i32.const 16)",
        reason.len()
    );
    request_filter(&data, &body)
}
