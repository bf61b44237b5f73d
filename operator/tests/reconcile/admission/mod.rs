//! What the API server accepts, refuses and stores: every rule and every bound of the definition, through every way in.

mod asking;
mod bounds;
mod cases;
mod fields;
mod places;
mod rules;
#[path = "../../it/schema.rs"]
mod schema;

pub(crate) use self::cases::bases;
pub(crate) use self::places::{Accepted, accepted_changes};
