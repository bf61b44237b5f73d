//! `/pessoas`

pub mod create;
