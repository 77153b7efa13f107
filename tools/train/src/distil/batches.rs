//! The order of texts: random, yet texts of one batch are about as long, and a batch is a number of tokens.

use crate::classification::EncodedExample;
use crate::random::{Purpose, Stream};
use crate::texts::{Part, order_of_epoch};

/// Texts among which are sorted by length.
const SORTED_TOGETHER: usize = 4096;

/// Batches of any step, which depend on nothing but the seed.
#[derive(Debug)]
pub struct Batches {
    /// Tokens of the longest row and rows of each text, with its copies.
    sizes: Vec<(usize, usize)>,
    parts: Vec<Part>,
    batch_tokens: usize,
    seed: u64,
    epoch: u64,
    /// Steps before the epoch that `batches` belongs to.
    before: u64,
    batches: Vec<Vec<usize>>,
}

impl Batches {
    /// `parts` are ranges of `texts`; a text that has more tokens than `batch_tokens`, with its
    /// copies, is a batch alone.
    pub fn new(texts: &[EncodedExample], parts: Vec<Part>, batch_tokens: usize, seed: u64) -> Self {
        let sizes = texts.iter().map(|text| (text.longest(), text.rows())).collect();
        let mut it = Self { sizes, parts, batch_tokens, seed, epoch: 0, before: 0, batches: Vec::new() };
        it.batches = it.of_epoch(0);
        it
    }

    /// Indices of the texts of `step`, counted from 0; steps must not go back.
    pub fn of_step(&mut self, step: u64) -> &[usize] {
        while step >= self.before + self.batches.len() as u64 {
            self.before += self.batches.len() as u64;
            self.epoch += 1;
            self.batches = self.of_epoch(self.epoch);
        }
        &self.batches[(step - self.before) as usize]
    }

    /// Steps of the epoch under way.
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
        let parts = vec![Part { texts: 0..2000, share: 1.0 }, Part { texts: 2000..10_000, share: 0.25 }];
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
