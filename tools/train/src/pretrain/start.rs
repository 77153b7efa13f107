//! Initial weights from another model.

use std::path::Path;

use super::settings::{Objective, PretrainSettings};
use crate::error::{Error, Result};
use crate::model::config::Head;
use crate::model::folder::Folder;
use crate::model::{Config, GENERATOR, Parameters};

/// Overwrites `parameters` with the weights that `[start]` names.
pub fn begin(settings: &PretrainSettings, parameters: &Parameters) -> Result<()> {
    let objective = settings.training.own.objective;
    if let Some(path) = &settings.start.encoder {
        let folder = Folder::read(path)?;
        let layers = folder.config.num_hidden_layers;
        same_sizes(path, &folder.config, layers, &settings.model, "[model]")?;
        let head = match objective {
            Objective::Mlm => Head::MaskedLanguageModel,
            Objective::Rtd | Objective::Rtd15 => Head::ReplacedTokenDetection,
        };
        folder.load_into(parameters, folder.head == head)?;
    }
    match (&settings.start.generator, objective) {
        (None, _) => Ok(()),
        (Some(path), Objective::Mlm) => {
            let found = path.display().to_string();
            Err(Error::field(path, "start.generator", found, "none: `mlm` has no generator"))
        }
        (Some(path), _) => begin_generator(path, &settings.generator(), parameters),
    }
}

fn begin_generator(path: &Path, generator: &Config, parameters: &Parameters) -> Result<()> {
    let folder = Folder::read(path)?;
    // Layers that the generator does not have are left out. A folder with fewer layers is refused.
    let layers = folder.config.num_hidden_layers.min(generator.num_hidden_layers);
    same_sizes(path, &folder.config, layers, generator, "[generator]")?;
    folder.load_into_namespace(parameters, GENERATOR, folder.head == Head::MaskedLanguageModel)?;
    Ok(())
}

/// Fails if the sizes of `found` and `expected` differ. Dropout may differ. Of the folder's layers,
/// only `layers` count.
fn same_sizes(folder: &Path, found: &Config, layers: i64, expected: &Config, of: &str) -> Result<()> {
    let sizes = |of: &Config, layers: i64| {
        let narrow = of.embedding_size;
        let (vocabulary, positions) = (of.vocab_size, of.max_position_embeddings);
        let (hidden, heads, wide) = (of.hidden_size, of.num_attention_heads, of.intermediate_size);
        format!(
            "{:?}, {vocabulary} tokens, {positions} positions, embeddings of {narrow}, {layers} layers of {hidden} with \
             {heads} heads and {wide} units",
            of.family
        )
    };
    let (found, expected) = (sizes(found, layers), sizes(expected, expected.num_hidden_layers));
    if found == expected {
        return Ok(());
    }
    Err(Error::field(folder, "sizes", found, format!("{expected}, as in {of}")))
}
