//! The command `label`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tch::Kind;

use super::settings::LabelSettings;
use crate::answers::{AnswerFile, Header, Keys, Taught};
use crate::batch::LabelledBatch;
use crate::classification::EncodedExample;
use crate::distil::Teachers;
use crate::error::{Error, Result};
use crate::model::folder::{Folder, WEIGHTS};
use crate::run::{Progress, read_settings};
use crate::texts::{Reading, order_of_epoch, read_texts};

/// Texts that are sorted by length together; also what is written at once.
const TOGETHER: usize = 2048;

/// What a labelling came to.
#[derive(Debug)]
pub struct Labelled {
    /// Texts in the file.
    pub texts: usize,
    /// Of them, in this run.
    pub now: usize,
    /// Tokens of those, padding not counted.
    pub tokens: usize,
}

/// Writes into `output` what the classifiers in `teachers` say of the texts of `settings`, the mean of their probabilities, or
/// goes on with such a file.
pub fn label(teachers: &[PathBuf], settings: &Path, overrides: &[String], output: &Path) -> Result<Labelled> {
    let settings: LabelSettings = read_settings(settings, overrides)?;
    let device = settings.run.device.find()?;
    settings.run.precision.warn_where_slow(device);
    let labels = &settings.data.labels;
    let Some(first) = teachers.first() else {
        return Err(Error::field(output, "teachers", "none", "at least one"));
    };
    let tokenizer = crate::classification::tokenizer_of(&Folder::read(first)?)?;
    let live = Teachers::read(teachers, labels, &tokenizer, settings.run.precision, device)?;
    if live.longest() < settings.data.max_length as i64 {
        let expected = format!("at most what the teachers take, {}", live.longest());
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
    let taught = teachers.iter().map(|it| taught(it)).collect::<Result<Vec<_>>>()?;
    let header = Header::new(&known, taught, settings.answers.temperature, settings.data.max_length, &keys);
    let (mut file, done) = AnswerFile::open(output, &header)?;
    let mut progress = Progress::new("label", order.len() as u64, done as u64);
    let (since, mut tokens) = (Instant::now(), 0);
    let columns: Vec<usize> = (0..labels.len()).filter(|&label| live.known[label]).collect();
    let mut at = done;
    while at < order.len() {
        // Blocks begin at multiples, wherever the last run ended.
        let end = (at - at % TOGETHER + TOGETHER).min(order.len());
        let block: Vec<&EncodedExample> =
            order[at..end].iter().map(|&index| &texts.examples[index]).collect();
        let mut rest = &block[..];
        while let Some(longest) = rest.first() {
            let count = (settings.run.batch_tokens / longest.ids.len()).clamp(1, rest.len());
            let (now, later) = rest.split_at(count);
            rest = later;
            let batch = LabelledBatch::without_copies(now.iter().copied(), tokenizer.special.pad, device)?;
            let (_, logs) = live.teach(&batch, settings.answers.temperature, false)?;
            let logs: Vec<f32> = Vec::try_from(logs.f_to_kind(Kind::Float)?.f_flatten(0, -1)?)?;
            let rows: Vec<Vec<f32>> =
                logs.chunks(labels.len()).map(|row| columns.iter().map(|&it| row[it]).collect()).collect();
            if rows.iter().flatten().any(|it| it.is_nan()) {
                return Err(Error::field(first, "logits", "no number", "finite ones from every teacher"));
            }
            let answers: Vec<(u64, &[f32])> =
                keys[at..].iter().copied().zip(rows.iter().map(Vec::as_slice)).collect();
            file.append(&answers)?;
            at += count;
            tokens += now.iter().map(|it| it.ids.len()).sum::<usize>();
            progress.step(at as u64);
            let speed = tokens as f64 / since.elapsed().as_secs_f64();
            progress.report(at as u64, &format!("{speed:.0} tokens/s"));
        }
    }
    Ok(Labelled { texts: order.len(), now: order.len() - done, tokens })
}

/// The texts of `order` without those that come a second time, in blocks within which the longest come first; and their keys.
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

fn taught(path: &Path) -> Result<Taught> {
    let file = path.join(WEIGHTS);
    let bytes = fs::read(&file).map_err(Error::read(&file))?;
    let folder = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(Taught { folder, checksum: format!("{:016x}", crate::answers::checksum(&bytes)) })
}
