//! Filters written as text, so that tests need no compiler for Wasm.

use strongroom_plugins::{ChatRequest, Grants, Limits, Message, Plugin, PluginError, PluginHost};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The interface that is committed.
pub(crate) const WIT: &str = include_str!("../../../wit/plugin.wit");

/// Small and quick to use up.
pub(crate) const LIMITS: Limits = Limits { memory_bytes: 16 << 20, fuel: 20_000_000, output_bytes: 1 << 20 };

/// What compilers add: memory, and an allocator for arguments (here one that never frees).
const RUNTIME: &str = r#"
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "cabi_realloc") (param $old i32) (param $old_len i32) (param i32) (param $len i32)
      (result i32)
      (local $at i32)
      (if (i32.le_u (local.get $len) (local.get $old_len)) (then (return (local.get $old))))
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $len)))
      (loop $more
        (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
          (then
            (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
            (br $more))))
      (memory.copy (local.get $at) (local.get $old) (local.get $old_len))
      (local.get $at))
    ;; Fills in `result<...>` at address 16: case, pointer, length.
    (func $answer (param $case i32) (param $pointer i32) (param $length i32) (result i32)
      (i32.store (i32.const 16) (local.get $case))
      (i32.store (i32.const 20) (local.get $pointer))
      (i32.store (i32.const 24) (local.get $length))
      (i32.const 16))
"#;

/// A component of `world` from the committed interface; `body` is core Wasm text, put
/// before [`RUNTIME`].
pub(crate) fn guest(world: &str, body: &str) -> Vec<u8> {
    component(WIT, world, body, StringEncoding::UTF8)
}

/// As [`guest`], with an interface and a string encoding of the test's own.
pub(crate) fn component(wit: &str, world: &str, body: &str, encoding: StringEncoding) -> Vec<u8> {
    let mut module = wat::parse_str(format!("(module {body} {RUNTIME})")).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve.push_str("plugin.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, encoding, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// A filter of answers whose hook runs `body`, with `$text` and `$length` at hand.
pub(crate) fn response_guest(body: &str) -> Vec<u8> {
    guest("response-filter", &response_hook(body))
}

/// The hook itself, for filters that add something beside it.
pub(crate) fn response_hook(body: &str) -> String {
    format!(
        r#"(func (export "strongroom:plugin/response-hook@0.1.0#on-response")
             (param $text i32) (param $length i32) (result i32) {body})"#
    )
}

/// The hook for requests, with `$list` and `$count` at hand.
pub(crate) fn request_hook(body: &str) -> String {
    format!(
        r#"(func (export "strongroom:plugin/request-hook@0.1.0#on-request")
             (param $model i32) (param $model_length i32) (param $list i32) (param $count i32)
             (result i32) {body})"#
    )
}

/// Hands answers back as they are.
pub(crate) const ECHO_TEXT: &str = "(call $answer (i32.const 0) (local.get $text) (local.get $length))";
/// Hands requests back as they are.
pub(crate) const ECHO_MESSAGES: &str = "(call $answer (i32.const 0) (local.get $list) (local.get $count))";

pub(crate) fn load(wasm: &[u8]) -> Result<Plugin, PluginError> {
    load_with(LIMITS, wasm)
}

pub(crate) fn load_with(limits: Limits, wasm: &[u8]) -> Result<Plugin, PluginError> {
    PluginHost::new(limits).unwrap().load("tested", wasm, &Grants::none())
}

/// What a filter of answers, with this hook, says to a short text.
pub(crate) fn respond(body: &str) -> Result<String, PluginError> {
    load(&response_guest(body)).unwrap().on_response("a text".to_owned())
}

pub(crate) fn chat(turns: &[(&str, &str)]) -> ChatRequest {
    let message = |(role, content): &(&str, &str)| Message { role: (*role).to_owned(), content: (*content).to_owned() };
    ChatRequest { model: "small".to_owned(), messages: turns.iter().map(message).collect() }
}
