//! A ready-made answer: written, tagged and compressed once, sent to many.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;

use super::remote::Stored;

/// The shortest body that is compressed, in bytes. Compressing a shorter one saves nothing worth the work.
const MIN_COMPRESSED_BYTES: usize = 512;
/// Ends the tag of a compressed answer.
pub const GZIP_MARK: &str = "-gzip";
/// Memory of an entry beside its bodies, in bytes: names, headers, list nodes.
const ENTRY_OVERHEAD_BYTES: usize = 512;

/// What a reader gets.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The answer; nothing where the subject is not there for the public.
    pub found: Option<Found>,
    pub(super) life: Duration,
}

/// An answer of 200.
#[derive(Clone, Debug)]
pub struct Found {
    /// JSON.
    pub body: Bytes,
    /// The same by gzip, where that is shorter.
    pub gzip: Option<Bytes>,
    /// Strong tag of `body`.
    pub etag: Option<HeaderValue>,
    /// Strong tag of `gzip`, other bytes being another representation (RFC 9110 §8.8.3.3).
    pub gzip_etag: Option<HeaderValue>,
    /// Where the next page is.
    pub link: Option<HeaderValue>,
    /// Grows with each change of what has an order of its own; 0 for all else.
    pub seq: i64,
}

impl Found {
    /// Makes the answer of what was stored.
    pub fn new(stored: Stored) -> Self {
        let body = Bytes::from(Box::<str>::from(stored.body).into_string());
        let header = |text: Option<String>| text.and_then(|text| HeaderValue::try_from(text).ok());
        let gzip_etag = stored.etag.as_ref().and_then(|etag| Some(format!("{}{GZIP_MARK}\"", etag.strip_suffix('"')?)));
        Self {
            gzip: compress(&body),
            body,
            etag: header(stored.etag),
            gzip_etag: header(gzip_etag),
            link: header(stored.link),
            seq: stored.seq,
        }
    }
}

impl Entry {
    /// Makes the answer of what was stored.
    pub(super) fn new(stored: Option<Stored>, life: Duration) -> Self {
        Self { found: stored.map(Found::new), life }
    }

    /// The number of what has an order of its own, else 0.
    pub(super) fn seq(&self) -> i64 {
        self.found.as_ref().map_or(0, |found| found.seq)
    }

    pub(super) fn weight(&self) -> u32 {
        let bytes = self.found.as_ref().map_or(0, |found| found.body.len() + found.gzip.as_ref().map_or(0, Bytes::len));
        u32::try_from(bytes + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
    }
}

fn compress(body: &Bytes) -> Option<Bytes> {
    if body.len() < MIN_COMPRESSED_BYTES {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::new(5));
    encoder.write_all(body).ok()?;
    let short = encoder.finish().ok()?;
    (short.len() < body.len()).then(|| short.into())
}
