//! What processes tell each other through Redis, and whether messages arrive at all.
//!
//! A message has lines: who sends it, then `x TAG` for an invalidation or `t SLUG RELEASE SEQ JSON` for new totals. Each process sends an
//! empty one every second and listens for its own: two seconds of silence mean that nothing can be relied on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::Cache;
use super::remote::{FORMAT, Stored};
use super::subject::Tag;
use crate::process::shutdown::Shutdown;

/// Time between two heartbeats that this process publishes.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Time without a heartbeat of its own after which this process takes the connection for lost.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time from the loss of a connection to the next attempt.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(500);

/// What another process says.
#[derive(Debug)]
pub(super) struct Announcement {
    pub(super) sender: String,
    pub(super) invalidated: Vec<Tag>,
    pub(super) totals: Vec<(String, Stored)>,
}

/// A message of `sender`.
pub(super) fn write(sender: &str, invalidated: &[Tag], totals: &[(String, Stored)]) -> String {
    let mut text = sender.to_owned();
    for tag in invalidated {
        text.push_str("\nx ");
        text.push_str(tag.as_str());
    }
    for (slug, stored) in totals {
        // Strings and raw JSON always serialise, and without line breaks.
        let json = serde_json::to_string(stored).unwrap_or_default();
        for part in ["\nt ", slug, " ", FORMAT, " ", &stored.seq.to_string(), " ", &json] {
            text.push_str(part);
        }
    }
    text
}

/// Lines of other releases are passed over.
fn parse(text: &str) -> Announcement {
    let mut lines = text.split('\n');
    let mut message = Announcement { sender: lines.next().unwrap_or_default().to_owned(), invalidated: vec![], totals: vec![] };
    for line in lines {
        match line.split_once(' ') {
            Some(("x", tag)) => message.invalidated.push(Tag::parse(tag)),
            Some(("t", rest)) => {
                let (slug, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                match parse_totals(rest) {
                    Some(stored) => message.totals.push((slug.to_owned(), stored)),
                    // Of another release, whose answers may have another shape.
                    None => message.invalidated.extend([Tag::totals(slug), Tag::feed(slug)]),
                }
            }
            _ => {}
        }
    }
    message
}

fn parse_totals(text: &str) -> Option<Stored> {
    let (seq, json) = text.strip_prefix(FORMAT)?.strip_prefix(' ')?.split_once(' ')?;
    let stored: Stored = serde_json::from_str(json).ok()?;
    Some(Stored { seq: seq.parse().ok()?, ..stored })
}

/// Listens to what other processes invalidate and push, until a stop is asked for. Publishes a heartbeat every second.
pub async fn listen(cache: Arc<Cache>, shutdown: Shutdown) {
    while !shutdown.has_begun() {
        tokio::select! {
            () = attend(&cache) => {}
            // The requests that are still running are answered without listening.
            () = shutdown.begun() => {}
        }
        cache.note_connected(false);
        shutdown.pause(RECONNECT_INTERVAL).await;
    }
}

/// One connection, until it breaks or falls silent.
async fn attend(cache: &Cache) {
    let listener = match cache.remote.subscribe().await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::debug!(error = crate::telemetry::chain(&error), "Redis cannot be listened to");
            return;
        }
    };
    let mut messages = listener.into_on_message();
    let mut heartbeat = tokio::time::interval(HEARTBEAT_INTERVAL);
    let mut last_heartbeat = Instant::now();
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(text) = message.and_then(|message| message.get_payload::<String>().ok()) else { return };
                let message = parse(&text);
                if message.sender == cache.name {
                    last_heartbeat = Instant::now();
                    cache.note_connected(true);
                } else {
                    cache.take(message).await;
                }
            }
            _ = heartbeat.tick() => {
                // Its failure shows in the silence.
                let _ = cache.remote.publish(&cache.name).await;
            }
            () = tokio::time::sleep_until(last_heartbeat + SILENCE_TIMEOUT) => {
                tracing::warn!("Redis has fallen silent; what other processes change is seen a second later");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_message_is_understood_by_another_process() {
        let stored = Stored { seq: 9, ..Stored::new(Some("9".into()), &serde_json::json!({"seq": 9, "nome": "a b\nc"})).unwrap() };
        let message = parse(&write("p1", &[Tag::campaigns(), Tag::campaign("a-b")], &[("a-b".to_owned(), stored)]));
        assert_eq!(message.sender, "p1");
        assert_eq!(message.invalidated, [Tag::campaigns(), Tag::campaign("a-b")]);
        let (slug, stored) = message.totals.first().unwrap();
        assert_eq!((slug.as_str(), stored.seq, stored.etag.as_deref()), ("a-b", 9, Some("\"9\"")));
        let strange = parse("p2\n? what\nt a-b 1-0.0.1 9 {}\nt only\nx campanhas");
        assert_eq!(strange.invalidated, [Tag::totals("a-b"), Tag::feed("a-b"), Tag::totals("only"), Tag::feed("only"), Tag::campaigns()]);
        assert!(strange.totals.is_empty());
    }
}
