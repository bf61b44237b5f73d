//! `/senhas`

pub mod ask_reset;
pub mod reset;
