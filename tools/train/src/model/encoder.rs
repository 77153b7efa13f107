//! Embeddings and the encoder's layers.

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::parameters::{Initial, Parameter, Parameters};
use super::position_bias::PositionBias;
use super::{Config, Family};
use crate::error::Result;
use crate::random::{Purpose, Stream};

/// Whether dropout is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With dropout.
    Train,
    /// Without dropout.
    Evaluate,
}

/// Embeddings and layers, as views of [`Parameters`].
#[derive(Debug)]
pub struct Encoder {
    pub(super) config: Config,
    compute: Kind,
    pub(super) embeddings: Embeddings,
    pub(super) projection: Option<Linear>,
    position_bias: Option<PositionBias>,
    pub(super) layers: Vec<Layer>,
}

impl Encoder {
    /// Returns the parameters of an encoder. With `shared_embeddings` the embeddings are left out:
    /// a generator uses those of the discriminator. `namespace` is put before every name.
    pub fn parameters(config: &Config, namespace: &str, shared_embeddings: bool) -> Vec<Parameter> {
        let normal = Initial::Normal(config.initializer_range);
        let base = format!("{namespace}{}", config.family.prefix());
        let (embedding, hidden) = (config.embedding_size, config.hidden_size);
        let mut list = Vec::new();
        if !shared_embeddings {
            let tables = [
                ("word", config.vocab_size),
                ("position", config.max_position_embeddings),
                ("token_type", config.type_vocab_size),
            ];
            for (name, rows) in tables.into_iter().filter(|&(_, rows)| rows > 0) {
                let name = format!("{base}.embeddings.{name}_embeddings.weight");
                list.push(Parameter::new(name, &[rows, embedding], normal));
            }
            list.extend(LayerNorm::parameters(&format!("{base}.embeddings.LayerNorm"), embedding));
        }
        if embedding != hidden {
            list.extend(Linear::parameters(&format!("{base}.embeddings_project"), hidden, embedding, normal));
        }
        if config.family.has_position_bias() {
            list.push(PositionBias::parameter(&base, config.num_attention_heads, normal));
        }
        for layer in 0..config.num_hidden_layers {
            let name = format!("{base}.encoder.layer.{layer}");
            list.extend(Layer::parameters(&name, config, normal).into_iter().map(|mut it| {
                it.depth = layer + 1;
                it
            }));
        }
        list
    }

    /// Builds the encoder whose parameters are those of [`Self::parameters`] with the same
    /// arguments. `shared` is the encoder whose embeddings it uses.
    pub fn new(parameters: &Parameters, config: &Config, namespace: &str, shared: Option<&Self>) -> Self {
        let base = format!("{namespace}{}", config.family.prefix());
        let family = config.family;
        let layer = |index| Layer::new(parameters, &format!("{base}.encoder.layer.{index}"), family);
        let layers: Vec<Layer> = (0..config.num_hidden_layers).map(layer).collect();
        Self {
            config: config.clone(),
            compute: layers[0].query_key_value.weight.kind(),
            embeddings: match shared {
                Some(encoder) => encoder.embeddings.share(),
                None => Embeddings::new(parameters, &format!("{base}.embeddings"), family),
            },
            projection: (config.embedding_size != config.hidden_size)
                .then(|| Linear::new(parameters, &format!("{base}.embeddings_project"))),
            position_bias: family.has_position_bias().then(|| PositionBias::new(parameters, &base)),
            layers,
        }
    }

    /// Computes the hidden states `[batch, tokens, hidden]` of `ids` `[batch, tokens]` (i64).
    /// `present` `[batch, tokens]` (bool) is false at padding; without it there is no padding.
    pub fn forward(&self, ids: &Tensor, present: Option<&Tensor>, mode: Mode) -> Result<Tensor> {
        self.run(ids, present, mode, |_| ())
    }

    /// Computes the same as [`Self::forward`] and returns all states: before the first layer and
    /// after every layer. The last of them are the result.
    pub fn states(&self, ids: &Tensor, present: Option<&Tensor>, mode: Mode) -> Result<Vec<Tensor>> {
        let mut states = Vec::with_capacity(self.layers.len() + 1);
        let _last = self.run(ids, present, mode, |it| states.push(it.shallow_clone()))?;
        Ok(states)
    }

    /// Computes the queries, keys and values of the last layer, `[3, batch, heads, tokens, width]`.
    /// `states` are the last but one of [`Self::states`].
    pub fn last_query_key_value(&self, states: &Tensor) -> Result<Tensor> {
        match self.layers.last() {
            Some(layer) => Ok(Tensor::f_stack(&layer.query_key_value(states, &self.config)?, 0)?),
            None => unreachable!("a config has at least one layer"),
        }
    }

    fn run(
        &self,
        ids: &Tensor,
        present: Option<&Tensor>,
        mode: Mode,
        mut see: impl FnMut(&Tensor),
    ) -> Result<Tensor> {
        let states = self.embeddings.forward(ids, self.config.layer_norm_eps)?;
        let states = dropout(&states, self.config.hidden_dropout_prob, mode)?.f_to_kind(self.compute)?;
        let mut states = match &self.projection {
            Some(projection) => projection.forward(&states)?,
            None => states,
        };
        // [batch, 1, 1, tokens], broadcast over heads and queries.
        let mask = match present {
            Some(present) => Some(present.f_unsqueeze(1)?.f_unsqueeze(1)?),
            None => None,
        };
        let mask = match &self.position_bias {
            Some(bias) => Some(bias.of_input(ids.size()[1], mask.as_ref(), self.compute)?),
            None => mask,
        };
        see(&states);
        for layer in &self.layers {
            states = layer.forward(&states, mask.as_ref(), &self.config, mode)?;
            see(&states);
        }
        Ok(states)
    }

    /// Returns the word embeddings `[vocabulary, embedding]`, f32, for heads that are tied to them.
    pub(super) fn word_embeddings(&self) -> &Tensor {
        &self.embeddings.words
    }
}

#[derive(Debug)]
pub(super) struct Embeddings {
    pub(super) words: Tensor,
    pub(super) positions: Tensor,
    /// Row of `positions` for the first token.
    first_position: i64,
    pub(super) types: Option<Tensor>,
    pub(super) norm: LayerNorm,
}

impl Embeddings {
    fn new(parameters: &Parameters, name: &str, family: Family) -> Self {
        let table = |table: &str| parameters.get(&format!("{name}.{table}_embeddings.weight"));
        Self {
            words: table("word"),
            positions: table("position"),
            first_position: family.first_position(),
            types: (family != Family::Mpnet).then(|| table("token_type")),
            norm: LayerNorm::new(parameters, &format!("{name}.LayerNorm")),
        }
    }

    fn share(&self) -> Self {
        Self {
            words: self.words.shallow_clone(),
            positions: self.positions.shallow_clone(),
            first_position: self.first_position,
            types: self.types.as_ref().map(Tensor::shallow_clone),
            norm: LayerNorm {
                weight: self.norm.weight.shallow_clone(),
                bias: self.norm.bias.shallow_clone(),
            },
        }
    }

    pub(super) fn forward(&self, ids: &Tensor, epsilon: f64) -> Result<Tensor> {
        let words = Tensor::f_embedding(&self.words, ids, -1, false, false)?;
        let positions = self.positions.f_narrow(0, self.first_position, ids.size()[1])?;
        let rest = match &self.types {
            // Every token has type 0, because inputs here are never pairs of texts.
            Some(types) => positions.f_add(&types.f_narrow(0, 0, 1)?)?,
            None => positions,
        };
        self.norm.forward(&words.f_add(&rest)?, epsilon)
    }
}

/// One layer: self-attention and feed-forward, each followed by a residual and LayerNorm.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) query_key_value: Linear,
    pub(super) attention_output: Linear,
    pub(super) attention_norm: LayerNorm,
    pub(super) intermediate: Linear,
    pub(super) output: Linear,
    pub(super) output_norm: LayerNorm,
}

impl Layer {
    fn parameters(name: &str, config: &Config, normal: Initial) -> Vec<Parameter> {
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        let names = config.family.attention_names();
        let stack = |end: &str| names.query_key_value.map(|it| format!("{name}.{it}.{end}")).to_vec();
        let mut list = vec![
            Parameter { names: stack("weight"), shape: vec![3 * hidden, hidden], initial: normal, depth: 0 },
            Parameter { names: stack("bias"), shape: vec![3 * hidden], initial: Initial::Zeros, depth: 0 },
        ];
        list.extend(Linear::parameters(&format!("{name}.{}", names.output), hidden, hidden, normal));
        list.extend(LayerNorm::parameters(&format!("{name}.{}", names.norm), hidden));
        list.extend(Linear::parameters(&format!("{name}.intermediate.dense"), intermediate, hidden, normal));
        list.extend(Linear::parameters(&format!("{name}.output.dense"), hidden, intermediate, normal));
        list.extend(LayerNorm::parameters(&format!("{name}.output.LayerNorm"), hidden));
        list
    }

    fn new(parameters: &Parameters, name: &str, family: Family) -> Self {
        let names = family.attention_names();
        let linear = |part: &str| Linear::new(parameters, &format!("{name}.{part}"));
        let norm = |part: &str| LayerNorm::new(parameters, &format!("{name}.{part}"));
        Self {
            // The parameter is named after the query matrix, and holds keys and values too.
            query_key_value: linear(names.query_key_value[0]),
            attention_output: linear(names.output),
            attention_norm: norm(names.norm),
            intermediate: linear("intermediate.dense"),
            output: linear("output.dense"),
            output_norm: norm("output.LayerNorm"),
        }
    }

    fn forward(&self, states: &Tensor, mask: Option<&Tensor>, config: &Config, mode: Mode) -> Result<Tensor> {
        self.feed_forward(&self.attend(states, mask, config, mode)?, config, mode)
    }

    /// Computes the first half: attention, residual, LayerNorm.
    pub(super) fn attend(
        &self,
        states: &Tensor,
        mask: Option<&Tensor>,
        config: &Config,
        mode: Mode,
    ) -> Result<Tensor> {
        let context = self.attention(states, mask, config, mode)?;
        let attended = dropout(&self.attention_output.forward(&context)?, config.hidden_dropout_prob, mode)?;
        self.attention_norm.forward(&states.f_add(&attended)?, config.layer_norm_eps)
    }

    /// Computes the second half: feed-forward, residual, LayerNorm.
    pub(super) fn feed_forward(&self, attended: &Tensor, config: &Config, mode: Mode) -> Result<Tensor> {
        let wide = self.intermediate.forward(attended)?.f_gelu("none")?;
        let narrow = dropout(&self.output.forward(&wide)?, config.hidden_dropout_prob, mode)?;
        self.output_norm.forward(&attended.f_add(&narrow)?, config.layer_norm_eps)
    }

    /// Computes scaled dot-product attention; `[batch, tokens, hidden]` in and out.
    fn attention(
        &self,
        states: &Tensor,
        mask: Option<&Tensor>,
        config: &Config,
        mode: Mode,
    ) -> Result<Tensor> {
        let (batch, tokens) = (states.size()[0], states.size()[1]);
        let [query, key, value] = self.query_key_value(states, config)?;
        let dropped = if mode == Mode::Train { config.attention_probs_dropout_prob } else { 0.0 };
        let context = match states.device() {
            Device::Cpu => plain_attention(&query, &key, &value, mask, dropped)?,
            _ => Tensor::f_scaled_dot_product_attention(
                &query, &key, &value, mask, dropped, false, None, false,
            )?,
        };
        Ok(context.f_transpose(1, 2)?.f_reshape([batch, tokens, config.hidden_size])?)
    }

    /// Computes queries, keys and values, `[batch, heads, tokens, width]` each, from `states`
    /// `[batch, tokens, hidden]`.
    fn query_key_value(&self, states: &Tensor, config: &Config) -> Result<[Tensor; 3]> {
        let (batch, tokens) = (states.size()[0], states.size()[1]);
        let (heads, width) = (config.num_attention_heads, config.hidden_size / config.num_attention_heads);
        // The columns are split at the ends of the three parts, so one copy joins their gradients.
        // With three views of all columns, three gradients of full size would be added up.
        let rows = self.query_key_value.forward(states)?;
        let part = |of: &Tensor| of.f_view([batch, tokens, heads, width])?.f_transpose(1, 2);
        match &rows.f_chunk(3, -1)?[..] {
            [query, key, value] => Ok([part(query)?, part(key)?, part(value)?]),
            _ => unreachable!("there are three times as many columns as the hidden size"),
        }
    }
}

/// Computes scaled dot-product attention of `[batch, heads, tokens, width]` each, with all scores
/// in memory. `mask` is either bool, false at keys that are not attended to, or numbers that are
/// added to the scores.
///
/// On a CPU, libtorch's fused attention uses MKL's bf16 products, which are slow outside Intel's
/// processors: training in bf16 took twice as long with it.
fn plain_attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    mask: Option<&Tensor>,
    dropped: f64,
) -> Result<Tensor> {
    let width = query.size()[3] as f64;
    let scores = query.f_mul_scalar(1.0 / width.sqrt())?.f_matmul(&key.f_transpose(-1, -2)?)?;
    let scores = match mask {
        Some(mask) if mask.kind() != Kind::Bool => scores.f_add(mask)?,
        Some(mask) => {
            let zeros = Tensor::f_zeros(mask.size(), (scores.kind(), scores.device()))?;
            scores.f_add(&zeros.f_masked_fill(&mask.f_logical_not()?, f64::NEG_INFINITY)?)?
        }
        None => scores,
    };
    let probabilities = scores.f_softmax(-1, scores.kind())?;
    Ok(dropout(&probabilities, dropped, Mode::Train)?.f_matmul(value)?)
}

/// Linear layer, `x Wᵀ + b`.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
}

impl Linear {
    pub(super) fn parameters(name: &str, outputs: i64, inputs: i64, initial: Initial) -> [Parameter; 2] {
        [
            Parameter::new(format!("{name}.weight"), &[outputs, inputs], initial),
            Parameter::new(format!("{name}.bias"), &[outputs], Initial::Zeros),
        ]
    }

    pub(super) fn new(parameters: &Parameters, name: &str) -> Self {
        Self {
            weight: parameters.get(&format!("{name}.weight")),
            bias: parameters.get(&format!("{name}.bias")),
        }
    }

    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        Ok(input.f_linear(&self.weight, Some(&self.bias))?)
    }
}

#[derive(Debug)]
pub(super) struct LayerNorm {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
}

impl LayerNorm {
    pub(super) fn parameters(name: &str, width: i64) -> [Parameter; 2] {
        [
            Parameter::new(format!("{name}.weight"), &[width], Initial::Ones),
            Parameter::new(format!("{name}.bias"), &[width], Initial::Zeros),
        ]
    }

    pub(super) fn new(parameters: &Parameters, name: &str) -> Self {
        let Linear { weight, bias } = Linear::new(parameters, name);
        Self { weight, bias }
    }

    pub(super) fn forward(&self, input: &Tensor, epsilon: f64) -> Result<Tensor> {
        let width = self.weight.size();
        Ok(input.f_layer_norm(width, Some(&self.weight), Some(&self.bias), epsilon, false)?)
    }
}

pub(super) fn dropout(input: &Tensor, share: f64, mode: Mode) -> Result<Tensor> {
    match (mode, input.device()) {
        (Mode::Train, Device::Cpu) if share > 0.0 => Ok(input.f_mul(&kept(input, share)?)?),
        (Mode::Train, _) if share > 0.0 => Ok(input.f_dropout(share, true)?),
        _ => Ok(input.shallow_clone()),
    }
}

/// Returns the factors of dropout, in the shape and kind of `input`: 0 with probability `share`,
/// rounded to steps of 2^-16, else the number that keeps the mean. On an AMD processor libtorch
/// draws the random numbers of dropout one after the other, in a tenth of the time of a training
/// step. These factors follow from one number of libtorch's generator, those of its own dropout
/// from many.
fn kept(input: &Tensor, share: f64) -> Result<Tensor> {
    /// Values per stream of random numbers; one thread computes them.
    const TOGETHER: usize = 1 << 15;
    let seed =
        Tensor::f_randint_low(0, i64::MAX, [1], (Kind::Int64, Device::Cpu))?.f_int64_value(&[0])? as u64;
    let below = (share * 65536.0).round() as u16;
    let mut dropped = vec![false; input.numel()];
    dropped.par_chunks_mut(TOGETHER).enumerate().for_each(|(index, chunk)| {
        let mut random = Stream::new(seed, Purpose::Dropout, index as u64);
        for four in chunk.chunks_mut(4) {
            let bits = random.next_u64();
            for (part, value) in four.iter_mut().enumerate() {
                *value = ((bits >> (16 * part)) as u16) < below;
            }
        }
    });
    let dropped = Tensor::f_from_slice(&dropped)?.f_view(&input.size()[..])?;
    let rest = Tensor::f_full(input.size(), 1.0 / (1.0 - share), (input.kind(), Device::Cpu))?;
    Ok(rest.f_masked_fill(&dropped, 0.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::torch_alone;

    const F32: (Kind, Device) = (Kind::Float, Device::Cpu);

    /// Compares with libtorch's own attention, forward and backward, with and without padding.
    #[test]
    fn attention_is_libtorchs() {
        let _alone = torch_alone();
        tch::manual_seed(1);
        let part = || Tensor::randn([2, 3, 5, 4], F32).set_requires_grad(true);
        let parts = [part(), part(), part()];
        let present = Tensor::from_slice(&[true, true, true, true, true, true, true, false, false, false]);
        let present = present.view([2, 1, 1, 5]);
        for mask in [None, Some(&present)] {
            let [query, key, value] = &parts;
            let found = plain_attention(query, key, value, mask, 0.0).unwrap();
            let expected =
                Tensor::scaled_dot_product_attention(query, key, value, mask, 0.0, false, None, false);
            assert!(found.allclose(&expected, 1e-5, 1e-6, false));
            let weights = Tensor::randn(found.size(), F32);
            let gradients =
                |of: &Tensor| Tensor::run_backward(&[(of * &weights).sum(Kind::Float)], &parts, false, false);
            for (found, expected) in gradients(&found).iter().zip(&gradients(&expected)) {
                assert!(found.allclose(expected, 1e-4, 1e-5, false));
            }
        }
    }

    #[test]
    fn dropout_drops_its_share_and_keeps_the_mean() {
        let _alone = torch_alone();
        let input = Tensor::ones([300, 1000], F32);
        tch::manual_seed(5);
        let dropped = dropout(&input, 0.25, Mode::Train).unwrap();
        let zeros = dropped.eq(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        // Five standard deviations of 300,000 draws.
        assert!((zeros - 0.25).abs() < 0.004, "{zeros}");
        let rest = dropped.masked_select(&dropped.ne(0.0));
        assert!(rest.allclose(&rest.full_like(4.0 / 3.0), 1e-6, 0.0, false));
        // Columns and rows do not drop the same values.
        let each = dropped.eq(0.0).to_kind(Kind::Double).mean_dim([0_i64].as_slice(), false, Kind::Double);
        assert!(each.min().double_value(&[]) > 0.1 && each.max().double_value(&[]) < 0.4);

        tch::manual_seed(5);
        assert_eq!(dropout(&input, 0.25, Mode::Train).unwrap(), dropped);
        assert_ne!(dropout(&input, 0.25, Mode::Train).unwrap(), dropped);
        assert_eq!(dropout(&input, 0.25, Mode::Evaluate).unwrap(), input);
        let low = dropout(&input.to_kind(Kind::BFloat16), 0.25, Mode::Train).unwrap();
        assert_eq!(low.kind(), Kind::BFloat16);
    }
}
