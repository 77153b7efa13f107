//! Texts to learn from: files, their parts, changed copies of them, and the selection for an epoch.

mod augment;
mod order;
mod source;

pub use augment::{Augment, Kind};
pub use order::{SourceShare, order_of_epoch};
pub use source::{LongTexts, Reading, TextSource, Texts, read_texts, read_whole};
