//! Flips bits, looks at the checksum, and runs the model on a sentence.

use std::error::Error;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use electra_core::model::format::{ALIGNMENT, FIRST_SECTION, field};
use electra_core::model::{FileChecksum, crc32};
use electra_core::tokenizer::Tokenizer;
use electra_core::{ARENA_ALIGNMENT, Engine, HeadKind, Kernels, Model, arena_bytes, verdict};

use crate::random::Random;

/// Numbers of bits that are flipped at a time.
const FLIPS: [usize; 3] = [1, 10, 100];
/// Sentences of about eight tokens. The shipped model gives two of them each of its three labels.
const SENTENCES: [&str; 6] = [
    "A warm and very funny film.",
    "The battery died after two days.",
    "The train leaves at seven.",
    "I would buy it again.",
    "Dull, lifeless and far too long.",
    "The box contains two cables.",
];
/// Longest sequence in tokens. A damaged vocabulary can make more tokens of a sentence.
const MAX_TOKENS: usize = 32;

/// Counts of all runs with the same number of flipped bits in the same part of the file.
#[derive(Default)]
pub(crate) struct Cell {
    /// Name of the section, or of the header.
    pub part: &'static str,
    /// Bits that were flipped in each run.
    pub flips: usize,
    /// Runs in which a checksum was wrong.
    pub found: usize,
    /// Runs in which the structure of the file was wrong, so that the model could not be run.
    pub refused: usize,
    /// Of the other runs, those with other tokens.
    pub other_tokens: usize,
    /// Runs with another label.
    pub other_label: usize,
    /// Runs that ended with an error, because a logit was not finite.
    pub failed: usize,
    /// Largest absolute change of a logit in each run that ended with logits.
    pub changes: Vec<f32>,
}

/// A part of the file with a checksum.
struct Part {
    name: &'static str,
    /// Its bytes with padding.
    bytes: Range<usize>,
    /// CRC-32 of a section. The header and the section table have that of the whole file.
    crc: Option<u32>,
}

/// Result of a run.
#[derive(PartialEq)]
struct Answer {
    ids: Vec<u16>,
    /// The logits and the name of the likeliest label; `None` if the run failed.
    logits: Option<(Vec<f32>, Vec<u8>)>,
}

/// Flips bits of an intact classifier. Every number of [`FLIPS`] and every part has `runs` runs.
///
/// # Errors
/// Fails if `file` is not an intact model file of a classifier.
pub(crate) fn run(file: &[u8], runs: usize, seed: u64) -> Result<Vec<Cell>, Box<dyn Error>> {
    let mut copy = vec![0; file.len() + ALIGNMENT];
    let intact = aligned(&mut copy, file);
    let model = Model::open(intact)?;
    // Bytes after the end are no part of the checksum.
    let file = model.bytes();
    if model.config().head != HeadKind::Classification {
        return Err("is a model for replaced-token detection, expected a classifier".into());
    }
    let mut expected = Vec::new();
    for sentence in SENTENCES {
        let answer = answer(&model, sentence, &mut Vec::new())?;
        expected.push(answer);
    }
    let parts = parts(&model);
    let jobs: Vec<_> = parts.iter().flat_map(|part| FLIPS.map(|flips| (part, flips))).collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || {
        let mut copy = vec![0; file.len() + ALIGNMENT];
        let bytes = aligned(&mut copy, file);
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((part, flips)) = jobs.get(index) else { break };
            let random = Random::new(seed, index as u64);
            let cell = fill_cell(bytes, part, *flips, runs, random, &expected);
            eprintln!("{}: {flips} bits done", part.name);
            done.lock().map(|mut done| done.push((index, cell))).expect("no thread panics");
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let mut cells = done.into_inner()?;
    cells.sort_by_key(|(index, _)| *index);
    Ok(cells.into_iter().map(|(_, cell)| cell).collect())
}

/// Copies `file` to the first aligned address of `block`.
fn aligned<'a>(block: &'a mut [u8], file: &[u8]) -> &'a mut [u8] {
    let start = block.as_ptr().align_offset(ALIGNMENT);
    let bytes = &mut block[start..start + file.len()];
    bytes.copy_from_slice(file);
    bytes
}

fn parts(model: &Model<'_>) -> Vec<Part> {
    let header = Part { name: "header and table", bytes: 0..FIRST_SECTION, crc: None };
    let sections = model.sections().iter().map(|section| Part {
        name: section.kind.name(),
        bytes: section.offset..section.offset + section.bytes.len().next_multiple_of(ALIGNMENT),
        crc: Some(section.crc),
    });
    std::iter::once(header).chain(sections).collect()
}

fn fill_cell(
    bytes: &mut [u8],
    part: &Part,
    flips: usize,
    runs: usize,
    mut random: Random,
    expected: &[Answer],
) -> Cell {
    let mut cell = Cell { part: part.name, flips, ..Cell::default() };
    let mut arena = Vec::new();
    for run in 0..runs {
        let bits = random.bits(&part.bytes, flips);
        flip(bytes, &bits);
        cell.found += usize::from(is_found(bytes, part));
        let index = run % SENTENCES.len();
        match Model::parse(bytes) {
            Ok(model) => cell.compare(&model, SENTENCES[index], &expected[index], &mut arena),
            Err(_) => cell.refused += 1,
        }
        flip(bytes, &bits);
    }
    cell
}

fn flip(bytes: &mut [u8], bits: &[usize]) {
    bits.iter().for_each(|bit| bytes[bit / 8] ^= 1 << (bit % 8));
}

/// Returns whether the checksum of the part is wrong. All other parts are intact.
fn is_found(bytes: &[u8], part: &Part) -> bool {
    match part.crc {
        Some(crc) => crc32(&bytes[part.bytes.clone()]) != crc,
        None => {
            let mut checksum = FileChecksum::new(&bytes[..FIRST_SECTION]);
            checksum.update(&bytes[FIRST_SECTION..]);
            bytes[field::FILE_CRC..field::FILE_CRC + 4] != checksum.finish().to_le_bytes()
        }
    }
}

impl Cell {
    fn compare(&mut self, model: &Model<'_>, sentence: &str, expected: &Answer, arena: &mut Vec<u8>) {
        let Ok(found) = answer(model, sentence, arena) else {
            self.failed += 1;
            return;
        };
        self.other_tokens += usize::from(found.ids != expected.ids);
        let (Some((logits, label)), Some((expected, expected_label))) = (found.logits, &expected.logits)
        else {
            self.failed += 1;
            return;
        };
        self.other_label += usize::from(label != *expected_label);
        let changes = logits.iter().zip(expected).map(|(logit, expected)| (logit - expected).abs());
        self.changes.push(changes.fold(0.0, f32::max));
    }
}

/// Tokenizes and runs a sentence. `arena` grows to the size that the model needs.
fn answer(model: &Model<'_>, sentence: &str, arena: &mut Vec<u8>) -> Result<Answer, Box<dyn Error>> {
    let max_tokens = MAX_TOKENS.min(model.config().max_position_embeddings);
    let mut ids = vec![0; max_tokens];
    let len = Tokenizer::new(*model.vocabulary()).encode(sentence, &mut ids)?.len;
    ids.truncate(len);
    let needed = arena_bytes(model.config(), max_tokens);
    arena.resize(arena.len().max(needed + ARENA_ALIGNMENT), 0);
    let start = arena.as_ptr().align_offset(ARENA_ALIGNMENT);
    let mut engine = Engine::new(model, Kernels::detect(), &mut arena[start..start + needed], max_tokens)?;
    let logits = engine.run(&ids).ok().and_then(|logits| {
        let (label, _) = verdict::likeliest(logits.iter().copied())?;
        Some((logits.to_vec(), model.labels().nth(label)?.as_bytes().to_vec()))
    });
    Ok(Answer { ids, logits })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model and a byte that follows it.
    const TINY: &[u8] = include_bytes!("../../../tests/fuzz/seeds/model_file/classifier");

    #[test]
    fn a_cell_finds_its_flips_and_leaves_the_model_intact() {
        let file = &TINY[..TINY.len() - 1];
        let mut block = vec![0; file.len() + ALIGNMENT];
        let bytes = aligned(&mut block, file);
        let model = Model::open(bytes).expect("a model");
        let parts = parts(&model);
        let expected: Vec<_> =
            SENTENCES.map(|sentence| answer(&model, sentence, &mut Vec::new()).expect("an answer")).into();
        for part in &parts {
            assert!(!is_found(bytes, part), "{}", part.name);
            let cell = fill_cell(bytes, part, 3, 50, Random::new(1, 2), &expected);
            assert_eq!(cell.found, 50, "{}", part.name);
            assert!(bytes == file, "{}", part.name);
        }
        // Without flips, nothing is different.
        let cell = fill_cell(bytes, &parts[0], 0, 50, Random::new(1, 2), &expected);
        assert_eq!(
            (cell.found, cell.refused, cell.other_tokens, cell.other_label, cell.failed),
            (0, 0, 0, 0, 0)
        );
        assert_eq!(cell.changes, [0.0; 50]);
    }
}
