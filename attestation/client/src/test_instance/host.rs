//! What stands between: the HTTP of the instance, and a host that interferes with it.

use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use strongroom_channel::attest;
use strongroom_channel::ohttp::RESPONSE_MEDIA_TYPE;

use super::{Behaviour, Instance};

pub(super) async fn answer_attest(State(instance): State<Instance>, body: Bytes) -> Response {
    instance.0.attested.fetch_add(1, Ordering::SeqCst);
    if *instance.0.attest_down.lock().unwrap() {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "7")]).into_response();
    }
    let answer = instance.attest(&body);
    if instance.0.epoch_ends.swap(false, Ordering::SeqCst) {
        instance.next_epoch();
    }
    ([(header::CONTENT_TYPE, attest::RESPONSE_MEDIA_TYPE)], answer).into_response()
}

pub(super) async fn answer_request(State(instance): State<Instance>, body: Bytes) -> Response {
    instance.0.outer_bytes.lock().unwrap().extend_from_slice(&body);
    let behaviour = *instance.0.behaviour.lock().unwrap();
    match behaviour {
        Behaviour::Outer(status) => {
            return (StatusCode::from_u16(status).unwrap(), [(header::RETRY_AFTER, "3")], "host").into_response();
        }
        Behaviour::PlainAnswer => return "{\"choices\":[{\"text\":\"forged\"}]}".into_response(),
        _ => {}
    }
    let Some(mut pieces) = instance.answer(&body, behaviour) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut broken = false;
    match behaviour {
        Behaviour::StripFinalChunk => drop(pieces.pop()),
        Behaviour::CutFinalChunk => drop(pieces.last_mut().and_then(Vec::pop)),
        Behaviour::BreakConnection => {
            pieces.truncate(3);
            broken = true;
        }
        Behaviour::FlipBit => {
            let at = pieces.len() - 2;
            *pieces[at].last_mut().unwrap() ^= 1;
        }
        _ => {}
    }
    let mut items: Vec<std::io::Result<Vec<u8>>> = pieces.into_iter().map(Ok).collect();
    if broken {
        items.push(Err(std::io::Error::other("the host pulls the plug")));
    }
    // Giving way between the pieces lets each be written before the next.
    let body = Body::from_stream(futures_util::stream::iter(items).then(|item| async {
        tokio::task::yield_now().await;
        item
    }));
    ([(header::CONTENT_TYPE, RESPONSE_MEDIA_TYPE)], body).into_response()
}
