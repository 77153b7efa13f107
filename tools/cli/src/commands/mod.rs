//! One module per command.

pub(crate) mod classify;
pub(crate) mod detect;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod footprint;
#[cfg(all(unix, feature = "http"))]
pub(crate) mod health;
pub(crate) mod inspect;
#[cfg(feature = "pack")]
pub(crate) mod pack;
pub(crate) mod profile;
pub(crate) mod self_test;
#[cfg(unix)]
pub(crate) mod serve;
#[cfg(feature = "sign")]
pub(crate) mod sign;
pub(crate) mod tokenize;
pub(crate) mod update;
pub(crate) mod verify;
