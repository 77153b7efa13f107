//! The schedule with which a pre-training costs what another does.

use std::path::Path;

use crate::error::{Error, Result};
use crate::operations::steps_of_equal_cost;
use crate::pretrain::PretrainSettings;
use crate::run::read_settings;

/// Settings, to be given to `pretrain` with `--set`, of a schedule that costs as many operations as `rtd` over `rtd_tokens`
/// tokens; the learning rate rises over a tenth of it.
pub fn plan(settings: &Path, overrides: &[String], rtd_tokens: u64) -> Result<[String; 2]> {
    if rtd_tokens == 0 {
        return Err(Error::field(Path::new("--tokens"), "tokens", "0", "at least 1"));
    }
    let settings: PretrainSettings = read_settings(settings, overrides)?;
    let steps = steps_of_equal_cost(&settings, rtd_tokens);
    Ok([format!("training.steps={steps}"), format!("training.warmup_steps={}", steps / 10)])
}
