//! Labelling: the answers of teachers to texts are computed once and stored in a file, from which
//! students learn.

mod command;
mod settings;

pub use command::{Labelled, label};
pub use settings::LabelSettings;
