//! Texts to learn from: files, their parts, changed copies of them, and the selection for an epoch.

mod augment;
mod order;
mod source;

pub use augment::{Augment, Kind};
pub use order::{Part, order_of_epoch};
pub use source::{Parts, Reading, TextSource, Texts, read_texts, read_whole};
