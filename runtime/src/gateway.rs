//! The OHTTP gateway: the only way in for a prompt (protocol.md 1.3).
//!
//! 1. choose the key by its id,
//! 2. open the request, in bounded time and memory,
//! 3. ask again whether that key still decrypts and whether anything is served,
//! 4. compare statement, authority and expiry,
//! 5. find the tenant,
//! 6. refuse a replay,
//! 7. only then hand it to the API.
//!
//! A request is remembered last: one that was refused before changed nothing, and
//! strangers cannot fill the replay set. Every failure before the first chunk opened has
//! one outside answer.

mod inner;
mod respond;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use strongroom_channel::ohttp::{
    KEYS_MEDIA_TYPE, Limits, OhttpError, REQUEST_MEDIA_TYPE, RequestOpener, ResponseSealer,
};

use self::inner::Inner;
use crate::api::error::{ApiError, Outer};
use crate::api::{App, identity};
use crate::epochs::Epoch;
use crate::replay::Seen;
use crate::serving::Admitted;

/// How long an upload may take: less than a request may live, so that no request is
/// opened after its entry in the replay set is gone.
const UPLOAD: Duration = Duration::from_secs(30);
/// The longest request on the wire, bytes: two million tokens of English.
const REQUEST: Limits = Limits { total: 8 << 20, ..Limits::request() };
/// Uploads at once; with the longest request this bounds their memory.
pub(crate) const UPLOADS: usize = 64;

/// `POST /.well-known/ohttp-gateway`.
pub(crate) async fn post(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    match open(&app, &headers, body).await {
        Ok((admitted, inner, sealer)) => respond::respond(app, admitted, inner, sealer).await,
        Err(outer) => {
            app.metrics.refused_outside.inc();
            outer.into_response()
        }
    }
}

/// `GET /.well-known/ohttp-gateway`: the live key list; a hint until it equals field 8
/// of a verified statement.
pub(crate) async fn keys(State(app): State<App>) -> Response {
    let keys = app.epochs.current().keys.config_list();
    ([(header::CONTENT_TYPE, HeaderValue::from_static(KEYS_MEDIA_TYPE))], keys).into_response()
}

/// What was admitted, the request, and what seals its answer.
type Opened = (Admitted, Result<Inner, ApiError>, ResponseSealer);

/// Steps 1 to 6. An error of steps 4 to 6 is for the client alone, so it travels inside.
async fn open(app: &App, headers: &HeaderMap, body: Body) -> Result<Opened, Outer> {
    if headers.get(header::CONTENT_TYPE).is_none_or(|value| value != REQUEST_MEDIA_TYPE) {
        return Err(Outer::UnsupportedMediaType);
    }
    let _place = app.uploads.try_acquire().map_err(|_| Outer::Busy)?;
    let uploaded = tokio::time::timeout(UPLOAD, upload(app, body)).await;
    let (mut opener, epoch, mut plain) = uploaded.map_err(|_| Outer::OhttpKey)??;
    plain.extend(opener.finish().map_err(outer)?);

    // An upload takes time: what held when it began is asked again.
    let now = app.clock.now();
    // In this order: a model becomes visible after the epoch that names it began, so a request of the epoch
    // before never meets a model that its statement did not name.
    let admitted = app.serving.enter()?;
    let live = app.epochs.by_key_id(epoch.keys.key_id(), now);
    if !live.is_some_and(|live| Arc::ptr_eq(&live, &epoch)) {
        return Err(Outer::OhttpKey);
    }
    let enc = opener.enc().ok_or(Outer::OhttpKey)?.to_vec();
    let sealer = opener.into_response().map_err(|_| Outer::OhttpKey)?;
    Ok((admitted, admit(app, &plain, &epoch, &enc, now), sealer))
}

/// Steps 1 and 2.
async fn upload(app: &App, body: Body) -> Result<(RequestOpener, Arc<Epoch>, Vec<u8>), Outer> {
    let mut opened = Opening { app, opener: None, plain: Vec::new() };
    let mut frames = body.into_data_stream();
    while let Some(frame) = frames.next().await {
        // Without a lease, or a broker that speaks, nothing is decrypted (protocol.md A10).
        app.serving.is_open()?;
        opened.push(&frame.map_err(|_| Outer::OhttpKey)?)?;
    }
    app.serving.is_open()?;
    let (opener, epoch) = opened.opener.ok_or(Outer::OhttpKey)?;
    Ok((opener, epoch, opened.plain))
}

/// Steps 4 to 6.
fn admit(app: &App, plain: &[u8], epoch: &Epoch, enc: &[u8], now: u64) -> Result<Inner, ApiError> {
    let mut inner = Inner::parse(plain, epoch, &app.instance.deployment, now)?;
    inner.tenant = Some(identity::tenant(app, inner.authorization())?);
    match epoch.replays.note(enc, now) {
        Seen::New => Ok(inner),
        Seen::Replayed => Err(ApiError::channel(StatusCode::CONFLICT, "replayed", "this request was received before")),
        Seen::Full => Err(ApiError::busy()),
    }
}

struct Opening<'a> {
    app: &'a App,
    opener: Option<(RequestOpener, Arc<Epoch>)>,
    plain: Vec<u8>,
}

impl Opening<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Outer> {
        let Some(key_id) = bytes.first() else { return Ok(()) };
        if self.opener.is_none() {
            let epoch = self.app.epochs.by_key_id(*key_id, self.app.clock.now()).ok_or(Outer::OhttpKey)?;
            self.opener = Some((RequestOpener::with_keys(&[&epoch.keys], REQUEST), epoch));
        }
        let (opener, _) = self.opener.as_mut().ok_or(Outer::OhttpKey)?;
        for chunk in opener.push(bytes).map_err(outer)? {
            self.plain.extend_from_slice(&chunk);
        }
        Ok(())
    }
}

/// A size is visible from outside anyway; every other failure looks the same.
fn outer(error: OhttpError) -> Outer {
    match error {
        OhttpError::TooLarge => Outer::TooLarge,
        _ => Outer::OhttpKey,
    }
}
