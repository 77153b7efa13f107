//! Inputs of pre-training: consecutive pieces of the text, in an order that depends on the seed and
//! the epoch.

use std::path::Path;

use rayon::prelude::*;
use tch::{Device, Tensor};

use super::settings::PretrainSettings;
use crate::data::{IdFile, Special};
use crate::device::upload;
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

/// Inputs of one forward pass, on the device.
#[derive(Debug)]
pub struct Batch {
    /// `[batch, tokens]`, i64.
    pub ids: Tensor,
    /// `[batch, masked]`, i64: positions to predict, all different within a row.
    pub positions: Tensor,
    /// `[batch, masked]`, f32 from 0 up to 1: random numbers that choose the generator's words for
    /// these positions.
    pub samples: Tensor,
}

/// A piece of the text, and its number among the inputs of the run. The number determines the
/// random numbers, so an input has the same masked positions in every process and forward pass.
struct Input {
    piece: usize,
    number: u64,
}

/// Batches of every forward pass, see the module.
#[derive(Debug)]
pub struct Batches {
    ids: IdFile,
    special: Special,
    seed: u64,
    device: Device,
    /// Tokens of an input without `[CLS]` and `[SEP]`.
    inner: usize,
    masked: usize,
    batch_size: usize,
    /// Number of pieces to train on. The pieces after them are held out.
    pieces: usize,
    held_out: usize,
    epoch: Option<(u64, Vec<u32>)>,
}

impl Batches {
    /// Divides `ids` into pieces. `vocabulary` is the file that messages name.
    pub fn new(
        ids: IdFile,
        special: Special,
        settings: &PretrainSettings,
        device: Device,
        vocabulary: &Path,
    ) -> Result<Self> {
        let inner = settings.data.sequence_length - 2;
        let held_out = settings.data.validation;
        let pieces = ids.len() / inner;
        if pieces <= held_out || u32::try_from(pieces).is_err() {
            let found = format!("{pieces} inputs of {inner} tokens");
            let expected = format!("more than the {held_out} of data.validation, and fewer than 2^32");
            return Err(Error::field(vocabulary, "data.texts", found, expected));
        }
        Ok(Self {
            ids,
            special,
            seed: settings.training.own.seed,
            device,
            inner,
            masked: settings.masked_positions(),
            batch_size: settings.training.own.batch_size,
            pieces: pieces - held_out,
            held_out,
            epoch: None,
        })
    }

    /// Returns the inputs of forward pass `pass`, counted from 0 over the whole run.
    pub fn training(&mut self, pass: u64) -> Result<Batch> {
        let first = pass * self.batch_size as u64;
        let numbers = first..first + self.batch_size as u64;
        let inputs: Vec<Input> = numbers.map(|number| Input { piece: self.piece(number), number }).collect();
        self.batch(&inputs)
    }

    /// Returns the held-out inputs, with the same masks at every call.
    pub fn validation(&self) -> impl Iterator<Item = Result<Batch>> + '_ {
        // Their numbers count down from the largest one, which no training reaches.
        let all = (0..self.held_out)
            .map(|index| Input { piece: self.pieces + index, number: u64::MAX - index as u64 });
        let all: Vec<Input> = all.collect();
        let count = self.held_out.div_ceil(self.batch_size);
        (0..count).map(move |index| {
            let range = index * self.batch_size..self.held_out.min((index + 1) * self.batch_size);
            self.batch(&all[range])
        })
    }

    /// Returns the tokens of one forward pass.
    pub fn tokens(&self) -> u64 {
        (self.batch_size * (self.inner + 2)) as u64
    }

    /// Returns the tokens of one epoch.
    pub fn epoch_tokens(&self) -> u64 {
        (self.pieces * (self.inner + 2)) as u64
    }

    fn piece(&mut self, index: u64) -> usize {
        let (epoch, place) = (index / self.pieces as u64, index % self.pieces as u64);
        if self.epoch.as_ref().is_none_or(|(current, _)| *current != epoch) {
            let mut order: Vec<u32> = (0..self.pieces as u32).collect();
            Stream::new(self.seed, Purpose::Order, epoch).shuffle(&mut order);
            self.epoch = Some((epoch, order));
        }
        match &self.epoch {
            Some((_, order)) => order[place as usize] as usize,
            None => unreachable!("the order was just made"),
        }
    }

    fn batch(&self, inputs: &[Input]) -> Result<Batch> {
        let length = self.inner + 2;
        let mut ids = vec![0; inputs.len() * length];
        let mut positions = vec![0; inputs.len() * self.masked];
        let mut samples = vec![0.0; inputs.len() * self.masked];
        let rows = ids
            .par_chunks_mut(length)
            .zip(positions.par_chunks_mut(self.masked))
            .zip(samples.par_chunks_mut(self.masked));
        rows.zip(inputs).for_each(|(((ids, positions), samples), &Input { piece, number })| {
            let words = self.ids.ids(piece * self.inner, self.inner).map(i64::from);
            ids[0] = i64::from(self.special.cls);
            ids[1..].iter_mut().zip(words).for_each(|(id, word)| *id = word);
            ids[length - 1] = i64::from(self.special.sep);
            let mut random = Stream::new(self.seed, Purpose::Masking, number);
            positions.copy_from_slice(&self.choose(ids, &mut random));
            let mut random = Stream::new(self.seed, Purpose::Samples, number);
            samples.fill_with(|| random.unit());
        });
        let shape = |columns: usize| [inputs.len() as i64, columns as i64];
        Ok(Batch {
            ids: upload(&Tensor::f_from_slice(&ids)?.f_view(shape(length))?, self.device)?,
            positions: upload(&Tensor::f_from_slice(&positions)?.f_view(shape(self.masked))?, self.device)?,
            samples: upload(&Tensor::f_from_slice(&samples)?.f_view(shape(self.masked))?, self.device)?,
        })
    }

    /// Chooses the masked positions. Every row has the same number of them, so that batches keep
    /// one shape. Separators are chosen only in a row that has too few other tokens.
    fn choose(&self, row: &[i64], random: &mut Stream) -> Vec<i64> {
        let separator = i64::from(self.special.sep);
        let inner = 1..row.len() - 1;
        let (mut words, separators): (Vec<i64>, Vec<i64>) =
            inner.map(|position| position as i64).partition(|&position| row[position as usize] != separator);
        random.choose(&mut words, self.masked);
        words.extend(separators);
        words.truncate(self.masked);
        words
    }
}
