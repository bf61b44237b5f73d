//! The `Idempotency-Key` header (IETF draft-ietf-httpapi-idempotency-key-header): a UUID, quoted or bare.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use uuid::Uuid;

use crate::config::keys::sha256;
use crate::domain::ids::client_uuid;
use crate::http::problem::{Code, Problem};
use crate::service::idempotency::Attempt;
use crate::state::AppState;

/// The key of a request that may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub Uuid);

impl FromRequestParts<AppState> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let key = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(parse),
            _ => None,
        };
        key.map(Self).ok_or_else(|| {
            Problem::new(
                Code::KeyRequired,
                "Envie em Idempotency-Key um UUID novo e aleatório por operação (nem zeros, nem um dígito repetido); repita o mesmo só para repetir a mesma requisição.",
            )
        })
    }
}

fn parse(text: &str) -> Option<Uuid> {
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    client_uuid(bare)
}

impl IdempotencyKey {
    /// The key with the fingerprint of a body: SHA-256 over its JSON with sorted members and without white space.
    pub fn attempt(self, subject: &str, body: &[u8]) -> Attempt {
        // The body was parsed before, so it is JSON.
        let canonical =
            serde_json::from_slice::<serde_json::Value>(body).map_or_else(|_| body.to_vec(), |value| value.to_string().into_bytes());
        let mut message = subject.as_bytes().to_vec();
        message.push(b'\n');
        message.extend_from_slice(&canonical);
        Attempt { key: self.0, fingerprint: sha256(&message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_uuids_quoted_or_bare() {
        let key = "018f3b1e-7d1c-4c5e-9a52-0c6f6d3f7a10";
        assert!(parse(key).is_some());
        assert_eq!(parse(&format!("\"{key}\"")), parse(key));
        for bad in ["", "\"", "abc", "00000000-0000-0000-0000-000000000000", "\"ffffffff-ffff-ffff-ffff-ffffffffffff\""] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_fingerprint_ignores_order_and_white_space() {
        let of = |body: &str| IdempotencyKey(Uuid::nil()).attempt("x", body.as_bytes()).fingerprint;
        assert_eq!(of("{\"a\":1,\"b\":2}"), of("{ \"b\": 2, \"a\": 1 }"));
        assert_ne!(of("{\"a\":1}"), of("{\"a\":2}"));
        assert_ne!(of("{\"a\":1}"), IdempotencyKey(Uuid::nil()).attempt("y", b"{\"a\":1}").fingerprint);
    }
}
