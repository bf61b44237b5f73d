//! The style sheet, the script and the icons. Each has the hash of its content in its name, so that it can be kept for good.

use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::config::keys::sha256;
use crate::http::problem::Problem;

/// A file that pages name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asset {
    /// The style sheet.
    Style,
    /// The ES module.
    Script,
    /// The sprite of icons and pictures.
    Icons,
}

/// For good: another content has another name.
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// For a minute: today's file in the place of another release's.
const FOR_A_MINUTE: HeaderValue = HeaderValue::from_static("public, max-age=60");
/// Hexadecimal digits of a hash in a name.
const HASH_DIGITS: usize = 16;

impl Asset {
    const ALL: [Self; 3] = [Self::Style, Self::Script, Self::Icons];

    const fn content(self) -> &'static [u8] {
        match self {
            Self::Style => include_bytes!("../../assets/site.css"),
            Self::Script => include_bytes!("../../assets/site.js"),
            Self::Icons => include_bytes!("../../assets/icons.svg"),
        }
    }

    /// What its name begins and ends with; the hash stands between.
    const fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Style => ("site.", ".css"),
            Self::Script => ("site.", ".js"),
            Self::Icons => ("icons.", ".svg"),
        }
    }

    const fn content_type(self) -> HeaderValue {
        match self {
            Self::Style => HeaderValue::from_static("text/css; charset=utf-8"),
            Self::Script => HeaderValue::from_static("text/javascript; charset=utf-8"),
            Self::Icons => HeaderValue::from_static("image/svg+xml"),
        }
    }

    /// Its address.
    pub(crate) fn url(self) -> &'static str {
        static URLS: LazyLock<[String; 3]> = LazyLock::new(|| {
            Asset::ALL.map(|asset| {
                let (start, end) = asset.name();
                let hash: String = hex::encode(sha256(asset.content())).chars().take(HASH_DIGITS).collect();
                format!("/estatico/{start}{hash}{end}")
            })
        });
        let [style, script, icons] = &*URLS;
        match self {
            Self::Style => style,
            Self::Script => script,
            Self::Icons => icons,
        }
    }

    /// The asset that `file` names, with whatever hash.
    fn named(file: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|asset| {
            let (start, end) = asset.name();
            let hash = file.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
            hash.is_some_and(|hash| hash.len() == HASH_DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
        })
    }
}

/// Path in a URL and content of each asset, as it is served.
pub fn files() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    Asset::ALL.into_iter().map(|asset| (asset.url(), asset.content()))
}

/// `GET /estatico/{file}`. A page of another release asks for a name that is not there any more, or not yet: it gets today's file, since
/// styles and pages fit each other one release back, but not for long.
pub(crate) async fn get(Path(file): Path<String>, request: HeaderMap) -> Result<Response, Problem> {
    let asset = Asset::named(&file).ok_or_else(Problem::not_found)?;
    let is_current = asset.url().strip_prefix("/estatico/") == Some(&file);
    let tag = HeaderValue::try_from(format!("\"{}\"", asset.url())).map_err(Problem::internal)?;
    let mut response = if crate::http::extract::conditional::is_known(&request, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(Bytes::from_static(asset.content())))
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, asset.content_type());
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, if is_current { FOR_GOOD } else { FOR_A_MINUTE });
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_with_any_hash_and_nothing_else_is() {
        for asset in Asset::ALL {
            let file = asset.url().trim_start_matches("/estatico/");
            assert_eq!(Asset::named(file), Some(asset), "{file}");
        }
        assert_eq!(Asset::named("site.0123456789abcdef.css"), Some(Asset::Style));
        for file in ["site.css", "site..css", "site.0123456789abcdeg.css", "site.0123456789abcdef.svg", "../site.0123456789abcdef.css", ""]
        {
            assert_eq!(Asset::named(file), None, "{file}");
        }
    }
}
