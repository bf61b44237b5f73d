//! JSON bodies and query strings, with errors that name the field and the rule.

use std::borrow::Cow;
use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::value::{Error as ValueError, MapAccessDeserializer, MapDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::pasted;
use crate::domain::text::is_blank;
use crate::http::problem::{Code, Problem};
use crate::state::AppState;

/// A JSON body, together with the bytes it came in.
#[derive(Debug)]
pub struct ApiJson<T>(pub T, pub Bytes);

impl<T: DeserializeOwned> FromRequest<AppState> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(Code::UnsupportedMediaType, "Envie o cabeçalho `Content-Type: application/json`."));
        }
        let bytes = read(request, state).await?;
        let value = parse(&bytes)?;
        Ok(Self(value, bytes))
    }
}

/// No body, or `{}`.
#[derive(Debug)]
pub struct NoBody;

impl FromRequest<AppState> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let bytes = read(request, state).await?;
        if bytes.is_empty() {
            return Ok(Self);
        }
        let object: serde_json::Map<String, serde_json::Value> = parse(&bytes)?;
        match object.keys().next() {
            None => Ok(Self),
            Some(field) => Err(Problem::invalid(field, UNKNOWN_FIELD)),
        }
    }
}

/// A query string.
#[derive(Debug)]
pub struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        if !is_encoded(query) {
            return Err(Problem::new(Code::Malformed, "Há `%` sem dois algarismos hexadecimais na consulta, ou ela não é UTF-8."));
        }
        let pairs = MapDeserializer::new(form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name, Parameter(value))));
        serde_path_to_error::deserialize(pairs).map(Self).map_err(|error| invalid(&error.path().to_string(), &error.inner().to_string()))
    }
}

/// The value of a query parameter. A blank value, which forms send for an empty field, counts as absent.
struct Parameter<'a>(Cow<'a, str>);

impl<'de> IntoDeserializer<'de, ValueError> for Parameter<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Numbers and flags are read from their text.
macro_rules! read_from_text {
    ($($deserialize:ident => $visit:ident: $type:ty),+ $(,)?) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            match self.0.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(serde::de::Error::invalid_value(Unexpected::Str(&self.0), &stringify!($type))),
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for Parameter<'de> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if is_blank(&self.0) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.0.into_deserializer().deserialize_enum(name, variants, visitor)
    }

    read_from_text! {
        deserialize_bool => visit_bool: bool,
        deserialize_u8 => visit_u8: u8,
        deserialize_u32 => visit_u32: u32,
        deserialize_i32 => visit_i32: i32,
        deserialize_i64 => visit_i64: i64,
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
        i8 i16 i128 u16 u64 u128 f32 f64
    }
}

/// Whether every `%` has its two digits and all of it is UTF-8; the parser would put something else in place of the rest.
fn is_encoded(query: &str) -> bool {
    let mut parts = query.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let Some((digits, rest)) = part.split_at_checked(2) else { return false };
        let Ok(byte) = u8::from_str_radix(digits, 16) else { return false };
        if digits.starts_with('+') {
            return false;
        }
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// The body is whole and within its limit already; see `layers`.
async fn read(request: Request, state: &AppState) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|_| Problem::new(Code::Malformed, "O corpo não pôde ser lido."))
}

/// The problem of a body over the limit.
pub fn too_large() -> Problem {
    Problem::new(Code::TooLarge, "O corpo tem no máximo 65.536 bytes.")
}

/// Whether the body says that it is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // serde takes an array for a struct, field by field; the contract does not.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Problem::invalid("corpo", "use um objeto"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner();
        // An array where a word of a closed set belongs is a syntax error to serde_json, though the text is JSON.
        if inner.is_data() || serde_json::from_slice::<serde_json::Value>(bytes).is_ok() {
            invalid(&path, &inner.to_string())
        } else {
            Problem::new(Code::BadJson, format!("Erro na linha {}, coluna {}.", inner.line(), inner.column()))
        }
    })?;
    json.end().map_err(|_| Problem::new(Code::BadJson, "Há texto depois do JSON."))?;
    Ok(value)
}

const UNKNOWN_FIELD: &str = "campo desconhecido";

/// serde's words in the language of the API. Its kinds of error are told apart by nothing but their text; what is not
/// recognised is still named by its path.
fn invalid(path: &str, message: &str) -> Problem {
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let beside = |name: &str| match path.rsplit_once('.') {
        Some((parent, last)) if last == name => format!("{parent}.{name}"),
        _ if path == "." || path == "?" || path == name => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    if message.starts_with("unknown field") {
        return Problem::invalid(&beside(quoted), UNKNOWN_FIELD);
    }
    if message.starts_with("missing field") {
        return Problem::invalid(&beside(quoted), "campo obrigatório");
    }
    if message.starts_with("duplicate field") {
        return Problem::invalid(&beside(quoted), "campo repetido");
    }
    let campo = if path == "." { "corpo" } else { path };
    // From the end: what was sent stands before it, and may be anything.
    let reason = match message.rsplit_once("expected ").map(|(_, expected)| expected.split(" at line").next().unwrap_or(expected)) {
        Some(expected) if message.starts_with("unknown variant") => {
            format!("use um destes valores: {}", expected.trim_start_matches("one of "))
        }
        Some("i64" | "u8" | "u32" | "i32") => "use um número inteiro, sem aspas e sem frações".to_owned(),
        Some(TIMESTAMP_NAME) => "use data e hora com o fuso (RFC 3339), como 2026-12-31T23:59:59-03:00; só a data não basta".to_owned(),
        Some("a string") => "use um texto entre aspas".to_owned(),
        Some("a boolean" | "bool") => "use true ou false".to_owned(),
        Some(expected) if expected.starts_with("struct") || expected.starts_with("a map") => "use um objeto".to_owned(),
        // An array or an object where a word of a closed set belongs.
        Some("value" | "string or map" | "variant identifier") => "use um texto entre aspas, um dos que a documentação lista".to_owned(),
        _ if message.starts_with("UUID parsing failed") || message.contains("expected a formatted UUID") => {
            "use um UUID, como 018f3b1e-7d1c-7c5e-9a52-0c6f6d3f7a10".to_owned()
        }
        _ if message.starts_with("key must be a string") => "use um texto entre aspas, um dos que a documentação lista".to_owned(),
        _ => "o valor não tem o tipo ou a forma deste campo; veja-o na documentação, em /docs".to_owned(),
    };
    Problem::invalid(campo, reason)
}

/// The name of a timestamp in the errors of serde, by which a refused one is recognised and told how to write it.
const TIMESTAMP_NAME: &str = "an RFC 3339 timestamp";

/// Reads a time with its offset, in RFC 3339. A date alone is refused, since it names no instant.
struct Timestamp;

impl Visitor<'_> for Timestamp {
    type Value = OffsetDateTime;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(TIMESTAMP_NAME)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OffsetDateTime, E> {
        OffsetDateTime::parse(text.trim(), &Rfc3339).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Deserialises a timestamp that must be there.
pub fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    deserializer.deserialize_str(Timestamp)
}

/// Deserialises a timestamp; `None` for null and for a blank text.
pub fn optional_timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
    struct Optional;

    impl<'de> Visitor<'de> for Optional {
        type Value = Option<OffsetDateTime>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Timestamp.expecting(formatter)
        }

        fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_str(self)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            if is_blank(text) { Ok(None) } else { Timestamp.visit_str(text).map(Some) }
        }
    }

    deserializer.deserialize_option(Optional)
}

/// Deserialises a change of a timestamp: null or a blank text removes it (`Some(None)`). The field's default stands for no change.
pub fn clearable_timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<OffsetDateTime>>, D::Error> {
    optional_timestamp(deserializer).map(Some)
}

/// Deserialises a text, which must not be null; `None` for a blank text, which forms send for an empty field.
pub fn present_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(|text| Some(text).filter(|text| !is_blank(text)))
}

/// Deserialises a change of a text: null or a blank text removes it (`Some(None)`). The field's default stands for no change.
pub fn clearable_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| Some(text.filter(|text| !is_blank(text))))
}

/// Deserialises an id that people copy from a page or a letter: whatever was copied along with it is removed.
pub fn pasted_id<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Pasted<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Pasted<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a formatted UUID string")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            T::deserialize(pasted::id(text).into_deserializer())
        }
    }

    deserializer.deserialize_str(Pasted(PhantomData))
}

/// A field that may be absent but not null.
pub fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// An object within the body. serde by itself takes an array for a struct, field by field; the contract does not.
pub fn object<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("struct")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Object(PhantomData))
}

/// Like [`object`], and may be absent but not null.
pub fn present_object<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    object(deserializer).map(Some)
}

/// A field that may be absent (stays), null (is taken away) or a value.
pub fn clearable<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Body {
        valor_centavos: i64,
        #[serde(default, deserialize_with = "present")]
        nome: Option<String>,
    }

    fn refusal(json: &str) -> (String, String) {
        let problem = parse::<Body>(json.as_bytes()).unwrap_err();
        match problem.violations.first() {
            Some(violation) => (violation.campo.clone(), violation.razao.clone()),
            None => (problem.code.slug().to_owned(), problem.detail.into_owned()),
        }
    }

    #[test]
    fn each_mistake_names_its_field_and_the_rule() {
        let whole = "use um número inteiro, sem aspas e sem frações";
        for value in ["1.5", "\"10\"", "null", "true", "1e3", "99999999999999999999", "[]"] {
            let (field, reason) = refusal(&format!("{{\"valor_centavos\": {value}}}"));
            assert_eq!((field.as_str(), reason.as_str()), ("valor_centavos", whole), "{value}");
        }
        assert_eq!(refusal("{}"), ("valor_centavos".into(), "campo obrigatório".into()));
        assert_eq!(refusal("{\"valor_centavos\":1,\"x\":2}"), ("x".into(), UNKNOWN_FIELD.into()));
        assert_eq!(refusal("{\"valor_centavos\":1,\"valor_centavos\":2}"), ("valor_centavos".into(), "campo repetido".into()));
        assert_eq!(refusal("{\"valor_centavos\":1,\"nome\":null}").0, "nome");
        assert_eq!(refusal("[1]").0, "corpo");
        for bad in ["", "{", "{\"valor_centavos\":1} x", "\u{feff}{}", "{\"valor_centavos\":1e400}"] {
            assert_eq!(refusal(bad).0, "json-invalido", "{bad}");
        }
    }

    #[test]
    fn a_query_is_percent_encoded_utf8() {
        for good in ["", "q=a%20b&x=%C3%A7", "q=100%25"] {
            assert!(is_encoded(good), "{good}");
        }
        for bad in ["%", "q=%z1", "q=%1", "q=%+1", "q=%ff", "q=%C3", "q=%C3&%A7", "%ç"] {
            assert!(!is_encoded(bad), "{bad}");
        }
    }

    #[test]
    fn bad_utf8_is_bad_json() {
        let problem = parse::<Body>(b"{\"valor_centavos\":1,\"nome\":\"\xff\"}").unwrap_err();
        assert_eq!(problem.code, Code::BadJson);
    }
}
