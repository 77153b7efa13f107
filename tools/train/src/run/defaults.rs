//! Defaults of settings that several commands have.

/// Forward passes of one update.
pub fn accumulate() -> u64 {
    1
}

/// Length in tokens to which texts are cut.
pub fn max_length() -> usize {
    128
}

/// Largest number of tokens in a forward pass, padding included.
pub fn batch_tokens() -> usize {
    4096
}

/// Seed of a training. `pretrain` has another default.
pub fn seed() -> u64 {
    1
}
