//! Floating-point operations of pre-training, so that objectives can be given equal budgets.
//!
//! Only matrix products are counted, with two operations per multiply-accumulate. The count covers
//! a forward pass and a backward pass, which costs twice as much. The table gives the
//! multiply-accumulates of the forward pass for an input of `s` tokens, `m` of them masked, an
//! encoder of width `h` with `L` layers, embeddings of width `e`, feed-forward blocks of width `f`
//! and a vocabulary of `V`:
//!
//! | | |
//! |---|---|
//! | encoder | `s (e h + L (4 h² + 2 s h + 2 h f))`; no `e h` where `e = h` |
//! | masked language model | `m (h e + e V)` |
//! | discriminator | `s (h² + h)` |
//!
//! `4 h²` are query, key, value and output. `2 s h` are the scores and the context of attention,
//! whatever the number of heads. `mlm` has the encoder and the masked language model. `rtd` has the
//! encoder, the discriminator, and the parts of `mlm` once more in the generator's sizes. `rtd-15`
//! costs the same as `rtd`: the discriminator judges every token, and only its loss is over fewer.
//! Look-ups, softmax, GELU, LayerNorm, sampling and the optimizer are not counted.

use crate::model::Config;
use crate::pretrain::{Objective, PretrainSettings};

/// Operations per multiply-accumulate of the forward pass: two, and twice as many in the backward
/// pass.
const OPERATIONS_OF_MULTIPLICATION: u64 = 3 * 2;

/// Returns the operations of one input, forward and backward, for `objective` in the sizes of
/// `settings`.
pub fn operations_of_input(settings: &PretrainSettings, objective: Objective) -> u64 {
    let tokens = settings.data.sequence_length as u64;
    let masked = settings.masked_positions() as u64;
    let (model, generator) = (&settings.model, settings.generator());
    let multiplications = match objective {
        Objective::Mlm => encoder(model, tokens) + language_model(model, masked),
        Objective::Rtd | Objective::Rtd15 => {
            let judged = encoder(model, tokens) + discriminator(model, tokens);
            judged + encoder(&generator, tokens) + language_model(&generator, masked)
        }
    };
    OPERATIONS_OF_MULTIPLICATION * multiplications
}

/// Returns the operations of a whole run of `settings` in one process.
pub fn operations_of_run(settings: &PretrainSettings) -> u64 {
    let inputs = settings.training.shared.steps * inputs_of_step(settings);
    inputs * operations_of_input(settings, settings.training.own.objective)
}

/// Returns the tokens of a whole run of `settings` in one process.
pub fn tokens_of_run(settings: &PretrainSettings) -> u64 {
    settings.training.shared.steps * inputs_of_step(settings) * settings.data.sequence_length as u64
}

/// Returns the number of steps after which a run of `settings` has cost as much as `rtd` with the
/// same sizes over `rtd_tokens` tokens. It is rounded, and at least one.
pub fn steps_of_equal_cost(settings: &PretrainSettings, rtd_tokens: u64) -> u64 {
    let rtd_inputs = rtd_tokens as f64 / settings.data.sequence_length as f64;
    let budget = rtd_inputs * operations_of_input(settings, Objective::Rtd) as f64;
    let step = inputs_of_step(settings) as f64
        * operations_of_input(settings, settings.training.own.objective) as f64;
    ((budget / step).round() as u64).max(1)
}

fn inputs_of_step(settings: &PretrainSettings) -> u64 {
    settings.training.own.batch_size as u64 * settings.training.shared.accumulate
}

fn encoder(config: &Config, tokens: u64) -> u64 {
    let [embedding, hidden, intermediate, layers] =
        [config.embedding_size, config.hidden_size, config.intermediate_size, config.num_hidden_layers]
            .map(i64::unsigned_abs);
    let projection = if embedding == hidden { 0 } else { embedding * hidden };
    let layer = 4 * hidden * hidden + 2 * tokens * hidden + 2 * hidden * intermediate;
    tokens * (projection + layers * layer)
}

fn language_model(config: &Config, masked: u64) -> u64 {
    let [embedding, hidden, vocabulary] =
        [config.embedding_size, config.hidden_size, config.vocab_size].map(i64::unsigned_abs);
    masked * (hidden * embedding + embedding * vocabulary)
}

fn discriminator(config: &Config, tokens: u64) -> u64 {
    let hidden = config.hidden_size.unsigned_abs();
    tokens * (hidden * hidden + hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(sizes: &str, training: &str) -> PretrainSettings {
        let text = format!(
            "[data]\ntexts = [\"a.txt\"]\nvocabulary = \"v.txt\"\ncache = \"c\"\n{sizes}\n\
             [training]\nwarmup_steps = 0\n{training}\n"
        );
        toml::from_str(&text).unwrap()
    }

    const TINY: &str = "sequence_length = 10\n[model]\nvocab_size = 100\nembedding_size = 4\nhidden_size = 8\n\
                        num_hidden_layers = 1\nnum_attention_heads = 4\nintermediate_size = 16";

    /// 8 tokens can be masked; 15 % of them is 1.
    #[test]
    fn tiny_sizes_by_hand() {
        let settings = settings(TINY, "steps = 3\nbatch_size = 5\naccumulate = 2");
        // 4 · 8, 4 · 8², 2 · 10 · 8 and 2 · 8 · 16, for each of 10 tokens.
        let encoder = 10 * (32 + 256 + 160 + 256);
        // One masked token: 8 · 4 and 4 · 100.
        assert_eq!(operations_of_input(&settings, Objective::Mlm), 6 * (encoder + 432));
        // Width 2 and 4 units: 4 · 2, 4 · 2², 2 · 10 · 2 and 2 · 2 · 4 per token; the head 2 · 4
        // and 4 · 100.
        let generator = 10 * (8 + 16 + 40 + 16) + 408;
        let rtd = 6 * (encoder + 10 * (64 + 8) + generator);
        assert_eq!(operations_of_input(&settings, Objective::Rtd), rtd);
        assert_eq!(operations_of_input(&settings, Objective::Rtd15), rtd);
        assert_eq!(rtd, 53_808);
        assert_eq!((tokens_of_run(&settings), operations_of_run(&settings)), (300, 30 * rtd));
    }

    #[test]
    fn no_projection_where_widths_are_equal() {
        let sizes = TINY.replace("embedding_size = 4", "embedding_size = 8");
        let settings = settings(&sizes, "steps = 1\nbatch_size = 1");
        let expected = 6 * (10 * (256 + 160 + 256) + 8 * 8 + 8 * 100);
        assert_eq!(operations_of_input(&settings, Objective::Mlm), expected);
    }

    #[test]
    fn every_objective_gets_the_budget_of_rtd() {
        for objective in ["rtd", "rtd-15", "mlm"] {
            let training = format!("objective = \"{objective}\"\nsteps = 1\nbatch_size = 256");
            let mut settings = settings("", &training);
            settings.training.shared.steps = steps_of_equal_cost(&settings, 80_000_000);
            let inputs = 80_000_000.0 / 128.0;
            let budget = inputs * operations_of_input(&settings, Objective::Rtd) as f64;
            let found = operations_of_run(&settings) as f64;
            // The number of steps is rounded by up to half a step.
            assert!((found / budget - 1.0).abs() < 0.5 / 2400.0, "{objective}: {found} for {budget}");
        }
    }

    /// Clark et al. (2020) give 1.4e18 for a million steps of 128 inputs of 128 tokens. They count
    /// more than matrix products.
    #[test]
    fn electra_small_costs_about_as_much_as_in_the_paper() {
        let settings = settings("", "steps = 1_000_000\nbatch_size = 128");
        let found = operations_of_run(&settings) as f64;
        assert!((1.0e18..1.4e18).contains(&found), "{found}");
    }
}
