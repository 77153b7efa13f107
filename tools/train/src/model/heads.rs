//! Heads on an encoder: replaced-token detection, masked language modelling, classification.

use tch::Tensor;

use super::encoder::{Encoder, LayerNorm, Linear, Mode, dropout};
use super::parameters::{Initial, Parameter, Parameters};
use super::{Config, Family};
use crate::error::Result;

/// Head that judges every token: `ElectraForPreTraining`.
#[derive(Debug)]
pub struct Discriminator {
    dense: Linear,
    prediction: Linear,
}

impl Discriminator {
    /// Returns the head's parameters.
    pub fn parameters(config: &Config) -> Vec<Parameter> {
        let normal = Initial::Normal(config.initializer_range);
        let hidden = config.hidden_size;
        let mut list = Linear::parameters("discriminator_predictions.dense", hidden, hidden, normal).to_vec();
        list.extend(Linear::parameters("discriminator_predictions.dense_prediction", 1, hidden, normal));
        above_the_encoder(list, config)
    }

    /// Builds the head from `parameters`.
    pub fn new(parameters: &Parameters) -> Self {
        Self {
            dense: Linear::new(parameters, "discriminator_predictions.dense"),
            prediction: Linear::new(parameters, "discriminator_predictions.dense_prediction"),
        }
    }

    /// Computes logits `[..]` from states `[.., hidden]`. They are positive for tokens that look
    /// replaced.
    pub fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let states = self.dense.forward(states)?.f_gelu("none")?;
        Ok(self.prediction.forward(&states)?.f_squeeze_dim(-1)?)
    }
}

/// Head that predicts masked tokens, with the word embeddings as output matrix:
/// `ElectraForMaskedLM`.
#[derive(Debug)]
pub struct MaskedLanguageModel {
    dense: Linear,
    norm: LayerNorm,
    epsilon: f64,
    words: Tensor,
    bias: Tensor,
}

impl MaskedLanguageModel {
    /// Returns the head's parameters. The word embeddings are the encoder's.
    pub fn parameters(config: &Config, namespace: &str) -> Vec<Parameter> {
        let normal = Initial::Normal(config.initializer_range);
        let name = format!("{namespace}generator_predictions");
        let (embedding, hidden) = (config.embedding_size, config.hidden_size);
        let mut list = Linear::parameters(&format!("{name}.dense"), embedding, hidden, normal).to_vec();
        list.extend(LayerNorm::parameters(&format!("{name}.LayerNorm"), embedding));
        let bias = format!("{namespace}generator_lm_head.bias");
        list.push(Parameter::new(bias, &[config.vocab_size], Initial::Zeros));
        above_the_encoder(list, config)
    }

    /// Builds the head from `parameters`, tied to the word embeddings of `encoder`.
    pub fn new(parameters: &Parameters, config: &Config, namespace: &str, encoder: &Encoder) -> Self {
        Self {
            dense: Linear::new(parameters, &format!("{namespace}generator_predictions.dense")),
            norm: LayerNorm::new(parameters, &format!("{namespace}generator_predictions.LayerNorm")),
            epsilon: config.layer_norm_eps,
            words: encoder.word_embeddings().shallow_clone(),
            bias: parameters.get(&format!("{namespace}generator_lm_head.bias")),
        }
    }

    /// Computes logits `[positions, vocabulary]` from states `[positions, hidden]`.
    pub fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let states = self.dense.forward(states)?.f_gelu("none")?;
        let states = self.norm.forward(&states, self.epsilon)?;
        Ok(states.f_linear(&self.words.f_to_kind(states.kind())?, Some(&self.bias))?)
    }
}

/// Head that predicts one label per text from `[CLS]`: `ElectraForSequenceClassification`,
/// `BertForSequenceClassification` or `MPNetForSequenceClassification`.
#[derive(Debug)]
pub struct Classifier {
    family: Family,
    pub(super) dense: Linear,
    pub(super) output: Linear,
    dropout: f64,
}

impl Classifier {
    /// Returns the head's parameters. BERT's pooler is among them, because nothing else uses it.
    pub fn parameters(config: &Config, labels: usize) -> Vec<Parameter> {
        let normal = Initial::Normal(config.initializer_range);
        let (dense, output) = names(config.family);
        let mut list = Linear::parameters(dense, config.hidden_size, config.hidden_size, normal).to_vec();
        list.extend(Linear::parameters(output, labels as i64, config.hidden_size, normal));
        above_the_encoder(list, config)
    }

    /// Builds the head from `parameters`.
    pub fn new(parameters: &Parameters, config: &Config) -> Self {
        let (dense, output) = names(config.family);
        Self {
            family: config.family,
            dense: Linear::new(parameters, dense),
            output: Linear::new(parameters, output),
            dropout: config.hidden_dropout_prob,
        }
    }

    /// Computes logits `[batch, labels]` from states `[batch, tokens, hidden]`.
    pub fn forward(&self, states: &Tensor, mode: Mode) -> Result<Tensor> {
        let first = states.f_select(1, 0)?;
        let pooled = match self.family {
            Family::Bert => self.dense.forward(&first)?.f_tanh()?,
            Family::Electra => self.dense.forward(&dropout(&first, self.dropout, mode)?)?.f_gelu("none")?,
            Family::Mpnet => self.dense.forward(&dropout(&first, self.dropout, mode)?)?.f_tanh()?,
        };
        self.output.forward(&dropout(&pooled, self.dropout, mode)?)
    }
}

/// Returns the name of the classifier's layer that computes the logits.
pub fn output_name(family: Family) -> &'static str {
    names(family).1
}

fn names(family: Family) -> (&'static str, &'static str) {
    match family {
        Family::Electra | Family::Mpnet => ("classifier.dense", "classifier.out_proj"),
        Family::Bert => ("bert.pooler.dense", "classifier"),
    }
}

fn above_the_encoder(mut parameters: Vec<Parameter>, config: &Config) -> Vec<Parameter> {
    for parameter in &mut parameters {
        parameter.depth = config.num_hidden_layers + 1;
    }
    parameters
}
