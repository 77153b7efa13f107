//! Selection and order of the texts of an epoch.

use std::ops::Range;

use crate::random::{Purpose, Stream};

/// Texts of one source, and the share of them in an epoch.
#[derive(Clone, Debug)]
pub struct SourceShare {
    /// Indices of the texts.
    pub texts: Range<usize>,
    /// Share of the texts in an epoch.
    pub share: f64,
}

impl SourceShare {
    /// Returns the number of texts in an epoch.
    pub fn count(&self) -> usize {
        ((self.texts.len() as f64 * self.share).ceil() as usize).min(self.texts.len())
    }
}

/// Returns the indices of the texts of `epoch`: the share of each part, with different texts in
/// each epoch, in an order that follows from the seed.
pub fn order_of_epoch(parts: &[SourceShare], seed: u64, epoch: u64) -> Vec<usize> {
    let mut random = Stream::new(seed, Purpose::Order, epoch);
    let mut order = Vec::new();
    for part in parts {
        let mut texts: Vec<usize> = part.texts.clone().collect();
        if part.count() < texts.len() {
            random.choose(&mut texts, part.count());
        }
        order.extend(&texts[..part.count()]);
    }
    random.shuffle(&mut order);
    order
}
