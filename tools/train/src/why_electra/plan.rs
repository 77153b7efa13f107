//! Schedule with which a pre-training costs as much as another one.

use std::path::Path;

use crate::error::{Error, Result};
use crate::operations::steps_of_equal_cost;
use crate::pretrain::PretrainSettings;
use crate::run::read_settings;

/// Returns settings for `--set` of `pretrain`: a number of steps that costs as many operations as
/// `rtd` over `rtd_tokens` tokens, and a warm-up over a tenth of them.
pub fn plan(settings: &Path, overrides: &[String], rtd_tokens: u64) -> Result<[String; 2]> {
    if rtd_tokens == 0 {
        return Err(Error::field(Path::new("--tokens"), "tokens", "0", "at least 1"));
    }
    let settings: PretrainSettings = read_settings(settings, overrides)?;
    let steps = steps_of_equal_cost(&settings, rtd_tokens);
    Ok([format!("training.steps={steps}"), format!("training.warmup_steps={}", steps / 10)])
}
