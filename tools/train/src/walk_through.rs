//! The command `walk-through`: shows pre-training by replaced-token detection on one text, step by
//! step.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use tch::{Device, Kind, Tensor};

use crate::classification::tokenizer_of;
use crate::device::Precision;
use crate::error::{Error, Result};
use crate::model::config::Head;
use crate::model::folder::{CONFIG, Folder, WEIGHTS};
use crate::model::{Config, Discriminator, Encoder, MaskedLanguageModel, Mode, Parameter, Parameters};

/// Number of the generator's guesses that are shown.
const GUESSES: i64 = 5;

/// Results for a text whose tokens are masked one after another.
#[derive(Clone, Debug, Serialize)]
pub struct WalkThrough {
    /// Tokens of the text, with `[CLS]` and `[SEP]`.
    pub tokens: Vec<String>,
    /// For each token of the unchanged text, the discriminator's probability that it was replaced.
    pub untouched: Vec<f64>,
    /// One step per token between `[CLS]` and `[SEP]`, from the first to the last.
    pub steps: Vec<Step>,
}

/// A step: one token is masked, guessed, replaced and judged.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Index of the token.
    pub position: usize,
    /// Likeliest guesses of the generator with their probabilities, likeliest first.
    pub guesses: Vec<(String, f64)>,
    /// Likeliest guess that is not the token itself. It replaces the token.
    pub replacement: String,
    /// For each token after the replacement, the discriminator's probability that it was replaced.
    pub judged: Vec<f64>,
}

/// Runs `text` through the models that `pretrain` wrote into the folder `run`: `generator` and
/// `discriminator`.
pub fn walk_through(run: &Path, text: &str) -> Result<WalkThrough> {
    let _guard = tch::no_grad_guard();
    let generator = Folder::read(&run.join("generator"))?;
    let discriminator = Folder::read(&run.join("discriminator"))?;
    let tokenizer = tokenizer_of(&discriminator)?;
    generator.same_vocabulary(&discriminator)?;
    let words = &tokenizer.pieces;
    let word = |id: i64| words.get(id as usize).cloned().unwrap_or_else(|| id.to_string());

    let (parameters, encoder) =
        load(&generator, &Head::MaskedLanguageModel, |config| MaskedLanguageModel::parameters(config, ""))?;
    let language_model = MaskedLanguageModel::new(&parameters, &generator.config, "", &encoder);
    let (parameters, judge) = load(&discriminator, &Head::ReplacedTokenDetection, Discriminator::parameters)?;
    let head = Discriminator::new(&parameters);
    let judged = |ids: &Tensor| -> Result<Vec<f64>> {
        let logits = head.forward(&judge.forward(ids, None, Mode::Evaluate)?)?;
        Ok(Vec::try_from(logits.f_sigmoid()?.f_to_kind(Kind::Double)?.f_flatten(0, -1)?)?)
    };

    let longest = discriminator.config.max_position_embeddings.min(generator.config.max_position_embeddings);
    let framed = tokenizer.encode_framed(text, longest as usize)?;
    let ids: Vec<i64> = framed.iter().map(|&id| i64::from(id)).collect();
    let row = |ids: &[i64]| -> Result<Tensor> { Ok(Tensor::f_from_slice(ids)?.f_unsqueeze(0)?) };
    let mut steps = Vec::new();
    for position in 1..ids.len() - 1 {
        let mut masked = ids.clone();
        masked[position] = i64::from(tokenizer.special.mask);
        let states = encoder.forward(&row(&masked)?, None, Mode::Evaluate)?.f_select(0, 0)?;
        let logits = language_model.forward(&states.f_narrow(0, position as i64, 1)?)?;
        let (chances, guesses) =
            logits.f_softmax(-1, Kind::Float)?.f_flatten(0, -1)?.f_topk(GUESSES, 0, true, true)?;
        let chances: Vec<f64> = Vec::try_from(chances.f_to_kind(Kind::Double)?)?;
        let guesses: Vec<i64> = Vec::try_from(guesses)?;
        let Some(&replacement) = guesses.iter().find(|&&guess| guess != ids[position]) else {
            unreachable!("guesses are distinct, and more than one")
        };
        let mut replaced = ids.clone();
        replaced[position] = replacement;
        steps.push(Step {
            position,
            guesses: guesses.iter().map(|&id| word(id)).zip(chances).collect(),
            replacement: word(replacement),
            judged: judged(&row(&replaced)?)?,
        });
    }
    let tokens = ids.iter().map(|&id| word(id)).collect();
    Ok(WalkThrough { tokens, untouched: judged(&row(&ids)?)?, steps })
}

fn load(
    folder: &Folder,
    head: &Head,
    of_head: impl Fn(&Config) -> Vec<Parameter>,
) -> Result<(Parameters, Encoder)> {
    if folder.head != *head {
        let expected = format!("{head:?}");
        return Err(Error::field(
            &folder.file(CONFIG),
            "architectures",
            format!("{:?}", folder.head),
            expected,
        ));
    }
    let mut list = Encoder::parameters(&folder.config, "", false);
    list.extend(of_head(&folder.config));
    let parameters = Parameters::new(list, Device::Cpu, Precision::F32, 0)?;
    if let Some(name) = folder.load_into(&parameters, true)?.first() {
        return Err(Error::field(&folder.file(WEIGHTS), name, "no such tensor", "one"));
    }
    let encoder = Encoder::new(&parameters, &folder.config, "", None);
    Ok((parameters, encoder))
}

impl fmt::Display for WalkThrough {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = 1..self.tokens.len() - 1;
        let width = self.tokens.iter().map(String::len).max().unwrap_or(0);
        writeln!(
            formatter,
            "replaced? as written, {}",
            judgement(&self.tokens, &self.untouched, None, &inner)
        )?;
        for step in &self.steps {
            let guesses: Vec<String> =
                step.guesses.iter().map(|(word, chance)| format!("{word} {:.0} %", chance * 100.0)).collect();
            writeln!(
                formatter,
                "\n[MASK] for {:width$}  generator: {}",
                self.tokens[step.position],
                guesses.join(", ")
            )?;
            let replaced = Some((step.position, step.replacement.as_str()));
            writeln!(formatter, "  replaced? {}", judgement(&self.tokens, &step.judged, replaced, &inner))?;
        }
        Ok(())
    }
}

/// Formats probabilities as `the 3 % chef 2 % *ate* 71 % ...`.
fn judgement(
    tokens: &[String],
    judged: &[f64],
    replaced: Option<(usize, &str)>,
    inner: &std::ops::Range<usize>,
) -> String {
    let part = |position: usize| {
        let chance = judged[position] * 100.0;
        match replaced {
            Some((at, word)) if at == position => format!("*{word}* {chance:.0} %"),
            _ => format!("{} {chance:.0} %", tokens[position]),
        }
    };
    inner.clone().map(part).collect::<Vec<_>>().join("  ")
}
