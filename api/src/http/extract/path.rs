//! Path parameters. What cannot be a name of anything is not found.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::domain::slug::Slug;
use crate::http::problem::Problem;
use crate::state::AppState;

/// The only or first parameter of the path, a slug.
#[derive(Clone, Debug)]
pub struct SlugPath(pub Slug);

impl FromRequestParts<AppState> for SlugPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let text = parameter(parts, state, "slug").await?;
        Slug::parse(&text).map(Self).map_err(|_| Problem::not_found())
    }
}

/// The path's parameter `id`, a UUID.
#[derive(Clone, Copy, Debug)]
pub struct IdPath(pub Uuid);

impl FromRequestParts<AppState> for IdPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        uuid(parts, state, "id").await.map(Self)
    }
}

/// A parameter by name.
pub(crate) async fn parameter(parts: &mut Parts, state: &AppState, name: &str) -> Result<String, Problem> {
    let all: Vec<(String, String)> = path(parts, state).await?;
    all.into_iter().find(|(key, _)| key == name).map(|(_, value)| value).ok_or_else(Problem::not_found)
}

/// A parameter by name, a UUID.
pub(crate) async fn uuid(parts: &mut Parts, state: &AppState, name: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(&parameter(parts, state, name).await?).map_err(|_| Problem::not_found())
}

async fn path<T: DeserializeOwned + Send>(parts: &mut Parts, state: &AppState) -> Result<T, Problem> {
    // A path that is no UTF-8 once decoded names nothing.
    Path::<T>::from_request_parts(parts, state).await.map(|Path(value)| value).map_err(|_| Problem::not_found())
}

/// The path's parameter `pessoa_id`, a UUID.
#[derive(Clone, Copy, Debug)]
pub struct PersonPath(pub Uuid);

impl FromRequestParts<AppState> for PersonPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        uuid(parts, state, "pessoa_id").await.map(Self)
    }
}
