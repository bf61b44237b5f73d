//! What everyone may see. Nothing on these pages is of whoever asks, so one copy serves all.

pub(super) mod campaign;
pub(super) mod campaigns;
pub(super) mod donations;
pub(super) mod home;
pub(super) mod organizadora;
