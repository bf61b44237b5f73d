//! What the tests share: servers, a world of its own for each test, and stand-ins for what most worlds do not have.

pub(crate) mod faults;
pub(crate) mod names;
mod obstacles;
mod operator;
mod picture;
pub(crate) mod server;
mod stand_ins;
mod waiting;
mod world;

use std::error::Error;

pub(crate) use self::operator::Running;
pub(crate) use self::picture::{assert_same, drive, picture};
pub(crate) use self::waiting::{REPAIR_TIMEOUT, STEP_TIMEOUT, eventually, rests, within};
pub(crate) use self::world::{World, ready, world, world_with_controllers};

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
