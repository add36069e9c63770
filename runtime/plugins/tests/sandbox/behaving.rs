//! What a well-made filter can do, and what the host says about it.

use std::thread;

use strongroom_plugins::{Grants, Limits, OnRequest, PluginError, PluginHost};

use crate::guests::{
    ECHO_MESSAGES, ECHO_TEXT, chat, guest, load, load_with, request_hook, respond, response_guest, response_hook,
};

#[test]
fn an_echo_hands_everything_back() {
    let both = format!("{} {}", request_hook(ECHO_MESSAGES), response_hook(ECHO_TEXT));
    let plugin = load(&guest("filter", &both)).unwrap();
    assert!(plugin.filters_requests() && plugin.filters_responses());

    let request = chat(&[("system", "Be brief."), ("user", "Grüße, 世界 🙂\0"), ("assistant", "")]);
    assert_eq!(plugin.on_request(request.clone()), Ok(OnRequest::Continue(request)));
    assert_eq!(plugin.on_request(chat(&[])), Ok(OnRequest::Continue(chat(&[]))));
    for text in ["", "Grüße, 世界 🙂\0"] {
        assert_eq!(plugin.on_response(text.to_owned()).as_deref(), Ok(text));
    }
}

#[test]
fn a_refusal_carries_the_filters_words() {
    let words = r#"(data (i32.const 100) "not allowed")"#;
    let refuse = "(call $answer (i32.const 1) (i32.const 100) (i32.const 11))";
    let both = format!("{words} {} {}", request_hook(refuse), response_hook(refuse));
    let plugin = load(&guest("filter", &both)).unwrap();

    let reason = "not allowed".to_owned();
    assert_eq!(plugin.on_request(chat(&[("user", "x")])), Ok(OnRequest::Refuse { reason: reason.clone() }));
    assert_eq!(plugin.on_response("x".to_owned()), Err(PluginError::Refused { reason }));
}

#[test]
fn what_a_filter_has_no_hook_for_passes_it_by() {
    let requests = load(&guest("request-filter", &request_hook("unreachable"))).unwrap();
    assert!(requests.filters_requests() && !requests.filters_responses());
    assert_eq!(requests.on_response("x".to_owned()).as_deref(), Ok("x"));

    let responses = load(&response_guest("unreachable")).unwrap();
    assert!(!responses.filters_requests() && responses.filters_responses());
    assert_eq!(responses.on_request(chat(&[("user", "x")])), Ok(OnRequest::Continue(chat(&[("user", "x")]))));
}

#[test]
fn no_call_sees_an_earlier_one() {
    let once = format!(
        "(global $called (mut i32) (i32.const 0))
         (func $once
           (if (i32.or (global.get $called) (i32.load (i32.const 512))) (then unreachable))
           (global.set $called (i32.const 1))
           (i32.store (i32.const 512) (i32.const 1)))
         {}",
        response_hook(&format!("(call $once) {ECHO_TEXT}"))
    );
    let plugin = load(&guest("response-filter", &once)).unwrap();
    for _ in 0..50 {
        assert_eq!(plugin.on_response("x".to_owned()).as_deref(), Ok("x"));
    }
}

#[test]
fn calls_from_many_threads_do_not_mix() {
    let plugin = load(&response_guest(ECHO_TEXT)).unwrap();
    thread::scope(|scope| {
        for number in 0..8 {
            let plugin = plugin.clone();
            scope.spawn(move || {
                for round in 0..50 {
                    let text = format!("thread {number}, round {round}").repeat(100);
                    assert_eq!(plugin.on_response(text.clone()), Ok(text));
                }
            });
        }
    });
}

#[test]
fn a_filter_that_copes_with_full_memory_may_go_on() {
    let cope = format!("(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) {ECHO_TEXT}");
    assert_eq!(respond(&cope).as_deref(), Ok("a text"));
}

#[test]
fn identity_is_of_the_bytes_and_the_grants() {
    let wasm = response_guest(ECHO_TEXT);
    let plugin = load(&wasm).unwrap();
    assert_eq!(plugin.name(), "tested");
    assert_eq!(plugin.digest(), crate::redact::sha256(&wasm));
    assert_eq!(plugin.grants_digest(), Grants::none().digest());
    assert_ne!(plugin.digest(), load(&response_guest("unreachable")).unwrap().digest());
}

#[test]
fn names_that_cannot_stand_in_evidence_are_refused() {
    let host = PluginHost::new(Limits::default()).unwrap();
    let wasm = response_guest(ECHO_TEXT);
    let long = "a".repeat(64);
    for name in ["", "Redact", "re dact", "redact\n", "rédact", long.as_str()] {
        let refused = host.load(name, &wasm, &Grants::none()).unwrap_err();
        assert_eq!(refused, PluginError::BadName { name: name.to_owned() });
    }
    assert!(host.load("redact-2", &wasm, &Grants::none()).is_ok());
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    for memory_bytes in [0, 65_535, 1 << 33] {
        let refused = PluginHost::new(Limits { memory_bytes, ..Limits::default() });
        assert!(matches!(refused, Err(PluginError::Host { .. })), "{memory_bytes}");
    }
    assert!(load_with(Limits { memory_bytes: 65_536, ..Limits::default() }, &response_guest(ECHO_TEXT)).is_ok());
}
