//! Batches of texts in random order. The texts of a batch have similar lengths, and the number of
//! tokens in a batch is limited.

use crate::classification::EncodedExample;
use crate::random::{Purpose, Stream};
use crate::texts::{SourceShare, order_of_epoch};

/// Number of texts that are sorted by length together.
const SORTED_TOGETHER: usize = 4096;

/// Batches of every step. Their order depends on nothing but the seed.
#[derive(Debug)]
pub struct Batches {
    /// For each text with its copies, the tokens of the longest row and the number of rows.
    sizes: Vec<(usize, usize)>,
    parts: Vec<SourceShare>,
    batch_tokens: usize,
    seed: u64,
    epoch: u64,
    /// Number of steps before the current epoch.
    before: u64,
    batches: Vec<Vec<usize>>,
}

impl Batches {
    /// Computes the batches of the first epoch. `parts` are ranges of `texts`. A text that has more
    /// than `batch_tokens` tokens with its copies is a batch of its own.
    pub fn new(texts: &[EncodedExample], parts: Vec<SourceShare>, batch_tokens: usize, seed: u64) -> Self {
        let sizes = texts.iter().map(|text| (text.longest(), text.rows())).collect();
        let mut it = Self { sizes, parts, batch_tokens, seed, epoch: 0, before: 0, batches: Vec::new() };
        it.batches = it.of_epoch(0);
        it
    }

    /// Returns the indices of the texts of `step`, counted from 0. Steps must not decrease.
    pub fn of_step(&mut self, step: u64) -> &[usize] {
        while step >= self.before + self.batches.len() as u64 {
            self.before += self.batches.len() as u64;
            self.epoch += 1;
            self.batches = self.of_epoch(self.epoch);
        }
        &self.batches[(step - self.before) as usize]
    }

    /// Returns the number of steps in the current epoch.
    pub fn per_epoch(&self) -> usize {
        self.batches.len()
    }

    fn of_epoch(&self, epoch: u64) -> Vec<Vec<usize>> {
        let mut order = order_of_epoch(&self.parts, self.seed, epoch);
        let mut batches = Vec::new();
        for together in order.chunks_mut(SORTED_TOGETHER) {
            together.sort_by_key(|&index| self.sizes[index].0);
            let (mut batch, mut rows): (Vec<usize>, usize) = (Vec::new(), 0);
            for &index in together.iter() {
                let (longest, more) = self.sizes[index];
                if (rows + more) * longest > self.batch_tokens && !batch.is_empty() {
                    batches.push(std::mem::take(&mut batch));
                    rows = 0;
                }
                batch.push(index);
                rows += more;
            }
            batches.push(batch);
        }
        Stream::new(self.seed, Purpose::Batches, epoch).shuffle(&mut batches);
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_full_and_resume_anywhere() {
        let texts: Vec<EncodedExample> =
            (0..10_000).map(|index| EncodedExample::new(vec![0; 3 + index % 60], 0)).collect();
        let parts = vec![
            SourceShare { texts: 0..2000, share: 1.0 },
            SourceShare { texts: 2000..10_000, share: 0.25 },
        ];
        let new = || Batches::new(&texts, parts.clone(), 512, 3);
        let mut batches = new();
        let steps = batches.per_epoch() as u64;
        let first: Vec<Vec<usize>> = (0..steps).map(|step| batches.of_step(step).to_vec()).collect();
        let padded =
            |batch: &Vec<usize>| batch.len() * batch.iter().map(|&it| texts[it].ids.len()).max().unwrap();
        assert!(first.iter().all(|batch| padded(batch) <= 512));
        let all = first.concat();
        let tokens: usize = all.iter().map(|&index| texts[index].ids.len()).sum();
        assert!(tokens as f64 > 0.9 * (steps * 512) as f64, "{tokens} of {steps}");
        assert_eq!(all.iter().filter(|&&index| index < 2000).count(), 2000);
        assert_eq!(all.len(), 4000);
        let next = batches.of_step(steps + 3).to_vec();
        assert_eq!(new().of_step(steps + 3), next);
    }
}
