//! Losses of pre-training.

use tch::{Kind, Reduction, Tensor};

use super::batches::Batch;
use super::settings::{Objective, PretrainSettings};
use crate::error::Result;
use crate::model::{
    Config, Discriminator, Encoder, GENERATOR, MaskedLanguageModel, Mode, Parameter, Parameters,
};

/// Models of one objective over the parameters of a run.
#[derive(Debug)]
pub struct Pretraining {
    objective: Objective,
    mask: i64,
    discriminator_weight: f64,
    encoder: Encoder,
    discriminator: Option<Discriminator>,
    generator: Option<Encoder>,
    language_model: MaskedLanguageModel,
}

/// Returns the names of the figures that [`Pretraining::losses`] returns. The first one is
/// minimized.
pub fn figures(objective: Objective) -> &'static [&'static str] {
    match objective {
        Objective::Mlm => &["loss", "mlm_loss", "mlm_accuracy"],
        Objective::Rtd | Objective::Rtd15 => &[
            "loss",
            "mlm_loss",
            "mlm_accuracy",
            "rtd_loss",
            "rtd_accuracy",
            "replaced_share",
            "replaced_found",
        ],
    }
}

impl Pretraining {
    /// Returns the parameters to allocate. All layers have the same learning rate, so all have the
    /// same depth.
    pub fn parameters(settings: &PretrainSettings) -> Vec<Parameter> {
        let mut list = Encoder::parameters(&settings.model, "", false);
        if settings.training.own.objective == Objective::Mlm {
            list.extend(MaskedLanguageModel::parameters(&settings.model, ""));
        } else {
            let generator = settings.generator();
            list.extend(Discriminator::parameters(&settings.model));
            list.extend(Encoder::parameters(&generator, GENERATOR, true));
            list.extend(MaskedLanguageModel::parameters(&generator, GENERATOR));
        }
        for parameter in &mut list {
            parameter.depth = 0;
        }
        list
    }

    /// Builds the models over `parameters`. `mask` is the id of `[MASK]`.
    pub fn new(parameters: &Parameters, settings: &PretrainSettings, mask: u16) -> Self {
        let objective = settings.training.own.objective;
        let encoder = Encoder::new(parameters, &settings.model, "", None);
        let small: Config = settings.generator();
        let (discriminator, generator, language_model) = if objective == Objective::Mlm {
            (None, None, MaskedLanguageModel::new(parameters, &settings.model, "", &encoder))
        } else {
            let generator = Encoder::new(parameters, &small, GENERATOR, Some(&encoder));
            let head = MaskedLanguageModel::new(parameters, &small, GENERATOR, &generator);
            (Some(Discriminator::new(parameters)), Some(generator), head)
        };
        Self {
            objective,
            mask: i64::from(mask),
            discriminator_weight: settings.training.own.discriminator_weight,
            encoder,
            discriminator,
            generator,
            language_model,
        }
    }

    /// Computes the loss, and the values of [`figures`] as one f32 tensor without gradient. Dropout
    /// draws from libtorch's generator of random numbers.
    pub fn losses(&self, batch: &Batch, mode: Mode) -> Result<(Tensor, Tensor)> {
        let Batch { ids, positions, samples } = batch;
        let masked = ids.f_scatter_value(1, positions, self.mask)?;
        let originals = ids.f_gather(1, positions, false)?;
        let masked_encoder = self.generator.as_ref().unwrap_or(&self.encoder);
        let states = rows_at(&masked_encoder.forward(&masked, None, mode)?, positions)?;
        // [batch * masked, vocabulary]
        let logits = self.language_model.forward(&states)?;
        let log_probabilities = logits.f_log_softmax(-1, Kind::Float)?;
        let targets = originals.f_reshape([-1, 1])?;
        let mlm_loss = log_probabilities.f_gather(1, &targets, false)?.f_neg()?.f_mean(Kind::Float)?;
        let log_probabilities = log_probabilities.f_detach()?;
        let guesses = log_probabilities.f_argmax(-1, true)?;
        let mlm_accuracy = share(&guesses.f_eq_tensor(&targets)?)?;
        let Some(discriminator) = &self.discriminator else {
            let figures = Tensor::f_stack(&[&mlm_loss, &mlm_loss, &mlm_accuracy], 0)?.f_detach()?;
            return Ok((mlm_loss, figures));
        };

        let samples = sample(&log_probabilities, samples)?.f_view_as(positions)?;
        let corrupted = ids.f_scatter(1, positions, &samples)?;
        // A sample that is the original token counts as original.
        let replaced = corrupted.f_ne_tensor(ids)?;
        let states = self.encoder.forward(&corrupted, None, mode)?;
        let logits = discriminator.forward(&states)?.f_to_kind(Kind::Float)?;
        let (judged, truth) = match self.objective {
            Objective::Rtd15 => {
                (logits.f_gather(1, positions, false)?, replaced.f_gather(1, positions, false)?)
            }
            _ => (logits.shallow_clone(), replaced.shallow_clone()),
        };
        let rtd_loss = judged.f_binary_cross_entropy_with_logits::<Tensor>(
            &truth.f_to_kind(Kind::Float)?,
            None,
            None,
            Reduction::Mean,
        )?;
        let loss = mlm_loss.f_add(&rtd_loss.f_mul_scalar(self.discriminator_weight)?)?;
        let suspected = logits.f_detach()?.f_gt(0.0)?;
        let found = suspected.f_logical_and(&replaced)?.f_sum(Kind::Float)?;
        let figures = [
            &loss,
            &mlm_loss,
            &mlm_accuracy,
            &rtd_loss,
            &share(&suspected.f_eq_tensor(&replaced)?)?,
            &share(&replaced)?,
            &found.f_div(&replaced.f_sum(Kind::Float)?.f_clamp_min(1.0)?)?,
        ];
        let figures = Tensor::f_stack(&figures, 0)?.f_detach()?;
        Ok((loss, figures))
    }
}

/// Returns the rows of `states` `[batch, tokens, hidden]` at `positions` `[batch, masked]`, as
/// `[batch * masked, hidden]`.
fn rows_at(states: &Tensor, positions: &Tensor) -> Result<Tensor> {
    let size = states.size();
    let starts = Tensor::f_arange(size[0], (Kind::Int64, states.device()))?.f_mul_scalar(size[1])?;
    let rows = positions.f_add(&starts.f_unsqueeze(1)?)?.f_flatten(0, -1)?;
    Ok(states.f_reshape([-1, size[2]])?.f_index_select(0, &rows)?)
}

/// Draws one id per row with the probabilities of the row. `uniform` has one random number per row,
/// with which the distribution function is inverted. Gumbel noise would take one number per word.
fn sample(log_probabilities: &Tensor, uniform: &Tensor) -> Result<Tensor> {
    let cumulative = log_probabilities.f_exp()?.f_cumsum(-1, Kind::Float)?;
    let words = cumulative.size()[1];
    let total = cumulative.f_narrow(1, words - 1, 1)?;
    let place = uniform.f_reshape([-1, 1])?.f_mul(&total)?;
    let found = place.f_searchsorted::<Tensor>(&cumulative, false, true, "right", None)?;
    Ok(found.f_clamp_max(words - 1)?)
}

/// Returns the share of true values.
fn share(truths: &Tensor) -> Result<Tensor> {
    Ok(truths.f_mean(Kind::Float)?)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn samples_follow_the_probabilities() {
        let mut random = Stream::new(1, Purpose::Samples, 0);
        let uniform: Vec<f32> = (0..20_000).map(|_| random.unit()).collect();
        let uniform = Tensor::from_slice(&uniform);
        let probabilities = Tensor::from_slice(&[0.0_f32, 0.5, 0.2, 0.3, 0.0]);
        let rows = probabilities.log().unsqueeze(0).repeat([20_000, 1]);
        let samples: Vec<i64> = Vec::try_from(sample(&rows, &uniform).unwrap().flatten(0, -1)).unwrap();
        let counts = (0..5).map(|id| samples.iter().filter(|&&it| it == id).count());
        // Five standard deviations: at most 354.
        for (count, expected) in counts.zip([0_usize, 10_000, 4_000, 6_000, 0]) {
            assert!(count.abs_diff(expected) < 354 && (expected > 0 || count == 0), "{count} for {expected}");
        }
    }

    #[test]
    fn rows_are_those_at_the_positions() {
        let states = Tensor::arange(2 * 3 * 2, (Kind::Float, Device::Cpu)).view([2, 3, 2]);
        let positions = Tensor::from_slice(&[2_i64, 0, 1, 1]).view([2, 2]);
        let rows: Vec<f32> = Vec::try_from(rows_at(&states, &positions).unwrap().flatten(0, -1)).unwrap();
        assert_eq!(rows, [4.0, 5.0, 0.0, 1.0, 8.0, 9.0, 8.0, 9.0]);
    }
}
