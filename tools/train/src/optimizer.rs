//! AdamW with a linear schedule over one flat buffer of parameters.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::model::Parameters;

/// Constants of the optimizer; the defaults are those of ELECTRA-Small's pre-training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Largest learning rate, reached after the warm-up.
    pub learning_rate: f64,
    /// Decoupled decay per step, as a share of the learning rate. It does not apply to biases and
    /// LayerNorm.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Number that is added to the root of the second moment.
    pub epsilon: f64,
    /// Largest global norm of the gradients. Larger gradients are scaled down to it.
    pub clip_norm: f64,
    /// Learning rate of a layer, as a share of that of the layer above it; 1 for the same rate in
    /// all layers.
    pub layer_decay: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            learning_rate: 5e-4,
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-6,
            clip_norm: 1.0,
            layer_decay: 1.0,
        }
    }
}

impl Settings {
    /// Fails for meaningless values. `file` is for messages.
    pub fn check(&self, file: &Path) -> Result<()> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let zero_or_positive = |value: f64| value == 0.0 || positive(value);
        let checks = [
            (
                "learning_rate",
                self.learning_rate,
                zero_or_positive(self.learning_rate),
                "0, or a number above it",
            ),
            (
                "weight_decay",
                self.weight_decay,
                zero_or_positive(self.weight_decay),
                "0, or a number above it",
            ),
            ("beta1", self.beta1, (0.0..1.0).contains(&self.beta1), "at least 0 and below 1"),
            ("beta2", self.beta2, (0.0..1.0).contains(&self.beta2), "at least 0 and below 1"),
            ("epsilon", self.epsilon, positive(self.epsilon), "a number above 0"),
            ("clip_norm", self.clip_norm, positive(self.clip_norm), "a number above 0"),
            (
                "layer_decay",
                self.layer_decay,
                self.layer_decay > 0.0 && self.layer_decay <= 1.0,
                "above 0 and at most 1",
            ),
        ];
        match checks.into_iter().find(|&(_, _, right, _)| !right) {
            Some((name, found, _, expected)) => {
                Err(Error::field(file, format!("optimizer.{name}"), found.to_string(), expected))
            }
            None => Ok(()),
        }
    }
}

/// Returns the share of the largest learning rate at `step`, which counts from 1 to `steps`. The
/// share rises linearly over `warmup` steps and then falls linearly, to 0 after the last step.
pub fn linear_schedule(step: u64, warmup: u64, steps: u64) -> f64 {
    if step <= warmup {
        return step as f64 / warmup as f64;
    }
    (steps + 1).saturating_sub(step) as f64 / (steps + 1 - warmup) as f64
}

/// AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019).
#[derive(Debug)]
pub struct AdamW {
    settings: Settings,
    /// Moments of the elements that are trained, f32.
    pub(crate) first: Tensor,
    pub(crate) second: Tensor,
}

impl AdamW {
    /// Begins with moments of zero.
    pub fn new(parameters: &Parameters, settings: Settings) -> Result<Self> {
        let first = zero_gradients(parameters)?;
        let second = zero_gradients(parameters)?;
        Ok(Self { settings, first, second })
    }

    /// Updates the parameters with flat `gradients`, which are clipped in place. `step` counts from
    /// 1; `rate` is the share of the learning rate. Returns the norm of the gradients before
    /// clipping, a scalar on the device.
    pub fn step(
        &mut self,
        parameters: &Parameters,
        gradients: &Tensor,
        step: u64,
        rate: f64,
    ) -> Result<Tensor> {
        let settings = &self.settings;
        let norm = gradients.f_norm()?;
        // The norm stays on the device: reading it would make the CPU wait for it.
        let scale =
            norm.f_add_scalar(1e-12)?.f_reciprocal()?.f_mul_scalar(settings.clip_norm)?.f_clamp_max(1.0)?;
        let mut gradients = gradients.shallow_clone();
        let gradients = gradients.f_mul_(&scale)?;

        let step = i32::try_from(step).unwrap_or(i32::MAX);
        let correction1 = 1.0 - settings.beta1.powi(step);
        let correction2 = (1.0 - settings.beta2.powi(step)).sqrt();
        let deepest = parameters.groups().iter().map(|group| group.depth).max().unwrap_or(0);
        let chunk = chunk_length(parameters.flat().device());
        let trained = parameters.trained();
        let flat = parameters.flat().f_narrow(0, trained.start, trained.end - trained.start)?;
        for group in parameters.groups().iter().filter(|group| group.elements.start >= trained.start) {
            let depth_share = settings.layer_decay.powi((deepest - group.depth) as i32);
            let learning_rate = settings.learning_rate * rate * depth_share;
            let decay = if group.decays { 1.0 - learning_rate * settings.weight_decay } else { 1.0 };
            let (mut start, end) = (group.elements.start - trained.start, group.elements.end - trained.start);
            while start < end {
                let length = chunk.min(end - start);
                let part = |of: &Tensor| of.f_narrow(0, start, length);
                let gradient = part(&gradients)?;
                let (mut first, mut second) = (part(&self.first)?, part(&self.second)?);
                let first = first.f_lerp_(&gradient, 1.0 - settings.beta1)?;
                let second = second.f_lerp_(&gradient.f_square()?, 1.0 - settings.beta2)?;
                let mut root = second.f_sqrt()?;
                let root = root.f_add_scalar_(settings.epsilon * correction2)?;
                let mut update = first.f_div(&root)?;
                let update = update.f_mul_scalar_(-learning_rate * correction2 / correction1)?;
                let mut values = part(&flat)?;
                let _ = values.f_mul_scalar_(decay)?.f_add_(&update)?;
                start += length;
            }
        }
        parameters.refresh()?;
        Ok(norm)
    }
}

/// Returns the number of elements that are updated at once. On a CPU the operations of a step work
/// on pieces that stay in its second-level cache. On a GPU a launch costs more than the memory
/// traffic.
fn chunk_length(device: Device) -> i64 {
    if device == Device::Cpu { 1 << 16 } else { i64::MAX }
}

/// Returns zero gradients for the trained elements, to accumulate into.
pub fn zero_gradients(parameters: &Parameters) -> Result<Tensor> {
    let trained = parameters.trained();
    Ok(Tensor::f_zeros([trained.end - trained.start], (Kind::Float, parameters.flat().device()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Precision;
    use crate::model::{Initial, Parameter};
    use crate::random::torch_alone;

    #[test]
    fn values_that_mean_nothing_are_refused() {
        let check = |change: &str| {
            let settings: Settings = toml::from_str(change).unwrap();
            settings.check(Path::new("a.toml")).map_err(|error| error.to_string())
        };
        check("").unwrap();
        check("weight_decay = 0.0\nbeta1 = 0.0").unwrap();
        let names =
            ["learning_rate", "weight_decay", "beta1", "beta2", "epsilon", "clip_norm", "layer_decay"];
        for name in names {
            for value in ["-1.0", "nan", "inf"] {
                let error = check(&format!("{name} = {value}")).unwrap_err();
                assert!(error.contains(&format!("a.toml: optimizer.{name}: found ")), "{error}");
            }
        }
        assert!(check("clip_norm = 0.0").unwrap_err().ends_with("found 0, expected a number above 0"));
    }

    #[test]
    fn the_schedule_rises_and_falls() {
        let rates: Vec<f64> = (1..=6).map(|step| linear_schedule(step, 2, 6)).collect();
        assert_eq!(rates, [0.5, 1.0, 0.8, 0.6, 0.4, 0.2]);
        assert_eq!(linear_schedule(1, 0, 4), 0.8);
    }

    /// Compares with the formulas of the paper in plain loops.
    #[test]
    fn a_few_steps_by_hand() {
        let list = vec![
            Parameter::new("a.weight", &[100], Initial::Normal(0.5)),
            Parameter::new("a.bias", &[70], Initial::Ones),
        ];
        let _alone = torch_alone();
        let parameters = Parameters::new(list, Device::Cpu, Precision::F32, 3).unwrap();
        let mut expected = values(parameters.flat());
        let length = expected.len();
        let (mut first, mut second) = (vec![0.0; length], vec![0.0; length]);
        let settings =
            Settings { learning_rate: 0.1, weight_decay: 0.3, clip_norm: 2.0, ..Settings::default() };
        let mut optimizer = AdamW::new(&parameters, settings.clone()).unwrap();
        let decays: Vec<bool> = parameters
            .groups()
            .iter()
            .flat_map(|group| group.elements.clone().map(|_| group.decays))
            .collect();
        assert!(decays.contains(&true) && decays.contains(&false));
        for step in 1..=3_i32 {
            let gradient: Vec<f64> =
                (0..length as i32).map(|index| f64::from(step * (index % 5 - 2)) * 0.7).collect();
            let norm = gradient.iter().map(|it| it * it).sum::<f64>().sqrt();
            let flat = Tensor::from_slice(&gradient).to_kind(Kind::Float);
            let found = optimizer.step(&parameters, &flat, step as u64, 0.5).unwrap();
            assert!((found.double_value(&[]) - norm).abs() < 1e-4);
            for index in 0..length {
                let g = gradient[index] * (2.0 / norm).min(1.0);
                first[index] = 0.9 * first[index] + 0.1 * g;
                second[index] = 0.999 * second[index] + 0.001 * g * g;
                let m = first[index] / (1.0 - 0.9_f64.powi(step));
                let v = second[index] / (1.0 - 0.999_f64.powi(step));
                let decay = if decays[index] { 0.3 * expected[index] } else { 0.0 };
                expected[index] -= 0.05 * (m / (v.sqrt() + 1e-6) + decay);
            }
            for (found, expected) in values(parameters.flat()).iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5, "{found} {expected}");
            }
        }
    }

    fn values(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.to_kind(Kind::Double)).unwrap()
    }
}
