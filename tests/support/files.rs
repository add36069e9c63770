//! A web server with byte ranges, as object stores have them.

use std::path::PathBuf;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Serves the files of `directory`; gives the address.
pub(crate) async fn serve(directory: PathBuf) -> String {
    super::system::serve(Router::new().route("/{*path}", get(file)).with_state(directory)).await
}

async fn file(State(directory): State<PathBuf>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let Ok(content) = std::fs::read(directory.join(path)) else { return StatusCode::NOT_FOUND.into_response() };
    let range = headers[header::RANGE].to_str().unwrap().strip_prefix("bytes=").unwrap();
    let (first, last) = range.split_once('-').unwrap();
    let (first, last) = (first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap().min(content.len() - 1));
    let range = format!("bytes {first}-{last}/{}", content.len());
    (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, range)], content[first..=last].to_vec()).into_response()
}
