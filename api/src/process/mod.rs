//! What the process knows of itself: the time, whether it is ready, and whether it stops.

pub mod clock;
pub mod readiness;
pub mod shutdown;
