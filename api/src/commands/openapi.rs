//! `api openapi`: prints the description of the API.

use super::CommandError;
use crate::config::Profile;
use crate::http::openapi;

/// Prints the OpenAPI document of the routes that `profile` serves, as JSON.
pub fn run(profile: Profile) -> Result<(), CommandError> {
    println!("{}", openapi::document(profile).to_pretty_json()?);
    Ok(())
}
