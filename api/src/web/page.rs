//! What all pages share: their frame, how they are answered, and the parts that they are made of.

use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;

use super::assets::Asset;
use super::language::Language;
use super::text::{Catalogue, SITE};
use crate::cache::{Composed, Found, Media, Resource, Subject};
use crate::domain::markdown::SanitizedHtml;
use crate::http::caching;
use crate::http::problem::Problem;
use crate::state::{AppState, Core};

/// It comes from the sanitizer.
impl HtmlSafe for SanitizedHtml {}

/// The frame of a page: what its head, header and footer need.
#[derive(Clone)]
pub(crate) struct Shell {
    pub(crate) language: Language,
    /// The catalogue in the language.
    pub(crate) t: &'static Catalogue,
    /// The page's path and query without the language's prefix.
    pub(crate) here: String,
    pub(crate) title: String,
    pub(crate) description: String,
    /// Where visitors reach the site; only pages that are for everyone name it.
    pub(crate) origin: Option<String>,
    /// Whether what is shown is old, because the stores could not be asked.
    pub(crate) stale: bool,
    pub(crate) site: &'static str,
    /// The addresses of the style sheet, the script and the sprite.
    pub(crate) style: &'static str,
    pub(crate) script: &'static str,
    icons: &'static str,
}

impl Shell {
    /// The frame of a page that everyone may see and find.
    pub(crate) fn public(core: &Core, language: Language, here: String, title: String) -> Self {
        Self { origin: Some(core.public_url.origin().to_owned()), ..Self::private(language, here, title) }
    }

    /// The frame of a page that is one person's, or tells a problem.
    pub(crate) fn private(language: Language, here: String, title: String) -> Self {
        Self {
            language,
            t: language.texts(),
            here,
            title,
            description: String::new(),
            origin: None,
            stale: false,
            site: SITE,
            style: Asset::Style.url(),
            script: Asset::Script.url(),
            icons: Asset::Icons.url(),
        }
    }

    /// The address of `path` in the page's language.
    pub(crate) fn href(&self, path: &str) -> String {
        format!("{}{path}", self.language.prefix())
    }

    /// The address of this page in the other language.
    pub(crate) fn other_href(&self) -> String {
        format!("{}{}", self.language.other().prefix(), self.here)
    }

    /// The whole address of this page.
    pub(crate) fn url(&self) -> String {
        format!("{}{}", self.origin.as_deref().unwrap_or_default(), self.href(&self.here))
    }

    /// The icon `name` of the sprite, beside a text that says the same.
    pub(crate) const fn icon(&self, name: &'static str) -> Icon {
        Icon { sprite: self.icons, name }
    }

    /// The address of a picture in the sprite.
    pub(crate) fn picture(&self, name: &str) -> String {
        format!("{}#campo-{name}", self.icons)
    }
}

/// An icon, which assistive technology passes over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Icon {
    sprite: &'static str,
    name: &'static str,
}

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sprite, name } = self;
        write!(f, "<svg class=\"icone\" aria-hidden=\"true\" focusable=\"false\"><use href=\"{sprite}#{name}\"/></svg>")
    }
}

/// It holds names from the code only.
impl HtmlSafe for Icon {}

/// The language and path of the page that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    pub(crate) language: Language,
    /// Without the language's prefix and the query.
    pub(crate) path: String,
}

impl<S: Sync> FromRequestParts<S> for Here {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let (language, path) = Language::of(parts.uri.path());
        Ok(Self { language, path: path.to_owned() })
    }
}

/// A page that was made, and whether something on it is old.
pub(crate) struct MadePage<T> {
    pub(crate) page: T,
    pub(crate) stale: bool,
}

/// The page `subject` for everyone, from this process's cache or made by `compose`.
pub(crate) async fn kept<T: Template, F: Future<Output = Result<MadePage<T>, Problem>>>(
    state: &AppState,
    request: &HeaderMap,
    subject: &Subject,
    compose: impl FnOnce() -> F,
) -> Result<Response, Problem> {
    let compose = async || {
        let MadePage { page, stale } = compose().await?;
        Ok(Composed { page: Found::page(page.render().map_err(Problem::internal)?), stale })
    };
    let answer = state.cache.compose(subject, compose).await.map_err(|problem: std::sync::Arc<Problem>| (*problem).clone())?;
    let mut response = caching::show(request, &answer)?;
    caching::public_for_all(response.headers_mut());
    Ok(response)
}

/// A page for everyone that few ask for, made anew each time.
pub(crate) fn rare<T: Template>(request: &HeaderMap, page: &T) -> Result<Response, Problem> {
    let mut response = caching::respond(request, &Found::page(page.render().map_err(Problem::internal)?));
    caching::public_for_all(response.headers_mut());
    Ok(response)
}

/// A page of one person's, or of one moment.
pub(crate) fn private(status: StatusCode, page: &impl Template) -> Result<Response, Problem> {
    let html = page.render().map_err(Problem::internal)?;
    Ok((status, [(header::CONTENT_TYPE, Media::Html.content_type())], html).into_response())
}

/// A part of a page, as the API answers with it.
#[derive(Clone, Debug)]
pub(crate) struct PagePart<T> {
    pub(crate) value: T,
    /// Whether it is old, because the stores could not be asked.
    pub(crate) stale: bool,
}

/// The part that `resource` is, from the nearest place that has it; `None` where it is not there for the public.
pub(crate) async fn part<T: DeserializeOwned, R: Resource<Source = AppState>>(
    state: &AppState,
    resource: R,
) -> Result<Option<PagePart<T>>, Problem> {
    let answer = state.cache.get(state, resource).await?;
    let Some(found) = &answer.entry.found else { return Ok(None) };
    let value = serde_json::from_slice(&found.body).map_err(Problem::internal)?;
    Ok(Some(PagePart { value, stale: answer.stale }))
}

/// The first words of a longer text, for search engines and previews: its marks of Markdown are left out.
pub(crate) fn beginning(text: &str) -> String {
    const LONGEST: usize = 160;
    let plain: String = text.chars().filter(|c| !matches!(c, '#' | '*' | '_' | '>' | '`' | '[' | ']')).collect();
    let mut short = String::new();
    let mut length = 0;
    for word in plain.split_whitespace() {
        length += word.chars().count() + 1;
        if length > LONGEST {
            return if short.is_empty() { word.chars().take(LONGEST - 1).chain(['…']).collect() } else { short + " …" };
        }
        if !short.is_empty() {
            short.push(' ');
        }
        short.push_str(word);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_short_plain_and_ends_with_a_word() {
        assert_eq!(beginning("# Por quê\n\nUm **prato** por dia"), "Por quê Um prato por dia");
        assert_eq!(beginning(""), "");
        let long = beginning(&"palavra ".repeat(60));
        assert!(long.chars().count() <= 162 && long.ends_with("palavra …"), "{long}");
        let endless = beginning(&"x".repeat(500));
        assert!(endless.chars().count() <= 160 && endless.ends_with('…'), "{endless}");
    }
}
