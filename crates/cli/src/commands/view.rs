//! `strongroom view`: one item, shown to a player on this machine: of an approved request, or where the regulation
//! gives a standing view 常设查阅.
//!
//! It serves one address on loopback with a secret in it, range by range as the player asks, for as long as the
//! command runs. Nothing is saved here, and players are told not to keep anything.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use clap::Args;
use futures::StreamExt as _;
use serde_json::json;
use strongroom_client::Client;
use strongroom_types::{IdempotencyKey, ItemId, RequestId, SessionId};
use tokio::net::TcpListener;

use crate::clock;
use crate::failure::Failure;
use crate::session::{Globals, Usual};
use crate::signals;

/// What to view.
///
/// Examples: strongroom --as archivist view REQ-1 ITEM; under a standing view, strongroom --as unit-head view ITEM --reason 日常检查
#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
pub(crate) struct View {
    /// Such as REQ-1; without it, the view is one that the profile gives without a request
    request: Option<RequestId>,
    /// The item
    item: ItemId,
    /// Why, where there is no request
    #[arg(long, value_name = "TEXT", required_unless_present = "request", conflicts_with = "request")]
    reason: Option<String>,
}

/// What the one address shows.
struct Shown {
    client: Client,
    session: SessionId,
    item: ItemId,
    size_bytes: u64,
    media_type: &'static str,
}

impl View {
    /// Does it, until Ctrl-C.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let output = globals.output();
        let client = globals.client(if self.request.is_some() { Usual::Archivist } else { Usual::UnitHead })?;
        let system = clock::system()?;
        let key: IdempotencyKey = hex::encode(system.draw::<16>()).parse().expect("hexadecimal digits are a name");
        let begun =
            client.begin_view(&key, self.request, self.item, self.reason.as_deref().unwrap_or_default()).await?;
        let session = SessionId::try_from(begun.session_id.as_ref())
            .map_err(|error| Failure::caused_by("could not read the session", &error))?;
        let granted = begun.item.ok_or_else(|| Failure::failed("the node granted no item"))?;
        let shown = Arc::new(Shown {
            client: client.clone(),
            session,
            item: self.item,
            size_bytes: granted.size_bytes,
            media_type: media_type(&granted.file_name),
        });
        let path = format!("/{}", hex::encode(system.draw::<16>()));
        let app = axum::Router::new().route(&path, axum::routing::get(serve)).with_state(shown);
        let bound = |error| Failure::caused_by("could not listen on loopback", &error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(bound)?;
        let address = format!("http://{}{path}", listener.local_addr().map_err(bound)?);
        let json = json!({ "address": address, "session": session.to_string(), "record": begun.record_seq });
        output.show(&json, |page| page.line(&address))?;
        output.talk(output.pick("open it in a player; Ctrl-C ends the session", "请用播放器打开；按 Ctrl-C 结束会话"));
        axum::serve(listener, app)
            .with_graceful_shutdown(signals::told_to_end())
            .await
            .map_err(|error| Failure::caused_by("could not serve the player", &error))?;
        let end_key = format!("{key}-end").parse().expect("a name and a suffix are a name");
        client.end_session(&end_key, session, true).await?;
        Ok(())
    }
}

async fn serve(State(shown): State<Arc<Shown>>, headers: HeaderMap) -> Response<Body> {
    let asked = headers.get(header::RANGE).map(|value| value.to_str().unwrap_or_default());
    let Some(range) = range(asked, shown.size_bytes) else {
        return refuse(StatusCode::RANGE_NOT_SATISFIABLE, shown.size_bytes);
    };
    let length = range.end - range.start;
    let body = if length == 0 {
        Body::empty()
    } else {
        match shown.client.read(shown.session, shown.item, range.start, length).await {
            Ok(stream) => Body::from_stream(stream.map(|piece| piece.map(|piece| piece.data))),
            Err(_) => return refuse(StatusCode::BAD_GATEWAY, shown.size_bytes),
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(shown.media_type));
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if asked.is_some() {
        let text = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), shown.size_bytes);
        headers.insert(header::CONTENT_RANGE, text.parse().expect("digits are a header's value"));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

fn refuse(code: StatusCode, size_bytes: u64) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    let text = format!("bytes */{size_bytes}");
    response.headers_mut().insert(header::CONTENT_RANGE, text.parse().expect("digits are a header's value"));
    response
}

/// The bytes that a `Range` header asks for; none where it cannot be met. Of several ranges, which players do not ask
/// for, none is met.
fn range(asked: Option<&str>, size_bytes: u64) -> Option<Range<u64>> {
    let Some(asked) = asked else { return Some(0..size_bytes) };
    let (first, last) = asked.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => size_bytes.saturating_sub(suffix.parse().ok()?)..size_bytes,
        (first, "") => first.parse().ok()?..size_bytes,
        (first, last) => first.parse().ok()?..last.parse::<u64>().ok()?.saturating_add(1).min(size_bytes),
    };
    (range.start < range.end).then_some(range)
}

fn media_type(file_name: &str) -> &'static str {
    let extension = file_name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("mp4" | "m4v") => "video/mp4",
        Some("mov") => "video/quicktime",
        Some("mkv") => "video/x-matroska",
        Some("ts" | "mts") => "video/mp2t",
        Some("avi") => "video/x-msvideo",
        Some("mp3") => "audio/mpeg",
        Some("wav") => "audio/wav",
        Some("m4a" | "aac") => "audio/aac",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some(_) | None => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        for (asked, expected) in [
            (None, Some(0..10)),
            (Some("bytes=0-"), Some(0..10)),
            (Some("bytes=3-5"), Some(3..6)),
            (Some("bytes=3-99"), Some(3..10)),
            (Some("bytes=-4"), Some(6..10)),
            (Some("bytes=-99"), Some(0..10)),
            (Some("bytes=10-"), None),
            (Some("bytes=5-3"), None),
            (Some("bytes=0-1,4-5"), None),
            (Some("items=0-1"), None),
            (Some("bytes=-0"), None),
        ] {
            assert_eq!(range(asked, 10), expected, "{asked:?}");
        }
        assert_eq!(range(None, 0), Some(0..0), "an empty original has a view, too");
    }

    #[test]
    fn players_are_told_what_it_is() {
        assert_eq!(media_type("a.b.MP4"), "video/mp4");
        assert_eq!(media_type("mp4"), "application/octet-stream");
    }
}
