//! Losses of the student: against the teacher's labels, hidden states and relations, and against
//! the texts' own labels.

use tch::{Kind, Tensor};

use super::settings::Losses;
use super::teachers::Teachers;
use crate::batch::LabelledBatch;
use crate::classification::TextClassifier;
use crate::error::Result;
use crate::losses::{among_known, copy_divergence, cross_entropy_sum};
use crate::model::{Config, Initial, Mode, Parameter};

/// Names of the figures of a step, in the order of their values.
pub const FIGURES: [&str; 6] =
    ["loss", "soft_loss", "hard_loss", "hidden_loss", "relation_loss", "consistency_loss"];

/// Layer of the student and the layer of the teacher whose states are compared. Layer 0 is the
/// states before the first layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Layer of the student.
    pub student: i64,
    /// Layer of the teacher.
    pub teacher: i64,
}

/// Pairs every layer of the teacher with the student's layer at the same depth.
pub fn pairs(student: &Config, teacher: &Config) -> Vec<Pair> {
    let (layers, of) = (student.num_hidden_layers, teacher.num_hidden_layers);
    let mut pairs: Vec<Pair> =
        (0..=of).map(|it| Pair { student: (it * layers + of / 2) / of, teacher: it }).collect();
    // If the student has fewer layers, several layers of the teacher share one of the student's.
    // The last of these is kept.
    pairs.reverse();
    pairs.dedup_by_key(|pair| pair.student);
    pairs.reverse();
    pairs
}

/// Returns the name of the map from a student's states to the teacher's.
pub fn map_name(pair: Pair, end: &str) -> String {
    format!("distil/hidden.{}.{end}", pair.teacher)
}

/// Returns the parameters of the linear maps from the student's states to the teacher's. They are
/// trained with the student and then discarded.
pub fn map_parameters(student: &Config, teacher: &Config) -> Vec<Parameter> {
    let mut list = Vec::new();
    for pair in pairs(student, teacher) {
        let shape = [teacher.hidden_size, student.hidden_size];
        let normal = Initial::Normal(1.0 / (student.hidden_size as f64).sqrt());
        list.push(Parameter::new(map_name(pair, "weight"), &shape, normal));
        list.push(Parameter::new(map_name(pair, "bias"), &shape[..1], Initial::Zeros));
    }
    for parameter in &mut list {
        parameter.depth = student.num_hidden_layers + 1;
    }
    list
}

/// Computes the losses of a student against its teachers.
#[derive(Debug)]
pub struct Distillation<'a> {
    teachers: &'a Teachers,
    student: &'a TextClassifier,
    settings: &'a Losses,
    /// `[1, labels]`, bool: whether the teachers cover each label; `None` if they cover all.
    known: Option<Tensor>,
    maps: Vec<(Pair, Tensor, Tensor)>,
}

impl<'a> Distillation<'a> {
    /// Prepares the losses. If there is a teacher with hidden states, the student's parameters must
    /// include those of [`map_parameters`].
    pub fn new(teachers: &'a Teachers, student: &'a TextClassifier, settings: &'a Losses) -> Result<Self> {
        let get = |pair, end| student.parameters.get(&map_name(pair, end));
        let pairs =
            teachers.first().map_or_else(Vec::new, |(first, _)| pairs(&student.config, &first.config));
        let maps = pairs.into_iter().map(|pair| (pair, get(pair, "weight"), get(pair, "bias"))).collect();
        let known = match teachers.known.contains(&false) {
            true => {
                let device = student.parameters.flat().device();
                Some(Tensor::f_from_slice(&teachers.known)?.f_unsqueeze(0)?.f_to_device(device)?)
            }
            false => None,
        };
        Ok(Self { teachers, student, settings, known, maps })
    }

    /// Returns the loss and the [`FIGURES`]; the figures are detached.
    pub fn losses(&self, batch: &LabelledBatch) -> Result<(Tensor, Tensor)> {
        let settings = self.settings;
        let texts = batch.of_texts()?;
        let states = settings.hidden > 0.0 || settings.relations > 0.0;
        let (taught, taught_labels) = self.teachers.teach(&texts, settings.temperature, states)?;
        let wanted_relations = match (&taught, self.teachers.first()) {
            (Some(taught), Some((first, _))) if settings.relations > 0.0 => {
                let _guard = tch::no_grad_guard();
                Some(first.encoder().last_query_key_value(&taught.states[taught.states.len() - 2])?)
            }
            _ => None,
        };
        let learnt = self.student.trace(batch, Mode::Train)?;
        let zero = Tensor::f_zeros([], (Kind::Float, learnt.logits.device()))?;
        let found = among_known(&learnt.logits, self.known.as_ref())?;
        let soft = soft_loss(&found, &batch.spread(&taught_labels)?, settings.temperature)?;
        let hard = match settings.hard > 0.0 {
            true => hard_loss(&learnt.logits, batch)?,
            false => zero.shallow_clone(),
        };
        let consistency = match settings.consistency > 0.0 {
            true => copy_divergence(&learnt.logits, batch)?,
            false => zero.shallow_clone(),
        };
        let of_texts = |of: &Tensor| of.f_narrow(0, 0, batch.texts());
        let mut hidden = zero.shallow_clone();
        if let Some(taught) = taught.filter(|_| settings.hidden > 0.0) {
            for (pair, weight, bias) in &self.maps {
                let mapped = of_texts(&learnt.states[pair.student as usize])?.f_linear(weight, Some(bias))?;
                let wanted = &taught.states[pair.teacher as usize];
                hidden = hidden.f_add(&hidden_loss(&mapped, wanted, texts.present.as_ref())?)?;
            }
            hidden = hidden.f_div_scalar(self.maps.len() as f64)?;
        }
        let relations = match wanted_relations {
            Some(wanted) => {
                let states = of_texts(&learnt.states[learnt.states.len() - 2])?;
                let found = self.student.encoder().last_query_key_value(&states)?;
                relation_loss(&found, &wanted, texts.present.as_ref(), settings.relation_heads)?
            }
            None => zero.shallow_clone(),
        };
        let mut loss = zero;
        for (part, weight) in [
            (&soft, settings.soft),
            (&hard, settings.hard),
            (&hidden, settings.hidden),
            (&relations, settings.relations),
            (&consistency, settings.consistency),
        ] {
            loss = loss.f_add(&part.f_mul_scalar(weight)?)?;
        }
        let figures = [&loss, &soft, &hard, &hidden, &relations, &consistency];
        let figures = Tensor::f_stack(&figures, 0)?.f_detach()?;
        Ok((loss, figures))
    }
}

/// Computes the Kullback-Leibler divergence of the teachers' labels from the student's, in nats, at
/// `temperature`. It is multiplied by the square of the temperature, so that the size of its
/// gradients does not depend on it. `found` are logits and `wanted` are logarithms of probabilities
/// at that temperature, both `[batch, labels]`.
pub fn soft_loss(found: &Tensor, wanted: &Tensor, temperature: f64) -> Result<Tensor> {
    let found = found.f_div_scalar(temperature)?.f_log_softmax(-1, Kind::Float)?;
    let divergence = wanted.f_exp()?.f_mul(&wanted.f_sub(&found)?)?;
    let sum = divergence.f_sum_dim_intlist(-1, false, Kind::Float)?;
    Ok(sum.f_mean(Kind::Float)?.f_mul_scalar(temperature * temperature)?)
}

/// Computes the cross-entropy of the rows that have a label, divided by the number of all rows in
/// the batch. A batch with few labels thus weighs little.
pub fn hard_loss(logits: &Tensor, batch: &LabelledBatch) -> Result<Tensor> {
    Ok(cross_entropy_sum(logits, batch, None, 0.0)?.f_div_scalar(batch.labels.size()[0] as f64)?)
}

/// Computes the mean square of the difference at tokens that are not padding, in units of the
/// variance of `wanted` there. Both are `[batch, tokens, hidden]`.
pub fn hidden_loss(found: &Tensor, wanted: &Tensor, present: Option<&Tensor>) -> Result<Tensor> {
    let wanted = wanted.f_to_kind(Kind::Float)?;
    let error = found.f_to_kind(Kind::Float)?.f_sub(&wanted)?.f_square()?;
    let error = error.f_mean_dim(-1, false, Kind::Float)?;
    let centre = match present {
        Some(present) => {
            let present = present.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?;
            let sum = wanted.f_mul(&present)?.f_sum_dim_intlist([0_i64, 1].as_slice(), true, Kind::Float)?;
            sum.f_div(&present.f_sum(Kind::Float)?)?
        }
        None => wanted.f_mean_dim([0_i64, 1].as_slice(), true, Kind::Float)?,
    };
    let variance = wanted.f_sub(&centre)?.f_square()?.f_mean_dim(-1, false, Kind::Float)?;
    Ok(mean_of_present(&error, present)?.f_div(&mean_of_present(&variance, present)?)?)
}

/// Computes the mean divergence of the student's relations from the teacher's, over tokens,
/// relation heads and the three kinds of relations. A relation is the softmax of the scaled
/// products of queries with queries, keys with keys or values with values. `found` and `wanted` are
/// `[3, batch, heads, tokens, width]`; their numbers of heads and widths may differ.
pub fn relation_loss(
    found: &Tensor,
    wanted: &Tensor,
    present: Option<&Tensor>,
    heads: i64,
) -> Result<Tensor> {
    let found = relations(found, present, heads)?;
    let wanted = relations(wanted, present, heads)?;
    let divergence = wanted.f_exp()?.f_mul(&wanted.f_sub(&found)?)?;
    // [3, batch, heads, tokens] to [batch, tokens]
    let sum = divergence.f_sum_dim_intlist(-1, false, Kind::Float)?;
    mean_of_present(&sum.f_mean_dim([0_i64, 2].as_slice(), false, Kind::Float)?, present)
}

/// Computes the logarithms of the relations, `[3, batch, heads, tokens, tokens]`. Scores of padding
/// are a large negative number and not minus infinity, because their product with 0 must be
/// defined.
fn relations(stacked: &Tensor, present: Option<&Tensor>, heads: i64) -> Result<Tensor> {
    let (batch, tokens) = (stacked.size()[1], stacked.size()[3]);
    let hidden = stacked.size()[2] * stacked.size()[4];
    let width = hidden / heads;
    let cut = stacked
        .f_to_kind(Kind::Float)?
        .f_transpose(2, 3)?
        .f_reshape([3, batch, tokens, heads, width])?
        .f_transpose(2, 3)?;
    let scores = cut.f_matmul(&cut.f_transpose(-1, -2)?)?.f_div_scalar((width as f64).sqrt())?;
    let scores = match present {
        Some(present) => {
            let absent = present.f_logical_not()?.f_view([1, batch, 1, 1, tokens])?;
            scores.f_masked_fill(&absent, -1e4)?
        }
        None => scores,
    };
    Ok(scores.f_log_softmax(-1, Kind::Float)?)
}

/// Returns the mean of `values` `[batch, tokens]` over the tokens that are `present`.
fn mean_of_present(values: &Tensor, present: Option<&Tensor>) -> Result<Tensor> {
    match present {
        Some(present) => {
            let present = present.f_to_kind(Kind::Float)?;
            let sum = values.f_mul(&present)?.f_sum(Kind::Float)?;
            Ok(sum.f_div(&present.f_sum(Kind::Float)?)?)
        }
        None => Ok(values.f_mean(Kind::Float)?),
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::random::torch_alone;

    fn config(layers: i64) -> Config {
        Config { num_hidden_layers: layers, ..Config::default() }
    }

    #[test]
    fn layers_at_the_same_depth() {
        let of = |student, teacher| {
            let pairs = pairs(&config(student), &config(teacher));
            pairs.into_iter().map(|pair| (pair.student, pair.teacher)).collect::<Vec<_>>()
        };
        assert_eq!(of(12, 6), [(0, 0), (2, 1), (4, 2), (6, 3), (8, 4), (10, 5), (12, 6)]);
        assert_eq!(of(2, 4), [(0, 0), (1, 2), (2, 4)]);
        assert_eq!(of(3, 2), [(0, 0), (2, 1), (3, 2)]);
    }

    #[test]
    fn losses_are_zero_at_the_teachers_own_and_ignore_padding() {
        let _alone = torch_alone();
        tch::manual_seed(1);
        let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let value = |loss: Result<Tensor>| loss.unwrap().double_value(&[]);
        let logits = random(&[2, 3]);
        let own = (&logits / 3.0).log_softmax(-1, Kind::Float);
        assert!(value(soft_loss(&logits, &own, 3.0)).abs() < 1e-6);
        let present = Tensor::from_slice(&[true, true, true, true, false, false]).view([2, 3]);
        let states = random(&[2, 3, 8]);
        let other = states.copy();
        let _ = other.get(1).narrow(0, 1, 2).fill_(7.0);
        assert!(value(hidden_loss(&other, &states, Some(&present))).abs() < 1e-6);
        assert!(value(hidden_loss(&other, &states, None)) > 0.1);
        // The teacher's states at padding do not change the unit either.
        let found = value(hidden_loss(&(&states + 1.0), &states, Some(&present)));
        assert!((found - value(hidden_loss(&(&states + 1.0), &other, Some(&present)))).abs() < 1e-6);
        let rest = |of: &Tensor| of.flatten(0, 1).narrow(0, 0, 4).unsqueeze(0);
        assert!((found - value(hidden_loss(&rest(&(&states + 1.0)), &rest(&states), None))).abs() < 1e-6);
        let stacked = random(&[3, 2, 2, 3, 4]);
        let other = stacked.copy();
        let _ = other.select(1, 1).narrow(2, 1, 2).fill_(7.0);
        assert!(value(relation_loss(&other, &stacked, Some(&present), 4)).abs() < 1e-6);
        assert!(value(relation_loss(&other, &stacked, None, 4)) > 0.01);
    }

    /// Computes the same relations in plain loops.
    #[test]
    fn relations_by_hand() {
        let stacked = Tensor::arange(3 * 2 * 4, (Kind::Float, Device::Cpu)).sin().view([3, 1, 2, 2, 2]);
        let found = relations(&stacked, None, 1).unwrap();
        let at = |which, head, token, column| stacked.double_value(&[which, 0, head, token, column]);
        for which in 0..3 {
            for query in 0..2 {
                let score = |key| {
                    let products =
                        (0..4).map(|it| at(which, it / 2, query, it % 2) * at(which, it / 2, key, it % 2));
                    products.sum::<f64>() / 2.0
                };
                let sum = score(0).exp() + score(1).exp();
                for key in 0..2 {
                    let expected = score(key) - sum.ln();
                    assert!((found.double_value(&[which, 0, 0, query, key]) - expected).abs() < 1e-5);
                }
            }
        }
    }
}
