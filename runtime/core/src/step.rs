//! The steps of a run, in the order in which both engines execute them.

use crate::config::{Config, HeadKind};

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "an engine must schedule every step")]
pub enum Step {
    /// From token ids to the encoder's input.
    Embedding,
    /// Self-attention of this layer.
    Attention(usize),
    /// The feed-forward block of this layer.
    FeedForward(usize),
    /// From hidden states to logits.
    Head,
}

impl Step {
    /// Returns all steps of a run through `layers` layers, in order.
    pub fn all(layers: usize) -> impl Iterator<Item = Self> {
        let encoder = (0..layers).flat_map(|layer| [Self::Attention(layer), Self::FeedForward(layer)]);
        core::iter::once(Self::Embedding).chain(encoder).chain(core::iter::once(Self::Head))
    }

    /// Returns the int8 multiply-accumulates of this step in a run of `tokens` tokens, as the
    /// engines execute it. In a layer of which only the first row is read, keys and values are
    /// computed for all tokens and everything else for one row.
    #[must_use]
    pub fn macs(self, config: &Config, tokens: usize) -> u64 {
        let [all, hidden, intermediate] =
            [tokens, config.hidden_size, config.intermediate_size].map(|size| size as u64);
        let rows = |layer: usize| if config.reads_only_first_row(layer) { 1 } else { all };
        match self {
            Self::Embedding if config.has_projection() => config.embedding_size as u64 * hidden * all,
            Self::Embedding => 0,
            Self::Attention(layer) => {
                2 * hidden * hidden * all + rows(layer) * (2 * hidden * hidden + 2 * hidden * all)
            }
            Self::FeedForward(layer) => rows(layer) * 2 * hidden * intermediate,
            Self::Head => {
                let rows = if config.head == HeadKind::Classification { 1 } else { all };
                rows * hidden * (hidden + config.padded_labels() as u64)
            }
        }
    }
}

/// Returns the int8 multiply-accumulates of one run of `tokens` tokens.
#[must_use]
pub fn macs(config: &Config, tokens: usize) -> u64 {
    Step::all(config.num_hidden_layers).map(|step| step.macs(config, tokens)).sum()
}
