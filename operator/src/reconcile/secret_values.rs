//! Checks that every part can use the values of the Secrets that it reads. One table has the name of each Secret that is read, its
//! keys and their formats.
//!
//! A value that fails is found before anything rolls. Otherwise the parts would start with it one after the other, and some of them
//! would refuse it. What works in every part is allowed, odd as it may be: spaces at the ends, quotes, letters of any script.
//!
//! Parts read a file in two ways. The start scripts of PostgreSQL, PgBouncer and Redis take line feeds at its end away, and nothing
//! else. The API takes away one line feed, or a carriage return and a line feed, and refuses a file of several lines.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use serde_json::Value;
use url::Url;

use crate::build::secrets::GeneratedSecret;
use crate::crd::Profile;
use crate::resolve::Platform;

/// Longest password of a client of PgBouncer, in bytes: a longer one fails while it is prepared for SCRAM.
const PGBOUNCER_PASSWORD_MAX_BYTES: usize = 1024;
/// Longest password that PostgreSQL's start script can hand to psql, in bytes: Linux gives one argument 128 KiB, and its name and
/// the byte at its end take twelve.
const PSQL_PASSWORD_MAX_BYTES: usize = 128 * 1024 - 12;
/// Longest password of Redis, in bytes: the longest argument that Redis reads from a client that has not logged in.
const REDIS_PASSWORD_MAX_BYTES: usize = 16 * 1024;
/// Shortest and longest password of a person, in characters.
const PERSON_PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=150;
/// Longest id of a key, in characters.
const KEY_ID_MAX_CHARS: usize = 16;
/// Length of a key, in hexadecimal digits.
const KEY_DIGITS: usize = 64;

/// The format that a value of a Secret must have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Password of the role `app`: of PostgreSQL, and of PgBouncer's clients.
    AppPassword,
    /// Password of the role `dono`, of PostgreSQL alone.
    OwnerPassword,
    /// Password of the API's user of Redis.
    RedisPassword,
    /// Password of a person's account.
    PersonPassword,
    /// Keys, one a line, newest first: an id and 64 hexadecimal digits.
    KeyRing,
    /// URL of a mail server.
    MailUrl,
    /// URL of a mail server, or of a folder.
    MailUrlOrFolder,
    /// Certificates or a key. The content is not checked here: nginx refuses a wrong one, and since its pods roll one at a time,
    /// the first that fails stops the rollout.
    Pem,
}

/// A fault of a value. Its text follows the words "Secret NAME has a KEY that".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The value is empty, or nothing of it is left once it is read.
    Empty,
    /// The value is not UTF-8.
    NotUtf8,
    /// The value contains a NUL byte.
    Nul,
    /// The value has more than one line.
    SeveralLines,
    /// The value ends with a carriage return, which some parts would take for a part of the password.
    CarriageReturn,
    /// The value has more bytes than this limit.
    TooLong(usize),
    /// PostgreSQL would store the value as the hash of a password.
    LooksLikeHash,
    /// The value has characters that a login with SCRAM does not allow (RFC 4013).
    Unprepared,
    /// The value is too short or too long for a person's password, or has control characters.
    NoPersonPassword,
    /// The line with this number, from 1, is no key.
    NoKey(usize),
    /// The value is not the URL of a mail server.
    NoMailUrl,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(formatter, "is empty"),
            Self::NotUtf8 => write!(formatter, "is not UTF-8 text"),
            Self::Nul => write!(formatter, "holds a NUL byte"),
            Self::SeveralLines => write!(formatter, "has more than one line"),
            Self::CarriageReturn => write!(formatter, "ends with a carriage return, as files from Windows do"),
            Self::TooLong(limit) => write!(formatter, "is longer than {limit} bytes"),
            Self::LooksLikeHash => write!(formatter, "looks like the hash of a password, which PostgreSQL stores as it is"),
            Self::Unprepared => {
                write!(formatter, "holds a character that a login to PostgreSQL does not allow, such as a control character or an emoji")
            }
            Self::NoPersonPassword => {
                let (least, most) = (PERSON_PASSWORD_CHARS.start(), PERSON_PASSWORD_CHARS.end());
                write!(formatter, "has not {least} to {most} characters, or control characters among them")
            }
            Self::NoKey(line) => {
                write!(formatter, "is no list of keys: line {line} is not an id, a space and {KEY_DIGITS} hexadecimal digits")
            }
            Self::NoMailUrl => write!(formatter, "is not the URL of a mail server, such as smtps://user:password@smtp.example.org"),
        }
    }
}

/// The keys of a Secret with a certificate, and their formats.
pub const CERTIFICATE: &[(&str, Format)] = &[("tls.crt", Format::Pem), ("tls.key", Format::Pem)];

/// The keys of a generated Secret and their formats.
pub const fn of_generated(secret: GeneratedSecret) -> &'static [(&'static str, Format)] {
    match secret {
        GeneratedSecret::Database => &[("app-password", Format::AppPassword), ("owner-password", Format::OwnerPassword)],
        GeneratedSecret::Redis => &[("password", Format::RedisPassword)],
        GeneratedSecret::Keys => &[
            ("body.key", Format::KeyRing),
            ("cursor.key", Format::KeyRing),
            ("email.key", Format::KeyRing),
            ("token.key", Format::KeyRing),
        ],
        GeneratedSecret::Admin => &[("password", Format::PersonPassword)],
    }
}

/// Every Secret that a platform's parts read: its name, its keys and their formats.
pub fn formats(platform: &Platform) -> BTreeMap<String, &'static [(&'static str, Format)]> {
    let mut formats: BTreeMap<_, _> =
        GeneratedSecret::ALL.into_iter().map(|secret| (secret.name(platform), of_generated(secret))).collect();
    if let Some(certificate) = &platform.certificate {
        formats.insert(certificate.secret.clone(), CERTIFICATE);
    }
    if let Some(mail) = &platform.spec.mail {
        let url: &[_] = match platform.spec.profile {
            Profile::Development => &[("url", Format::MailUrlOrFolder)],
            Profile::Production => &[("url", Format::MailUrl)],
        };
        formats.insert(mail.secret_name.clone(), url);
    }
    formats
}

/// The faults of the values in a Secret's `data`, by key.
pub fn faults(data: &Value, formats: &[(&'static str, Format)]) -> BTreeMap<&'static str, Fault> {
    let value = |key: &str| serde_json::from_value::<ByteString>(data.get(key)?.clone()).ok();
    formats.iter().filter_map(|(key, format)| Some((*key, format.check(&value(key)?.0).err()?))).collect()
}

impl Format {
    /// Succeeds if every part that reads a value of this format can use `value`; else returns the first fault found.
    pub fn check(self, value: &[u8]) -> Result<(), Fault> {
        if value.is_empty() {
            return Err(Fault::Empty);
        }
        if self == Self::Pem {
            return Ok(());
        }
        let text = std::str::from_utf8(value).map_err(|_| Fault::NotUtf8)?;
        match self {
            Self::Pem => Ok(()),
            Self::KeyRing => key_ring(text),
            Self::AppPassword => database_password(line_of_all(text)?, PGBOUNCER_PASSWORD_MAX_BYTES),
            Self::OwnerPassword => database_password(line_of_all(text)?, PSQL_PASSWORD_MAX_BYTES),
            Self::RedisPassword => within(line_of_all(text)?, REDIS_PASSWORD_MAX_BYTES),
            Self::PersonPassword => {
                let password = line(text)?;
                let is_legal = PERSON_PASSWORD_CHARS.contains(&password.chars().count()) && !password.contains(char::is_control);
                if is_legal { Ok(()) } else { Err(Fault::NoPersonPassword) }
            }
            Self::MailUrl => mail_url(line(text)?),
            Self::MailUrlOrFolder => {
                let url = line(text)?;
                if url.starts_with("file://") { Ok(()) } else { mail_url(url) }
            }
        }
    }
}

/// The line that the API reads from a file: `text` without one line end. Fails if that is empty, or has a NUL byte or a further
/// line end.
fn line(text: &str) -> Result<&str, Fault> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(Fault::Empty);
    }
    if line.contains('\0') {
        return Err(Fault::Nul);
    }
    if line.contains(['\n', '\r']) {
        return Err(Fault::SeveralLines);
    }
    Ok(line)
}

/// The line of a file, if the API and the start scripts read the same from it.
fn line_of_all(text: &str) -> Result<&str, Fault> {
    let line = line(text)?;
    if text.ends_with(['\r']) || text.ends_with("\r\n") { Err(Fault::CarriageReturn) } else { Ok(line) }
}

fn within(text: &str, limit: usize) -> Result<(), Fault> {
    if text.len() > limit { Err(Fault::TooLong(limit)) } else { Ok(()) }
}

fn database_password(password: &str, limit: usize) -> Result<(), Fault> {
    within(password, limit)?;
    let is_md5 =
        password.strip_prefix("md5").is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_md5 || password.starts_with("SCRAM-SHA-256$") {
        return Err(Fault::LooksLikeHash);
    }
    match stringprep::saslprep(password) {
        Ok(prepared) if prepared.is_empty() => Err(Fault::Empty),
        Ok(prepared) => within(&prepared, limit),
        Err(_) => Err(Fault::Unprepared),
    }
}

fn key_ring(text: &str) -> Result<(), Fault> {
    let is_key = |line: &str| {
        line.trim_end().split_once(' ').is_some_and(|(id, digits)| {
            (1..=KEY_ID_MAX_CHARS).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && digits.len() == KEY_DIGITS
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    match text.lines().position(|line| !is_key(line)) {
        Some(index) => Err(Fault::NoKey(index.saturating_add(1))),
        None => Ok(()),
    }
}

fn mail_url(text: &str) -> Result<(), Fault> {
    let url = Url::parse(text).map_err(|_| Fault::NoMailUrl)?;
    let tls = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value.into_owned());
    let is_known = matches!((url.scheme(), tls.as_deref()), ("smtps", _) | ("smtp", None | Some("required" | "opportunistic")));
    // The API also looks at the beginning of the text, which a parsed URL no longer shows as it was written.
    let is_smtp = text.starts_with("smtp://") || text.starts_with("smtps://");
    if is_known && is_smtp && url.host_str().is_some_and(|host| !host.is_empty()) { Ok(()) } else { Err(Fault::NoMailUrl) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    const PASSWORDS: [Format; 3] = [Format::AppPassword, Format::OwnerPassword, Format::RedisPassword];

    #[test]
    fn odd_passwords_that_every_part_can_use_are_allowed() {
        let long = "a".repeat(PGBOUNCER_PASSWORD_MAX_BYTES);
        for password in
            ["x", " spaces at the ends ", "a\"b'c\\d$(e)`f%41@:/?#&=+", "çãé", "a\u{a0}b", "two words\n", "md5", "md5abc", &long]
        {
            for format in PASSWORDS {
                assert_eq!(format.check(password.as_bytes()), Ok(()), "{format:?} {password:?}");
            }
        }
    }

    #[test]
    fn a_password_that_no_part_can_use_is_named_by_its_fault() {
        for (password, fault) in [
            (&b""[..], Fault::Empty),
            (b"\n", Fault::Empty),
            (b"\r\n", Fault::Empty),
            (b"one\ntwo", Fault::SeveralLines),
            (b"\none", Fault::SeveralLines),
            (b"one\n\n", Fault::SeveralLines),
            (b"one\rtwo", Fault::SeveralLines),
            (b"one\r\n", Fault::CarriageReturn),
            (b"one\r", Fault::CarriageReturn),
            (b"one\0two", Fault::Nul),
            (b"one\0", Fault::Nul),
            (b"\xff\xfe", Fault::NotUtf8),
        ] {
            for format in PASSWORDS {
                assert_eq!(format.check(password), Err(fault), "{format:?} {password:?}");
            }
        }
    }

    #[test]
    fn a_password_of_the_database_can_be_prepared_for_scram() {
        let long = "é".repeat(513);
        for (password, fault) in [
            ("md5d41d8cd98f00b204e9800998ecf8427e", Fault::LooksLikeHash),
            ("SCRAM-SHA-256$4096:c2FsdA==$a=:b=", Fault::LooksLikeHash),
            ("tab\tinside", Fault::Unprepared),
            ("tab at the end\t", Fault::Unprepared),
            ("😀", Fault::Unprepared),
            ("\u{ad}", Fault::Empty),
        ] {
            for format in [Format::AppPassword, Format::OwnerPassword] {
                assert_eq!(format.check(password.as_bytes()), Err(fault), "{format:?} {password:?}");
            }
            assert_eq!(Format::RedisPassword.check(password.as_bytes()), Ok(()), "{password:?}");
        }
        assert_eq!(Format::AppPassword.check(long.as_bytes()), Err(Fault::TooLong(1024)));
        assert_eq!(Format::OwnerPassword.check(long.as_bytes()), Ok(()));
    }

    #[test]
    fn each_part_has_its_longest_password() {
        for (format, limit) in [(Format::AppPassword, 1024), (Format::OwnerPassword, 131_060), (Format::RedisPassword, 16_384)] {
            assert_eq!(format.check("a".repeat(limit).as_bytes()), Ok(()), "{format:?}");
            assert_eq!(format.check("a".repeat(limit + 1).as_bytes()), Err(Fault::TooLong(limit)), "{format:?}");
        }
    }

    #[test]
    fn keys_are_lines_of_an_id_and_digits() {
        let key = format!("k1 {}", "0a".repeat(32));
        for text in [key.clone(), format!("{key}\n"), format!("{key}\r\n"), format!("{key}\n{key}\n")] {
            assert_eq!(Format::KeyRing.check(text.as_bytes()), Ok(()), "{text:?}");
        }
        for (text, fault) in [
            (String::new(), Fault::Empty),
            ("\n".to_owned(), Fault::NoKey(1)),
            ("generated".to_owned(), Fault::NoKey(1)),
            (format!("{key}\n\n"), Fault::NoKey(2)),
            (format!("{key}0"), Fault::NoKey(1)),
            (format!("K1 {}", "0a".repeat(32)), Fault::NoKey(1)),
        ] {
            assert_eq!(Format::KeyRing.check(text.as_bytes()), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn a_mail_url_is_one_that_the_api_takes() {
        for url in ["smtps://user:p%40ss@smtp.example.org", "smtp://localhost:2525\n", "smtp://m.example.org?tls=required\r\n"] {
            assert_eq!(Format::MailUrl.check(url.as_bytes()), Ok(()), "{url:?}");
        }
        for (url, fault) in [
            ("", Fault::Empty),
            ("smtp.example.org", Fault::NoMailUrl),
            ("smtps://", Fault::NoMailUrl),
            ("https://smtp.example.org", Fault::NoMailUrl),
            ("smtp://m.example.org?tls=maybe", Fault::NoMailUrl),
            ("file:///tmp/mail", Fault::NoMailUrl),
            ("smtp://a\nsmtp://b", Fault::SeveralLines),
        ] {
            assert_eq!(Format::MailUrl.check(url.as_bytes()), Err(fault), "{url:?}");
        }
        assert_eq!(Format::MailUrlOrFolder.check(b"file:///tmp/mail"), Ok(()));
    }

    #[test]
    fn the_password_of_a_person_is_one_that_an_account_can_have() {
        for password in ["12345678", "com acentuação e espaço \r\n"] {
            assert_eq!(Format::PersonPassword.check(password.as_bytes()), Ok(()), "{password:?}");
        }
        for password in ["1234567", "12345678\t", &"a".repeat(151)] {
            assert_eq!(Format::PersonPassword.check(password.as_bytes()), Err(Fault::NoPersonPassword), "{password:?}");
        }
    }

    #[test]
    fn every_generated_value_has_its_format() {
        for secret in GeneratedSecret::ALL {
            let data = secret.data(|bytes| "0f".repeat(bytes));
            let keys: BTreeSet<&str> = data.keys().map(String::as_str).collect();
            assert_eq!(of_generated(secret).iter().map(|(key, _)| *key).collect::<BTreeSet<_>>(), keys, "{secret:?}");
            let stored = |value: &String| json!(ByteString(value.clone().into_bytes()));
            let stored: Value = data.iter().map(|(key, value)| (key.clone(), stored(value))).collect::<serde_json::Map<_, _>>().into();
            assert_eq!(faults(&stored, of_generated(secret)), BTreeMap::new(), "{secret:?}");
        }
    }

    #[test]
    fn a_missing_key_is_no_fault_of_a_value() {
        assert_eq!(faults(&json!({"app-password": "eA=="}), of_generated(GeneratedSecret::Database)), BTreeMap::new());
        assert_eq!(faults(&json!({"app-password": ""}), of_generated(GeneratedSecret::Database)), [("app-password", Fault::Empty)].into());
        assert_eq!(faults(&Value::Null, of_generated(GeneratedSecret::Redis)), BTreeMap::new());
    }
}
