//! A ready-made answer: written, tagged and compressed once, sent to many.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;

use super::remote::Stored;
use crate::config::keys::sha256;

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
    /// Whether it was made of an old answer, because the stores could not be asked.
    pub(super) stale: bool,
}

/// What the bytes of an answer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// An answer of the API.
    Json,
    /// A page for people.
    Html,
}

impl Media {
    /// The value of `Content-Type`.
    pub const fn content_type(self) -> HeaderValue {
        match self {
            Self::Json => HeaderValue::from_static("application/json"),
            Self::Html => HeaderValue::from_static("text/html; charset=utf-8"),
        }
    }
}

/// An answer of 200.
#[derive(Clone, Debug)]
pub struct Found {
    /// What the bytes of `body` are.
    pub media: Media,
    /// The answer itself.
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
            media: Media::Json,
            gzip: compress(&body),
            body,
            etag: header(stored.etag),
            gzip_etag: header(gzip_etag),
            link: header(stored.link),
            seq: stored.seq,
        }
    }

    /// Makes the answer of a page. Its tag is the hash of its bytes.
    pub fn page(html: String) -> Self {
        let body = Bytes::from(html);
        let hash = hex::encode(sha256(&body).get(..16).unwrap_or_default());
        let tag = |mark: &str| HeaderValue::try_from(format!("\"{hash}{mark}\"")).ok();
        Self { media: Media::Html, gzip: compress(&body), etag: tag(""), gzip_etag: tag(GZIP_MARK), body, link: None, seq: 0 }
    }
}

impl Entry {
    /// Makes the answer of what was stored.
    pub(super) fn new(stored: Option<Stored>, life: Duration) -> Self {
        Self { found: stored.map(Found::new), life, stale: false }
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
