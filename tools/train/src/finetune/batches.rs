//! Batches of labelled texts in random order. The texts of a batch have similar lengths, so that
//! there is little padding.

use crate::classification::EncodedExample;
use crate::random::{Purpose, Stream};
use crate::texts::{SourceShare, order_of_epoch};

/// Number of batches whose texts are sorted by length together.
const SORTED_TOGETHER: usize = 50;

/// Returns the indices of the examples in every batch of `epoch`.
pub fn batches_of_epoch(
    examples: &[EncodedExample],
    parts: &[SourceShare],
    batch_size: usize,
    seed: u64,
    epoch: u64,
) -> Vec<Vec<usize>> {
    let mut order = order_of_epoch(parts, seed, epoch);
    let mut batches = Vec::new();
    for together in order.chunks_mut(batch_size.saturating_mul(SORTED_TOGETHER)) {
        together.sort_by_key(|&index| examples[index].longest());
        batches.extend(together.chunks(batch_size).map(<[usize]>::to_vec));
    }
    Stream::new(seed, Purpose::Batches, epoch).shuffle(&mut batches);
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_once_in_batches_of_like_length() {
        let examples: Vec<EncodedExample> =
            (0..1000).map(|index| EncodedExample::new(vec![0; 1 + index % 97], 0)).collect();
        let parts = [SourceShare { texts: 0..1000, share: 1.0 }];
        let batches = batches_of_epoch(&examples, &parts, 8, 3, 0);
        assert_eq!(batches.len(), 125);
        let mut all: Vec<usize> = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        let spread = |batch: &Vec<usize>| {
            let lengths = batch.iter().map(|&index| examples[index].ids.len());
            lengths.clone().max().unwrap() - lengths.min().unwrap()
        };
        assert!(batches.iter().map(spread).sum::<usize>() < 8 * batches.len());
        assert_ne!(batches, batches_of_epoch(&examples, &parts, 8, 3, 1));
    }
}
