//! `/emails`

pub mod verify;
