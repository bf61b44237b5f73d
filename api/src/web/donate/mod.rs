//! Giving: the form, the PIX to pay, the thanks. Pages of one person each, which no cache keeps.

pub(crate) mod amounts;
pub(super) mod form;
pub(super) mod order;
pub(super) mod pix;
pub(super) mod thanks;
