//! Filters that attack the host. Each call ends with its own cause, and the next call of
//! the same plugin is none the worse.

use strongroom_plugins::{Limits, PluginError};
use wit_component::StringEncoding;

use crate::guests::{
    ECHO_TEXT, LIMITS, WIT, chat, component, guest, load, load_with, request_hook, respond, response_guest,
    response_hook,
};

#[test]
fn trap() {
    let ended = respond("unreachable").unwrap_err();
    assert!(matches!(&ended, PluginError::Trap { cause } if cause.contains("unreachable")), "{ended}");
    let ended = respond("(i32.div_u (i32.const 1) (i32.const 0))").unwrap_err();
    assert!(matches!(&ended, PluginError::Trap { cause } if cause.contains("divide by zero")), "{ended}");
    let ended = respond("(i32.load (i32.const -4))").unwrap_err();
    assert!(matches!(&ended, PluginError::Trap { cause } if cause.contains("out of bounds")), "{ended}");
}

#[test]
fn infinite_loop() {
    assert_eq!(respond("(loop $again (br $again)) unreachable"), Err(PluginError::OutOfFuel { fuel: LIMITS.fuel }));
}

/// One instruction that moves a megabyte counts as a megabyte of work.
#[test]
fn loop_of_bulk_copies() {
    let copies = "(drop (memory.grow (i32.const 32)))
        (loop $again
          (memory.copy (i32.const 0) (i32.const 1048576) (i32.const 1048576))
          (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576))
          (br $again))
        unreachable";
    assert_eq!(respond(copies), Err(PluginError::OutOfFuel { fuel: LIMITS.fuel }));
}

#[test]
fn memory_bomb() {
    let bomb = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    assert_eq!(respond(bomb), Err(PluginError::OutOfMemory { memory_bytes: LIMITS.memory_bytes }));
}

#[test]
fn input_beyond_the_memory() {
    let plugin = load(&response_guest(ECHO_TEXT)).unwrap();
    assert_eq!(
        plugin.on_response("x".repeat(LIMITS.memory_bytes)),
        Err(PluginError::OutOfMemory { memory_bytes: LIMITS.memory_bytes })
    );
}

#[test]
fn deep_recursion() {
    let deep = format!(
        "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1))) {}",
        response_hook("(call $deep (i32.const 0))")
    );
    let plugin = load(&guest("response-filter", &deep)).unwrap();
    assert_eq!(plugin.on_response(String::new()), Err(PluginError::StackExhausted));
}

#[test]
fn huge_output() {
    let huge = "(drop (memory.grow (i32.const 64)))
        (call $answer (i32.const 0) (i32.const 0) (i32.const 2000000))";
    assert_eq!(respond(huge), Err(PluginError::TooLarge { output_bytes: LIMITS.output_bytes }));
}

#[test]
fn huge_refusal() {
    let huge = "(drop (memory.grow (i32.const 64)))
        (call $answer (i32.const 1) (i32.const 0) (i32.const 2000000))";
    assert_eq!(respond(huge), Err(PluginError::TooLarge { output_bytes: LIMITS.output_bytes }));
}

/// Sixteen bytes name almost a megabyte, sixty thousand times over: 54 GB, were it copied.
#[test]
fn forged_list_of_one_text() {
    let forged = "(local $i i32)
        (drop (memory.grow (i32.const 64)))
        (loop $more
          (i32.store offset=1048580 (local.get $i) (i32.const 0))
          (i32.store offset=1048584 (local.get $i) (i32.const 65536))
          (i32.store offset=1048588 (local.get $i) (i32.const 900000))
          (local.set $i (i32.add (local.get $i) (i32.const 16)))
          (br_if $more (i32.lt_u (local.get $i) (i32.const 960000))))
        (call $answer (i32.const 0) (i32.const 1048576) (i32.const 60000))";
    let plugin =
        load_with(Limits { output_bytes: 8 << 20, ..LIMITS }, &guest("request-filter", &request_hook(forged))).unwrap();
    assert_eq!(plugin.on_request(chat(&[("user", "x")])), Err(PluginError::TooLarge { output_bytes: 8 << 20 }));
}

/// Two bytes in the guest's UTF-16 become three in the host's UTF-8.
#[test]
fn output_that_grows_on_the_way() {
    let limits = Limits { output_bytes: 100, ..LIMITS };
    let wasm = component(WIT, "response-filter", &response_hook(ECHO_TEXT), StringEncoding::UTF16);
    let plugin = load_with(limits, &wasm).unwrap();
    let fits = "世".repeat(30);
    assert_eq!(plugin.on_response(fits.clone()), Ok(fits));
    assert_eq!(plugin.on_response("世".repeat(40)), Err(PluginError::TooLarge { output_bytes: 100 }));
}

#[test]
fn output_outside_the_memory() {
    assert_eq!(
        respond("(call $answer (i32.const 0) (i32.const -16) (i32.const 64))"),
        Err(PluginError::MalformedOutput)
    );
    assert_eq!(respond("(i32.const -8)"), Err(PluginError::MalformedOutput));
}

#[test]
fn output_that_is_not_utf_8() {
    let bad = "(i32.store (i32.const 100) (i32.const -1)) (call $answer (i32.const 0) (i32.const 100) (i32.const 4))";
    assert_eq!(respond(bad), Err(PluginError::MalformedOutput));
}

#[test]
fn output_of_an_unknown_case() {
    assert_eq!(respond("(call $answer (i32.const 7) (i32.const 0) (i32.const 0))"), Err(PluginError::MalformedOutput));
}

#[test]
fn a_plugin_that_failed_serves_the_next_call() {
    let picky = format!("(if (i32.eqz (local.get $length)) (then unreachable)) {ECHO_TEXT}");
    let plugin = load(&response_guest(&picky)).unwrap();
    for _ in 0..20 {
        assert!(plugin.on_response(String::new()).is_err());
        assert_eq!(plugin.on_response("x".to_owned()).as_deref(), Ok("x"));
    }
}

#[test]
fn no_error_repeats_the_text() {
    for body in ["unreachable", "(call $answer (i32.const 1) (local.get $text) (local.get $length))"] {
        let ended = load(&response_guest(body)).unwrap().on_response("canary".to_owned()).unwrap_err();
        assert!(!format!("{ended} {ended:?}").contains("canary"));
    }
}
