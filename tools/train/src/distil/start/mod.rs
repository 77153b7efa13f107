//! Initial weights of a student from its teacher's, without gradients. Every matrix is the
//! least-squares fit to the outputs of the teacher's matrices over a sample of texts, from the
//! first layer to the last.
//!
//! The student's hidden states stand for some coordinates of the teacher's: those from which a
//! linear map predicts the others best. Each layer of the teacher corresponds to the same number of
//! layers of the student. The first of these takes the heads and feed-forward units that contribute
//! most; the others take the remaining ones. The output matrices of each layer are fitted to bring
//! the states as close as possible to the teacher's next states.
//!
//! It is known that initial weights from a larger model shorten training (Samragh et al., "Weight
//! subcloning", 2023). Because the layers are fitted one after another, each can compensate for the
//! errors of those before it.

mod least_squares;
mod source;

use std::path::Path;

use tch::{Device, Kind, Tensor};

use self::least_squares::{centred, covariance, least_squares, pivots};
use self::source::{Computed, MOST_TYPES, Sample, Source, attend};
use super::losses::{map_name, pairs};
use super::settings::Start;
use crate::classification::{EncodedExample, TextClassifier};
use crate::error::{Error, Result};
use crate::model::folder::Tensors;
use crate::model::{Config, Family, Mode};
use crate::random::seed_torch;

/// Returns the tensors of the student by their Hugging Face names, and the maps of its states to
/// the teacher's; for [`Start::Embeddings`] only the embeddings. `numbers` has the teacher's id for
/// each id of the student, if the ids differ.
pub fn student_tensors(
    start: Start,
    teacher: &TextClassifier,
    numbers: Option<&[i64]>,
    student: &Config,
    texts: &[EncodedExample],
    padding: u16,
    seed: u64,
) -> Result<Tensors> {
    let _guard = tch::no_grad_guard();
    check(start, &teacher.config, numbers, student)?;
    seed_torch(seed, u64::MAX);
    let sample = Sample::new(texts, padding, seed)?;
    let source = Source::new(teacher, numbers)?;
    let mut fit = FittedStudent { student, sample, source, tensors: Tensors::new() };
    fit.embeddings()?;
    if start == Start::Teacher {
        fit.layers()?;
    }
    Ok(fit.tensors)
}

/// Fits the maps from the states of a `student` that has weights to the states of its teacher.
pub fn fitted_maps(
    teacher: &TextClassifier,
    student: &TextClassifier,
    texts: &[EncodedExample],
    padding: u16,
    seed: u64,
) -> Result<Tensors> {
    let _guard = tch::no_grad_guard();
    let sample = Sample::new(texts, padding, seed)?;
    let batch = sample.batch(student.parameters.flat().device())?;
    let taught = teacher.trace(&batch, Mode::Evaluate)?.states;
    let learnt = student.trace(&batch, Mode::Evaluate)?.states;
    let rows = |states: &Tensor| sample.rows_of(&states.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?);
    let mut maps = Tensors::new();
    for pair in pairs(&student.config, &teacher.config) {
        let (states, goal) = (rows(&learnt[pair.student as usize])?, rows(&taught[pair.teacher as usize])?);
        let (weight, bias) = least_squares(&states, &goal)?;
        maps.insert(map_name(pair, "weight"), weight);
        maps.insert(map_name(pair, "bias"), bias);
    }
    Ok(maps)
}

fn check(start: Start, config: &Config, numbers: Option<&[i64]>, student: &Config) -> Result<()> {
    let refuse = |field: &str, found: i64, expected: String| {
        Err(Error::field(Path::new("student.start"), field, found.to_string(), expected))
    };
    let types = if config.type_vocab_size == 0 { MOST_TYPES } else { config.type_vocab_size };
    let vocabulary = numbers.map_or(config.vocab_size, |numbers| numbers.len() as i64);
    if student.vocab_size != vocabulary {
        let expected = format!("the teacher's, {vocabulary}");
        return refuse("model.vocab_size", student.vocab_size, expected);
    }
    for (field, found, most) in [
        ("model.embedding_size", student.embedding_size, config.embedding_size),
        ("model.max_position_embeddings", student.max_position_embeddings, config.longest_input()),
        ("model.type_vocab_size", student.type_vocab_size, types),
    ] {
        if found > most {
            return refuse(field, found, format!("at most the teacher's, {most}"));
        }
    }
    if start != Start::Teacher {
        return Ok(());
    }
    if student.hidden_size > config.hidden_size {
        let expected = format!("at most the teacher's, {}", config.hidden_size);
        return refuse("model.hidden_size", student.hidden_size, expected);
    }
    if student.num_hidden_layers % config.num_hidden_layers != 0 {
        let expected = format!("a multiple of the teacher's, {}", config.num_hidden_layers);
        return refuse("model.num_hidden_layers", student.num_hidden_layers, expected);
    }
    let width = config.hidden_size / config.num_attention_heads;
    if student.hidden_size / student.num_attention_heads < width {
        let expected = format!("heads at least as wide as the teacher's, {width}");
        return refuse("model.num_attention_heads", student.num_attention_heads, expected);
    }
    Ok(())
}

/// Student whose tensors are fitted one after another.
struct FittedStudent<'a> {
    student: &'a Config,
    sample: Sample,
    source: Source<'a>,
    tensors: Tensors,
}

impl FittedStudent<'_> {
    /// Projects the embedding tables on the principal axes of the teacher's words. Each word counts
    /// as often as in the sample plus once, so that rare words count too.
    fn embeddings(&mut self) -> Result<()> {
        let words = self.source.table("word")?.f_to_kind(Kind::Double)?;
        let ids = self.sample.ids.f_reshape([-1])?.f_index_select(0, &self.sample.rows)?;
        let counts = ids.f_bincount::<Tensor>(None, self.student.vocab_size)?.f_add_scalar(1)?;
        let shares = counts.f_to_kind(Kind::Double)?;
        let shares = shares.f_div(&shares.f_sum(Kind::Double)?)?.f_unsqueeze(1)?;
        let mean = words.f_mul(&shares)?.f_sum_dim_intlist(0, true, Kind::Double)?;
        let centred = words.f_sub(&mean)?;
        let covariance = centred.f_mul(&shares)?.f_tr()?.f_matmul(&centred)?;
        let (_, vectors) = covariance.f_linalg_eigh("L")?;
        let (all, kept) = (vectors.size()[1], self.student.embedding_size);
        let axes = vectors.f_narrow(1, all - kept, kept)?.f_to_kind(Kind::Float)?;
        for table in ["word", "position", "token_type"] {
            let name = format!("embeddings.{table}_embeddings.weight");
            let projected = self.source.table(table)?.f_matmul(&axes)?;
            let rows = match table {
                "position" => self.student.max_position_embeddings,
                "token_type" => self.student.type_vocab_size,
                _ => self.student.vocab_size,
            };
            let rows = rows.min(projected.size()[0]);
            let projected = projected.f_narrow(0, 0, rows)?;
            self.set(&name, projected);
        }
        let ones = Tensor::f_ones([kept], (Kind::Float, Device::Cpu))?;
        self.set("embeddings.LayerNorm.bias", ones.f_zeros_like()?);
        self.set("embeddings.LayerNorm.weight", ones);
        Ok(())
    }

    fn layers(&mut self) -> Result<()> {
        let per_layer = self.student.num_hidden_layers / self.source.config.num_hidden_layers;
        let kept = self.coordinates()?;
        let mut taught = self.source.first_states(&self.sample.ids)?;
        let mut states = self.first_states(&taught.f_index_select(2, &kept)?)?;
        self.map(0, &states, &taught)?;
        for index in 0..self.source.config.num_hidden_layers {
            let computed = self.source.layer(&taught, index, &self.sample)?;
            let heads = self.source.heads_by_weight(&computed, index, &self.sample)?;
            let units = self.source.units_by_weight(&computed, index, &self.sample)?;
            let goal = |it: &Tensor| it.f_index_select(2, &kept);
            for round in 0..per_layer {
                let name = format!("encoder.layer.{}", index * per_layer + round);
                let (attended, output) = match round {
                    0 => (&computed.attended, &computed.output),
                    // Later layers only bring the states closer to the result of the teacher's
                    // layer.
                    _ => (&computed.output, &computed.output),
                };
                let before = if round == 0 { goal(&attended.0)? } else { goal(&attended.1)? };
                states =
                    self.attention(&name, &states, &computed, &heads, round, &before, &goal(&attended.1)?)?;
                let before = if round == 0 { goal(&output.0)? } else { goal(&output.1)? };
                states =
                    self.feed_forward(&name, &states, &computed, &units, round, &before, &goal(&output.1)?)?;
            }
            taught = computed.output.1;
            self.map(index + 1, &states, &taught)?;
        }
        self.head(&states, &taught)
    }

    /// Returns the coordinates of the teacher's states that the student keeps. Each of them is the
    /// one that the previous ones predict least, so they are the pivots of the Cholesky
    /// decomposition of the covariance, summed over all layers.
    fn coordinates(&self) -> Result<Tensor> {
        let mut states = self.source.first_states(&self.sample.ids)?;
        let mut sum = covariance(&self.sample.rows_of(&states)?)?;
        for index in 0..self.source.config.num_hidden_layers {
            states = self.source.layer(&states, index, &self.sample)?.output.1;
            sum = sum.f_add(&covariance(&self.sample.rows_of(&states)?)?)?;
        }
        let size = sum.size()[0] as usize;
        let flat: Vec<f64> = Vec::try_from(sum.f_reshape([-1])?)?;
        let mut kept = pivots(flat, size, self.student.hidden_size as usize);
        kept.sort_unstable();
        Ok(Tensor::f_from_slice(&kept)?)
    }

    /// Fits the student's states before its first layer to `goal`, and returns them.
    fn first_states(&mut self, goal: &Tensor) -> Result<Tensor> {
        let table = |name: &str| &self.tensors[&format!("electra.embeddings.{name}_embeddings.weight")];
        let words = Tensor::f_embedding(table("word"), &self.sample.ids, -1, false, false)?;
        let positions = table("position").f_narrow(0, 0, self.sample.ids.size()[1])?;
        let sum = words.f_add(&positions)?.f_add(&table("token_type").f_narrow(0, 0, 1)?)?;
        let states = self.normalized(&sum)?;
        if self.student.embedding_size == self.student.hidden_size {
            return self.norm("embeddings.LayerNorm", &sum, goal);
        }
        self.linear("embeddings_project", &states, goal)
    }

    #[allow(clippy::too_many_arguments)]
    fn attention(
        &mut self,
        name: &str,
        states: &Tensor,
        computed: &Computed,
        heads: &[i64],
        round: i64,
        before: &Tensor,
        after: &Tensor,
    ) -> Result<Tensor> {
        let of = self.source.config.num_attention_heads;
        let narrow = self.source.config.hidden_size / of;
        let count = self.student.num_attention_heads;
        let width = self.student.hidden_size / count;
        // Scores are divided by the square root of the head width, which differs from the
        // teacher's.
        let scale = (width as f64 / narrow as f64).sqrt();
        let head = |place: i64| heads[(place % of) as usize];
        let first = round * count;
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        for place in first..first + count {
            let of_teacher = |it: &Tensor, head: i64| it.f_narrow(2, head * narrow, narrow);
            let spare = Tensor::f_zeros([0], (Kind::Float, Device::Cpu))?;
            let wanted = [
                (of_teacher(&computed.query, head(place))?.f_mul_scalar(scale)?, spare.shallow_clone()),
                (of_teacher(&computed.key, head(place))?, spare),
                // The spare columns take another head's values, weighted by this head's attention.
                (
                    of_teacher(&computed.value, head(place))?,
                    of_teacher(&computed.value, head(place + of / 2))?,
                ),
            ];
            for (part, (goal, spare)) in parts.iter_mut().zip(wanted) {
                part.push(self.head_rows(states, &goal, &spare, width)?);
            }
        }
        let mut computed_here = Vec::new();
        for (kind, rows) in ["query", "key", "value"].into_iter().zip(parts) {
            let (weights, biases): (Vec<Tensor>, Vec<Tensor>) = rows.into_iter().unzip();
            let (weight, bias) = (Tensor::f_cat(&weights, 0)?, Tensor::f_cat(&biases, 0)?);
            computed_here.push(states.f_linear(&weight, Some(&bias))?);
            self.set(&format!("{name}.attention.self.{kind}.weight"), weight);
            self.set(&format!("{name}.attention.self.{kind}.bias"), bias);
        }
        let [query, key, value] = &computed_here[..] else { unreachable!("one for each of the three") };
        let context = attend(query, key, value, count, &self.sample.mask)?;
        let written =
            self.linear(&format!("{name}.attention.output.dense"), &context, &before.f_sub(states)?)?;
        self.norm(&format!("{name}.attention.output.LayerNorm"), &states.f_add(&written)?, after)
    }

    /// Returns the weight and bias of one head of `width` rows. The rows are fitted to `goal`, then
    /// to as much of `spare` as fits. The remaining rows are small random numbers, because a
    /// product of two zeros would never learn.
    fn head_rows(
        &self,
        states: &Tensor,
        goal: &Tensor,
        spare: &Tensor,
        width: i64,
    ) -> Result<(Tensor, Tensor)> {
        let goal = match spare.numel() {
            0 => goal.shallow_clone(),
            _ => Tensor::f_cat(&[goal, spare], 2)?,
        };
        let goal = goal.f_narrow(2, 0, goal.size()[2].min(width))?;
        let (weight, bias) = least_squares(&self.sample.rows_of(states)?, &self.sample.rows_of(&goal)?)?;
        let left = width - weight.size()[0];
        let deviation = self.student.initializer_range;
        let noise = Tensor::f_randn([left, weight.size()[1]], (Kind::Float, Device::Cpu))?;
        let zeros = Tensor::f_zeros([left], (Kind::Float, Device::Cpu))?;
        Ok((Tensor::f_cat(&[weight, noise.f_mul_scalar(deviation)?], 0)?, Tensor::f_cat(&[bias, zeros], 0)?))
    }

    #[allow(clippy::too_many_arguments)]
    fn feed_forward(
        &mut self,
        name: &str,
        states: &Tensor,
        computed: &Computed,
        units: &[i64],
        round: i64,
        before: &Tensor,
        after: &Tensor,
    ) -> Result<Tensor> {
        let count = self.student.intermediate_size;
        let chosen: Vec<i64> =
            (round * count..(round + 1) * count).map(|it| units[it as usize % units.len()]).collect();
        let goal = computed.wide.f_index_select(2, &Tensor::f_from_slice(&chosen)?)?;
        let wide = self.linear(&format!("{name}.intermediate.dense"), states, &goal)?.f_gelu("none")?;
        let written = self.linear(&format!("{name}.output.dense"), &wide, &before.f_sub(states)?)?;
        self.norm(&format!("{name}.output.LayerNorm"), &states.f_add(&written)?, after)
    }

    /// Sets the head. Its first layer is random, so that its features differ. Its second layer is
    /// fitted to the teacher's logits.
    fn head(&mut self, states: &Tensor, taught: &Tensor) -> Result<()> {
        let wanted = self.source.logits(&self.sample.first_of(taught)?)?;
        let first = self.sample.first_of(states)?;
        let hidden = self.student.hidden_size;
        let deviation = 1.0 / (hidden as f64).sqrt();
        let dense = Tensor::f_randn([hidden, hidden], (Kind::Float, Device::Cpu))?.f_mul_scalar(deviation)?;
        let bias = Tensor::f_zeros([hidden], (Kind::Float, Device::Cpu))?;
        let features = first.f_linear(&dense, Some(&bias))?.f_gelu("none")?;
        let (weight, out_bias) = least_squares(&features, &wanted)?;
        for (name, tensor) in [
            ("classifier.dense.weight", dense),
            ("classifier.dense.bias", bias),
            ("classifier.out_proj.weight", weight),
            ("classifier.out_proj.bias", out_bias),
        ] {
            self.tensors.insert(name.to_owned(), tensor);
        }
        Ok(())
    }

    /// Fits the map from the student's states to the teacher's after `layer` of the teacher.
    fn map(&mut self, layer: i64, states: &Tensor, taught: &Tensor) -> Result<()> {
        let of_layer = pairs(self.student, self.source.config).into_iter().find(|it| it.teacher == layer);
        if let Some(pair) = of_layer {
            let (weight, bias) = least_squares(&self.sample.rows_of(states)?, &self.sample.rows_of(taught)?)?;
            self.tensors.insert(map_name(pair, "weight"), weight);
            self.tensors.insert(map_name(pair, "bias"), bias);
        }
        Ok(())
    }

    /// Fits the linear layer `name` to map `input` to `goal`, and returns its output.
    fn linear(&mut self, name: &str, input: &Tensor, goal: &Tensor) -> Result<Tensor> {
        let (weight, bias) = least_squares(&self.sample.rows_of(input)?, &self.sample.rows_of(goal)?)?;
        let output = input.f_linear(&weight, Some(&bias))?;
        self.set(&format!("{name}.weight"), weight);
        self.set(&format!("{name}.bias"), bias);
        Ok(output)
    }

    /// Fits scale and shift of the LayerNorm `name` to map `input` to `goal`, and returns its
    /// output.
    fn norm(&mut self, name: &str, input: &Tensor, goal: &Tensor) -> Result<Tensor> {
        let normalized = self.normalized(input)?;
        let (found, found_mean) = centred(&self.sample.rows_of(&normalized)?)?;
        let (wanted, wanted_mean) = centred(&self.sample.rows_of(goal)?)?;
        let product = found.f_mul(&wanted)?.f_mean_dim(0, false, Kind::Float)?;
        let square = found.f_square()?.f_mean_dim(0, false, Kind::Float)?.f_clamp_min(1e-6)?;
        let weight = product.f_div(&square)?;
        let bias = wanted_mean.f_sub(&found_mean.f_mul(&weight)?)?;
        let output = normalized.f_mul(&weight)?.f_add(&bias)?;
        self.set(&format!("{name}.weight"), weight);
        self.set(&format!("{name}.bias"), bias);
        Ok(output)
    }

    fn normalized(&self, input: &Tensor) -> Result<Tensor> {
        let width = input.size()[2];
        Ok(input.f_layer_norm::<Tensor>([width], None, None, self.student.layer_norm_eps, false)?)
    }

    fn set(&mut self, name: &str, tensor: Tensor) {
        self.tensors.insert(format!("{}.{name}", Family::Electra.prefix()), tensor);
    }
}
