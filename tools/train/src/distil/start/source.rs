//! Targets of a student's fit: the teacher's results on a sample of texts.

use tch::{Device, Kind, Tensor};

use super::least_squares::centred;
use crate::batch::LabelledBatch;
use crate::classification::{EncodedExample, TextClassifier};
use crate::error::{Error, Result};
use crate::model::folder::Tensors;
use crate::model::{Config, Family, PositionBias};
use crate::random::{Purpose, Stream};

/// Tokens of the sample. The text that reaches this number is the last one.
const SAMPLE_TOKENS: usize = 32_000;
/// Length in tokens to which the texts of the sample are cut. They are computed in one batch, of
/// which padding must not be the larger part.
const SAMPLE_LENGTH: usize = 32;
/// Largest number of token types of a student whose teacher has none. Their embeddings begin as
/// zeros.
pub(super) const MOST_TYPES: i64 = 255;
/// Length in tokens of a short text. Short texts are used only if there are too few others.
const SAMPLE_SHORTEST: usize = 20;
/// Texts over which matrices are fitted.
pub(super) struct Sample {
    /// Token ids, `[texts, tokens]`.
    pub(super) ids: Tensor,
    /// `[texts, 1, 1, tokens]`, 0 or, at padding, minus infinity.
    pub(super) mask: Tensor,
    /// Indices into `[texts · tokens]` of the tokens that are not padding.
    pub(super) rows: Tensor,
    /// `[texts]`, index into `[texts · tokens]` of each text's first token.
    pub(super) first: Tensor,
}

impl Sample {
    pub(super) fn new(texts: &[EncodedExample], padding: u16, seed: u64) -> Result<Self> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        Stream::new(seed, Purpose::Selection, 1).shuffle(&mut order);
        order.sort_by_key(|&index| texts[index].ids.len() < SAMPLE_SHORTEST);
        let mut chosen = Vec::new();
        let mut tokens = 0;
        for index in order {
            let mut text = EncodedExample::new(texts[index].ids.clone(), texts[index].label);
            text.ids.truncate(SAMPLE_LENGTH);
            tokens += text.ids.len();
            chosen.push(text);
            if tokens >= SAMPLE_TOKENS {
                break;
            }
        }
        let batch = LabelledBatch::new(chosen.iter(), padding, Device::Cpu)?;
        let shape = batch.ids.size();
        let present = match batch.present {
            Some(present) => present,
            None => batch.ids.f_ones_like()?.f_to_kind(Kind::Bool)?,
        };
        let mask = Tensor::f_zeros(&shape, (Kind::Float, Device::Cpu))?
            .f_masked_fill(&present.f_logical_not()?, f64::NEG_INFINITY)?
            .f_view([shape[0], 1, 1, shape[1]])?;
        let rows = present.f_view([-1])?.f_nonzero()?.f_squeeze_dim(-1)?;
        let first = Tensor::f_arange(shape[0], (Kind::Int64, Device::Cpu))?.f_mul_scalar(shape[1])?;
        Ok(Self { ids: batch.ids, mask, rows, first })
    }

    /// Returns the same texts as a batch for a classifier on `device`.
    pub(super) fn batch(&self, device: Device) -> Result<LabelledBatch> {
        let shape = self.ids.size();
        let present = self.mask.f_view(&shape[..])?.f_eq(0.0)?.f_to_device(device)?;
        LabelledBatch::unlabelled(self.ids.f_to_device(device)?, Some(present))
    }

    /// Returns the rows `[rows, width]` of `states` `[texts, tokens, width]` that are not padding.
    pub(super) fn rows_of(&self, states: &Tensor) -> Result<Tensor> {
        let width = states.size()[2];
        Ok(states.f_reshape([-1, width])?.f_index_select(0, &self.rows)?)
    }

    /// Returns the states at `[CLS]`, `[texts, width]`.
    pub(super) fn first_of(&self, states: &Tensor) -> Result<Tensor> {
        let width = states.size()[2];
        Ok(states.f_reshape([-1, width])?.f_index_select(0, &self.first)?)
    }
}

/// Computes the contexts `[texts, tokens, heads · width]` of queries, keys and values of that
/// shape. `mask` is added to the scores.
pub(super) fn attend(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    heads: i64,
    mask: &Tensor,
) -> Result<Tensor> {
    let shape = query.size();
    let split = |it: &Tensor| {
        Ok::<_, Error>(it.f_reshape([shape[0], shape[1], heads, shape[2] / heads])?.f_transpose(1, 2)?)
    };
    let (query, key, value) = (split(query)?, split(key)?, split(value)?);
    let context =
        Tensor::f_scaled_dot_product_attention(&query, &key, &value, Some(mask), 0.0, false, None, false)?;
    Ok(context.f_transpose(1, 2)?.f_reshape(&shape[..])?)
}

/// The teacher's weights.
pub(super) struct Source<'a> {
    tensors: Tensors,
    pub(super) config: &'a Config,
    /// The teacher's id for each id of the student, if the ids differ.
    numbers: Option<Tensor>,
}

/// Results of one layer of the teacher, `[texts, tokens, ..]` each.
pub(super) struct Computed {
    pub(super) query: Tensor,
    pub(super) key: Tensor,
    pub(super) value: Tensor,
    pub(super) context: Tensor,
    /// States before and after the LayerNorm that follows attention.
    pub(super) attended: (Tensor, Tensor),
    /// Feed-forward units before GELU.
    pub(super) wide: Tensor,
    /// States before and after the last LayerNorm.
    pub(super) output: (Tensor, Tensor),
}

impl<'a> Source<'a> {
    pub(super) fn new(teacher: &'a TextClassifier, numbers: Option<&[i64]>) -> Result<Self> {
        let numbers = numbers.map(Tensor::f_from_slice).transpose()?;
        Ok(Self { tensors: teacher.parameters.tensors()?, config: &teacher.config, numbers })
    }

    /// Returns the rows of an embedding table in the student's order: words by its ids, positions
    /// from 0. If the teacher has no token types, returns [`MOST_TYPES`] rows of zeros for them.
    pub(super) fn table(&self, table: &str) -> Result<Tensor> {
        let name = format!("embeddings.{table}_embeddings.weight");
        match (table, &self.numbers) {
            ("word", Some(numbers)) => Ok(self.tensor(&name).f_index_select(0, numbers)?),
            ("position", _) => Ok(self.tensor(&name).f_narrow(
                0,
                self.config.family.first_position(),
                self.config.longest_input(),
            )?),
            ("token_type", _) if self.config.type_vocab_size == 0 => {
                Ok(Tensor::f_zeros([MOST_TYPES, self.config.embedding_size], (Kind::Float, Device::Cpu))?)
            }
            _ => Ok(self.tensor(&name).shallow_clone()),
        }
    }

    /// Returns the mask that is added to the attention scores: that of the sample, plus the
    /// position biases if the teacher has any.
    fn mask(&self, sample: &Sample) -> Result<Tensor> {
        if !self.config.family.has_position_bias() {
            return Ok(sample.mask.shallow_clone());
        }
        let bias = PositionBias::over(self.tensor("encoder.relative_attention_bias.weight"));
        Ok(bias.of_input(sample.ids.size()[1], None, Kind::Float)?.f_add(&sample.mask)?)
    }

    /// Returns a tensor of the encoder by its name without the prefix.
    pub(super) fn tensor(&self, name: &str) -> &Tensor {
        &self.tensors[&format!("{}.{name}", self.config.family.prefix())]
    }

    pub(super) fn linear(&self, input: &Tensor, name: &str) -> Result<Tensor> {
        let bias = self.tensor(&format!("{name}.bias"));
        Ok(input.f_linear(self.tensor(&format!("{name}.weight")), Some(bias))?)
    }

    /// Computes the logits `[texts, labels]` from the states at `[CLS]`.
    pub(super) fn logits(&self, first: &Tensor) -> Result<Tensor> {
        let linear = |input: &Tensor, name: &str| {
            let bias = &self.tensors[&format!("{name}.bias")];
            Ok::<_, Error>(input.f_linear(&self.tensors[&format!("{name}.weight")], Some(bias))?)
        };
        match self.config.family {
            Family::Bert => linear(&linear(first, "bert.pooler.dense")?.f_tanh()?, "classifier"),
            Family::Electra => {
                linear(&linear(first, "classifier.dense")?.f_gelu("none")?, "classifier.out_proj")
            }
            Family::Mpnet => linear(&linear(first, "classifier.dense")?.f_tanh()?, "classifier.out_proj"),
        }
    }

    pub(super) fn norm(&self, input: &Tensor, name: &str) -> Result<Tensor> {
        let weight = self.tensor(&format!("{name}.weight"));
        let bias = self.tensor(&format!("{name}.bias"));
        let width = weight.size();
        Ok(input.f_layer_norm(width, Some(weight), Some(bias), self.config.layer_norm_eps, false)?)
    }

    /// Returns the sum of the three embeddings, before LayerNorm.
    pub(super) fn embedded(&self, ids: &Tensor) -> Result<Tensor> {
        let (words, positions, types) =
            (self.table("word")?, self.table("position")?, self.table("token_type")?);
        let words = Tensor::f_embedding(&words, ids, -1, false, false)?;
        Ok(words.f_add(&positions.f_narrow(0, 0, ids.size()[1])?)?.f_add(&types.f_narrow(0, 0, 1)?)?)
    }

    /// Returns the states before the first layer.
    pub(super) fn first_states(&self, ids: &Tensor) -> Result<Tensor> {
        let states = self.norm(&self.embedded(ids)?, "embeddings.LayerNorm")?;
        match self.config.embedding_size == self.config.hidden_size {
            true => Ok(states),
            false => self.linear(&states, "embeddings_project"),
        }
    }

    pub(super) fn layer(&self, states: &Tensor, index: i64, sample: &Sample) -> Result<Computed> {
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let names = self.config.family.attention_names();
        let [query, key, value] = names.query_key_value.map(|part| self.linear(states, &name(part)));
        let (query, key, value) = (query?, key?, value?);
        let heads = self.config.num_attention_heads;
        let context = attend(&query, &key, &value, heads, &self.mask(sample)?)?;
        let sum = states.f_add(&self.linear(&context, &name(names.output))?)?;
        let attended = self.norm(&sum, &name(names.norm))?;
        let wide = self.linear(&attended, &name("intermediate.dense"))?;
        let narrow = self.linear(&wide.f_gelu("none")?, &name("output.dense"))?;
        let last = attended.f_add(&narrow)?;
        let output = self.norm(&last, &name("output.LayerNorm"))?;
        Ok(Computed { query, key, value, context, attended: (sum, attended), wide, output: (last, output) })
    }

    /// Returns the indices of the heads, ordered by their contribution to the states, largest
    /// first.
    pub(super) fn heads_by_weight(
        &self,
        computed: &Computed,
        index: i64,
        sample: &Sample,
    ) -> Result<Vec<i64>> {
        let heads = self.config.num_attention_heads;
        let width = self.config.hidden_size / heads;
        let output = self.config.family.attention_names().output;
        let weight = self.tensor(&format!("encoder.layer.{index}.{output}.weight"));
        let context = sample.rows_of(&computed.context)?;
        let mut weights = Vec::new();
        for head in 0..heads {
            let part = context.f_narrow(1, head * width, width)?;
            let written = part.f_matmul(&weight.f_narrow(1, head * width, width)?.f_tr()?)?;
            weights.push(centred(&written)?.0.f_square()?.f_mean(Kind::Float)?.f_double_value(&[])?);
        }
        Ok(descending(&weights))
    }

    /// Returns the indices of the feed-forward units in the same order.
    pub(super) fn units_by_weight(
        &self,
        computed: &Computed,
        index: i64,
        sample: &Sample,
    ) -> Result<Vec<i64>> {
        let weight = self.tensor(&format!("encoder.layer.{index}.output.dense.weight"));
        let active = centred(&sample.rows_of(&computed.wide.f_gelu("none")?)?)?.0;
        let active = active.f_square()?.f_mean_dim(0, false, Kind::Double)?;
        let written = weight.f_square()?.f_sum_dim_intlist(0, false, Kind::Double)?;
        let weights: Vec<f64> = Vec::try_from(active.f_mul(&written)?)?;
        Ok(descending(&weights))
    }
}

fn descending(weights: &[f64]) -> Vec<i64> {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
    order.into_iter().map(|it| it as i64).collect()
}
