//! The command `label`.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tch::{Kind, Tensor};

use super::settings::LabelSettings;
use crate::answers::{AnswerFile, Header, Keys, Teacher, checksum};
use crate::batch::LabelledBatch;
use crate::classification::{EncodedExample, tokenizer_of};
use crate::distil::Teachers;
use crate::distributed::{Processes, World};
use crate::error::{Error, Result};
use crate::model::folder::{Folder, WEIGHTS};
use crate::run::{Progress, read_settings};
use crate::texts::{Reading, order_of_epoch, read_texts};

/// Number of texts that are sorted by length together, as one block.
const TOGETHER: usize = 2048;

/// Result of a labelling.
#[derive(Debug)]
pub struct Labelled {
    /// Number of texts in the file.
    pub texts: usize,
    /// Number of texts that this run labelled.
    pub now: usize,
    /// Tokens of the texts that this run labelled, without padding.
    pub tokens: usize,
}

/// Computes the answers of the classifiers in `teachers` to the texts of `settings`, and writes the
/// mean of their probabilities into `output`. If `output` holds the first of these answers,
/// continues after them.
///
/// Under `torchrun` each process computes a share of the texts. Only the first of them uses
/// `output` and returns a result.
pub fn label(
    teachers: &[PathBuf],
    settings: &Path,
    overrides: &[String],
    output: &Path,
) -> Result<Option<Labelled>> {
    let world = World::from_environment()?;
    let mut settings: LabelSettings = read_settings(settings, overrides)?;
    for source in &mut settings.data.train {
        // Copies have the answers of their texts.
        source.augment = None;
    }
    let device = settings.run.device.find_for(world.local_rank)?;
    let processes = Processes::join(world.clone(), device)?;
    if world.leads() {
        settings.run.precision.warn_where_slow(device);
    }
    let labels = &settings.data.labels;
    let Some(first) = teachers.first() else {
        return Err(Error::field(output, "teachers", "none", "at least one"));
    };
    let tokenizer = tokenizer_of(&Folder::read(first)?)?;
    let live = Teachers::read(teachers, labels, &tokenizer, settings.run.precision, device)?;
    if live.longest() < settings.data.max_length as i64 {
        let expected = format!("at most {}, the longest input of the teachers", live.longest());
        return Err(Error::field(first, "data.max_length", settings.data.max_length.to_string(), expected));
    }
    let reading = Reading {
        labels,
        tokenizer: &tokenizer,
        longest: settings.data.max_length,
        labelled: false,
        kept_back: 0.0,
    };
    let texts = read_texts(&settings.data.train, &reading)?;
    let (order, keys) = ordered(
        &texts.examples,
        &order_of_epoch(&texts.parts, settings.answers.seed, 0),
        &Keys::of(&tokenizer)?,
    );
    let known: Vec<String> =
        labels.iter().zip(&live.known).filter(|(_, known)| **known).map(|(it, _)| it.clone()).collect();
    let teachers = teachers.iter().map(|it| teacher(it)).collect::<Result<Vec<_>>>()?;
    let header = Header::new(&known, teachers, settings.answers.temperature, settings.data.max_length, &keys);
    let (mut file, done) = match world.leads() {
        true => AnswerFile::open(output, &header).map(|(file, done)| (Some(file), done))?,
        false => (None, 0),
    };
    let done = processes.share_number(done as u64)? as usize;
    let mut progress = match world.leads() {
        true => Progress::new("label", order.len() as u64, done as u64),
        false => Progress::silent(),
    };
    let (since, mut tokens) = (Instant::now(), 0);
    let of = |at: usize| &texts.examples[order[at]];
    let columns: Vec<i64> =
        (0..labels.len()).filter(|&label| live.known[label]).map(|it| it as i64).collect();
    let columns = Tensor::f_from_slice(&columns)?.f_to_device(device)?;
    let batches = batches(order.len(), done, |at| of(at).ids.len(), settings.run.batch_tokens);
    for together in batches.chunks(world.size as usize) {
        let (start, end) = (together[0].start, together[together.len() - 1].end);
        let shape = [(end - start) as i64, columns.size()[0]];
        let logs = Tensor::f_zeros(shape, (Kind::Float, device))?;
        if let Some(own) = together.get(world.rank as usize) {
            let batch = LabelledBatch::without_copies(own.clone().map(of), tokenizer.special.pad, device)?;
            let (_, found) = live.teach(&batch, settings.answers.temperature, false)?;
            let mut rows = logs.f_narrow(0, (own.start - start) as i64, own.len() as i64)?;
            rows.f_copy_(&found.f_index_select(1, &columns)?)?;
        }
        // Each process has zeros in the rows of the others, so the sum has every row.
        processes.sum(&logs)?;
        let logs: Vec<f32> = Vec::try_from(logs.f_flatten(0, -1)?)?;
        if logs.iter().any(|it| it.is_nan()) {
            return Err(Error::field(first, "logits", "no number", "finite ones from every teacher"));
        }
        if let Some(file) = &mut file {
            let rows = logs.chunks(known.len());
            file.append(&keys[start..end].iter().copied().zip(rows).collect::<Vec<_>>())?;
        }
        tokens += (start..end).map(|at| of(at).ids.len()).sum::<usize>();
        progress.step(end as u64);
        let speed = tokens as f64 / since.elapsed().as_secs_f64();
        progress.report(end as u64, &format!("{speed:.0} tokens/s"));
    }
    Ok(world.leads().then_some(Labelled { texts: order.len(), now: order.len() - done, tokens }))
}

/// Divides the texts from `done` to `texts` into batches of at most `batch_tokens` tokens. The
/// first text of a batch is its longest; `length` returns the length of a text. A batch ends where
/// a block ends.
fn batches(
    texts: usize,
    done: usize,
    length: impl Fn(usize) -> usize,
    batch_tokens: usize,
) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let mut start = done;
    while start < texts {
        let block = (start - start % TOGETHER + TOGETHER).min(texts);
        let end = (start + (batch_tokens / length(start)).max(1)).min(block);
        batches.push(start..end);
        start = end;
    }
    batches
}

/// Returns the texts of `order` without repeated texts, and their keys. Each block begins with its
/// longest texts.
fn ordered(examples: &[EncodedExample], order: &[usize], keys: &Keys) -> (Vec<usize>, Vec<u64>) {
    let mut seen = std::collections::HashSet::new();
    let mut order: Vec<usize> =
        order.iter().copied().filter(|&index| seen.insert(keys.of_text(&examples[index].ids))).collect();
    for together in order.chunks_mut(TOGETHER) {
        together.sort_by_key(|&index| std::cmp::Reverse(examples[index].ids.len()));
    }
    let keys = order.iter().map(|&index| keys.of_text(&examples[index].ids)).collect();
    (order, keys)
}

fn teacher(path: &Path) -> Result<Teacher> {
    let file = path.join(WEIGHTS);
    let bytes = fs::read(&file).map_err(Error::read(&file))?;
    let folder = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(Teacher { folder, checksum: format!("{:016x}", checksum(&bytes)) })
}
