//! Labelling: what teachers say of texts, computed once and kept in a file that students learn from.

mod command;
mod settings;

pub use command::{Labelled, label};
pub use settings::LabelSettings;
