//! Setup of a distillation: the student with its vocabulary, and the stored answers to its texts.

use std::path::{Path, PathBuf};

use tch::Device;

use super::losses::map_parameters;
use super::settings::{DistilSettings, Start};
use super::start::{fitted_maps, student_tensors};
use super::teachers::Teachers;
use crate::answers::Answers;
use crate::classification::{EncodedExample, TextClassifier, tokenizer_of};
use crate::data::WordPieceTokenizer;
use crate::error::{Error, Result};
use crate::model::Family;
use crate::model::config::Head;
use crate::model::folder::Folder;
use crate::run::{Joined, Waiting};
use crate::texts::Texts;

/// Returns the tokenizer of the student's vocabulary. It comes from the folder that the student
/// begins with, else from the settings, else from the teacher.
pub(super) fn students_tokenizer(
    settings: &DistilSettings,
    initial: Option<&Folder>,
) -> Result<WordPieceTokenizer> {
    if let Some(initial) = initial {
        return tokenizer_of(initial);
    }
    if let Some(file) = &settings.student.vocabulary {
        return WordPieceTokenizer::read(file);
    }
    let missing = |found: &str| {
        let expected = "a vocab.txt of BERT's pieces, or a student.folder";
        Err(Error::field(Path::new("settings"), "student.vocabulary", found, expected))
    };
    let Some(path) = &settings.teacher.folder else { return missing("none, and no teacher that has one") };
    let folder = Folder::read(path)?;
    match folder.config.family {
        Family::Mpnet => missing("none, and an MPNet teacher, whose ids differ"),
        Family::Electra | Family::Bert => tokenizer_of(&folder),
    }
}

/// Stores in the texts the answers of the files that the settings name. If there is no other
/// teacher, texts without an answer are removed.
pub(super) fn give_answers(
    settings: &DistilSettings,
    teachers: &mut Teachers,
    tokenizer: &WordPieceTokenizer,
    texts: &mut Texts,
) -> Result<()> {
    let files = settings.teacher.answers.iter().map(PathBuf::as_path);
    let alone = teachers.first().is_none();
    let answers = Answers::read(files, &settings.data.labels, tokenizer, settings.data.max_length)?;
    let Some(answers) = answers else { return Ok(()) };
    if alone {
        teachers.known.clone_from(&answers.known);
    } else if teachers.known != answers.known {
        let expected = "answers with the labels of teacher.folder";
        return Err(Error::field(&settings.teacher.answers[0], "labels", "others", expected));
    }
    let without = answers.give(&mut texts.examples);
    eprintln!(
        "{} answers; {} of {} texts have one{}",
        answers.len(),
        texts.examples.len() - without,
        texts.examples.len(),
        if alone && without > 0 { ", the others are left out" } else { "" }
    );
    if !alone {
        return Ok(());
    }
    let mut kept = Vec::new();
    for (part, source) in texts.parts.iter_mut().zip(&settings.data.train) {
        let start = kept.len();
        kept.extend(texts.examples[part.texts.clone()].iter().filter(|it| it.taught.is_some()).cloned());
        if kept.len() == start {
            eprintln!("warning: {}: no text has an answer", source.path.display());
        }
        part.texts = start..kept.len();
    }
    if kept.is_empty() {
        let expected = "some of data.train, cut to the same data.max_length and into the same parts";
        return Err(Error::field(&settings.teacher.answers[0], "texts", "none of data.train", expected));
    }
    texts.examples = kept;
    Ok(())
}

pub(super) fn new_student(
    settings: &DistilSettings,
    initial: Option<Folder>,
    teachers: &Teachers,
    texts: &[EncodedExample],
    tokenizer: &WordPieceTokenizer,
    device: Device,
    resumes: bool,
) -> Result<TextClassifier> {
    let Joined { shared, own } = &settings.training;
    let labels = &settings.data.labels;
    let config = initial.as_ref().map_or(&settings.model, |it| &it.config);
    let first = teachers.first();
    let longest = settings.data.max_length as i64;
    let source = settings.student.folder.as_deref().unwrap_or(Path::new("model"));
    if config.family != Family::Electra {
        return Err(Error::field(source, "model_type", config.family.prefix(), "electra"));
    }
    for (field, found) in [
        ("max_position_embeddings", config.longest_input()),
        ("max_position_embeddings of the teacher", teachers.longest()),
    ] {
        if found < longest {
            let expected = format!("at least data.max_length, {longest}");
            return Err(Error::field(source, field, found.to_string(), expected));
        }
    }
    if let Some((teacher, _)) = first.filter(|_| settings.losses.relations > 0.0) {
        for hidden in [config.hidden_size, teacher.config.hidden_size] {
            let heads = settings.losses.relation_heads;
            if hidden % heads != 0 {
                let expected = format!("a divisor of both hidden sizes, among them {hidden}");
                return Err(Error::field(source, "losses.relation_heads", heads.to_string(), expected));
            }
        }
    }
    let more = first.map_or_else(Vec::new, |(teacher, _)| map_parameters(config, &teacher.config));
    let student = TextClassifier::random(config, labels, more, device, shared.precision, own.seed)?;
    match initial {
        Some(initial) => {
            let same = initial.head == Head::Classification(labels.clone());
            let missing = initial.load_into(&student.parameters, same)?;
            // Parameters that only the run needs have a slash in their names.
            if let Some(name) = missing.iter().find(|name| same && !name.contains('/')) {
                return Err(initial.lacks_head(name));
            }
            if let Some((teacher, _)) = first.filter(|_| settings.losses.hidden > 0.0 && !resumes) {
                let pad = tokenizer.special.pad;
                let _waiting = Waiting::new("fitting the maps to the teacher's states".to_owned());
                let maps = fitted_maps(teacher, &student, texts, pad, own.seed)?;
                student.parameters.load(&maps, source, |name| Some(name.to_owned()))?;
            }
        }
        None if config.vocab_size < tokenizer.size() as i64 => {
            let expected = format!("at least the tokens of the vocabulary, {}", tokenizer.size());
            return Err(Error::field(source, "vocab_size", config.vocab_size.to_string(), expected));
        }
        None if resumes || settings.student.start == Start::Random => {}
        None => {
            let Some((teacher, numbers)) = first else {
                unreachable!("settings without a teacher's folder begin with random weights")
            };
            let pad = tokenizer.special.pad;
            let start = settings.student.start;
            let _waiting = Waiting::new("fitting the student to the teacher".to_owned());
            let tensors = student_tensors(start, teacher, numbers, config, texts, pad, own.seed)?;
            student.parameters.load(&tensors, source, |name| Some(name.to_owned()))?;
        }
    }
    Ok(student)
}
