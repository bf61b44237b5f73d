//! The pairs of the `Cookie` header, read from bytes. A browser also sends cookies that other parts of the domain have set, in UTF-8,
//! Latin-1 or neither. Each pair is read by itself, so that none of them hides the session.
//!
//! RFC 6265 §4.2.1: `cookie-string = cookie-pair *( ";" SP cookie-pair )`, `cookie-pair = cookie-name "=" cookie-value`. §5.4 lets a
//! browser send a name several times, of several paths and domains, and servers must not rely on their order (§4.2.2).

use axum::http::{HeaderMap, HeaderValue, header};

use crate::state::Core;

/// A cookie to set, which scripts cannot read.
#[derive(Clone, Copy, Debug)]
pub struct Cookie<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value, of characters that need no quotes.
    pub value: &'a str,
    /// The paths that it is sent to begin with this one.
    pub path: &'a str,
    /// How long it is kept, in seconds; 0 takes it away.
    pub max_age: i64,
}

/// The `Set-Cookie` of `cookie`, which goes over https only where the site does.
pub fn set(core: &Core, cookie: &Cookie<'_>) -> HeaderValue {
    let Cookie { name, value, path, max_age } = cookie;
    let secure = if core.public_url.is_secure() { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Every value of the cookie `name`, in the order sent, without the double quotes that §4.1.1 allows around it.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';')).filter_map(move |pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (pair.get(..equals)?, pair.get(equals + 1..)?);
        (key.trim_ascii() == name.as_bytes()).then(|| unquoted(value.trim_ascii()))
    })
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn found(lines: &[&[u8]]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        values(&headers, "sessao").map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    #[test]
    fn a_cookie_is_found_beside_any_other() {
        let beside: [&[&[u8]]; 14] = [
            &[b"sessao=a1"],
            &[b"cidade=S\xc3\xa3o Paulo; sessao=a1"],
            &[b"cidade=S\xe3o Paulo; sessao=a1"],
            &[b"\xff\xfe=\xff; sessao=a1; \xff"],
            &[b"sessao=a1; cidade=\xff"],
            &[b"cidade=\xff", b"sessao=a1"],
            &[b"_ga=1;sessao=a1;x"],
            &[b"; ;=; =x; sessao=a1; "],
            &[b"sem_valor; sessao=a1"],
            &[b"outra=\"a; b\"; sessao=\"a1\""],
            &[b"outra=\"; sessao=a1"],
            &[b"json={\"sessao\":\"x=y\"}; sessao=a1"],
            &[b"\tsessao\t=\ta1\t"],
            &[b"Sessao=b; sessao2=b; xsessao=b; sessao=a1"],
        ];
        for lines in beside {
            assert_eq!(found(lines), ["a1"], "{lines:?}");
        }
    }

    #[test]
    fn each_of_several_is_found_and_none_where_there_is_none() {
        assert_eq!(found(&[b"sessao=a; x=1; sessao=b", b"sessao=c"]), ["a", "b", "c"]);
        assert_eq!(found(&[b"sessao=a=b"]), ["a=b"]);
        assert_eq!(found(&[b"sessao="]), [""]);
        assert_eq!(found(&[b"sessao", b"x=sessao", b"=sessao", b""]), Vec::<String>::new());
        assert_eq!(found(&[]), Vec::<String>::new());
    }
}
