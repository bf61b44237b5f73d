//! Forms that browsers send: `application/x-www-form-urlencoded`, read field by field, so that a refused one can be shown again with all
//! that was typed.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;

use crate::domain::text::is_blank;
use crate::http::problem::{Code, Problem};
use crate::state::AppState;

/// The fields of a form, in the order sent.
#[derive(Clone, Debug)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// What the field `name` holds; empty where it was not sent. The first of several counts.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// What the field `name` holds, unless it is blank.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !is_blank(text))
    }
}

impl FromRequest<AppState> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Problem::new(Code::UnsupportedMediaType, "Envie application/x-www-form-urlencoded."));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|_| Problem::new(Code::Malformed, "O corpo não pôde ser lido."))?;
        Ok(Self(form_urlencoded::parse(&bytes).into_owned().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_its_first_value_and_blank_is_not_filled() {
        let form = Form(form_urlencoded::parse(b"a=1&a=2&b=+%09&c=%C3%A9").into_owned().collect());
        assert_eq!((form.text("a"), form.text("b"), form.text("c"), form.text("d")), ("1", " \t", "é", ""));
        assert_eq!((form.filled("a"), form.filled("b"), form.filled("d")), (Some("1"), None, None));
    }
}
