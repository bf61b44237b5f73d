//! The languages of the pages. Which one is in the path, so that an address has one page.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::text::{Catalogue, en, pt};
use crate::domain::money_text::NumberStyle;

/// A language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    /// Brazilian Portuguese, at the paths without a prefix.
    Portuguese,
    /// English, at the same paths below `/en`.
    English,
}

impl Language {
    /// Every language.
    pub(crate) const ALL: [Self; 2] = [Self::Portuguese, Self::English];

    /// The language of a path, and the path without it.
    pub(crate) fn of(path: &str) -> (Self, &str) {
        match path.strip_prefix("/en") {
            Some("") => (Self::English, "/"),
            Some(rest) if rest.starts_with('/') => (Self::English, rest),
            _ => (Self::Portuguese, path),
        }
    }

    /// What paths in this language begin with.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Portuguese => "",
            Self::English => "/en",
        }
    }

    /// Its name as HTML wants it (BCP 47).
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::Portuguese => "pt-BR",
            Self::English => "en",
        }
    }

    /// Its name in itself.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Portuguese => "Português",
            Self::English => "English",
        }
    }

    /// The one that a page offers beside this one.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Portuguese => Self::English,
            Self::English => Self::Portuguese,
        }
    }

    /// The catalogue.
    pub(crate) const fn texts(self) -> &'static Catalogue {
        match self {
            Self::Portuguese => &pt::TEXTS,
            Self::English => &en::TEXTS,
        }
    }

    /// How numbers are written.
    pub(crate) const fn numbers(self) -> NumberStyle {
        match self {
            Self::Portuguese => NumberStyle::CommaDecimals,
            Self::English => NumberStyle::PointDecimals,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Language {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts.uri.path()).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_of_a_path_is_its_language() {
        for (path, language, rest) in [
            ("/", Language::Portuguese, "/"),
            ("/en", Language::English, "/"),
            ("/en/", Language::English, "/"),
            ("/en/campanhas/a", Language::English, "/campanhas/a"),
            ("/ensino", Language::Portuguese, "/ensino"),
            ("/campanhas/en", Language::Portuguese, "/campanhas/en"),
        ] {
            assert_eq!(Language::of(path), (language, rest), "{path}");
        }
        for language in Language::ALL {
            assert_eq!(Language::of(&format!("{}/x", language.prefix())).0, language);
            assert_ne!(language.other(), language);
        }
    }
}
