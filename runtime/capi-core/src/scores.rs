//! Probabilities from logits.

use electra_core::verdict;

use crate::error::{Failure, electra_core_error, electra_core_status, reported};
use crate::pointers::{values, values_mut, write};

/// Computes the probability of each label from `count` logits, and the index of the likeliest one.
/// The probabilities add up to 1 and are those of libelectra, bit for bit.
///
/// # Safety
/// `logits` is NULL or has `count` numbers. `scores` is NULL or has room for `count` numbers.
/// `best` and `error` are NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_core_scores(
    logits: *const f32,
    count: usize,
    scores: *mut f32,
    best: *mut usize,
    error: *mut electra_core_error,
) -> electra_core_status {
    let task = || {
        // SAFETY: the caller guarantees both arrays.
        let (logits, scores) =
            unsafe { (values("logits", logits, count)?, values_mut("scores", scores, count)?) };
        let logits = verdict::finite(logits).map_err(Failure::Run)?;
        for (score, probability) in scores.iter_mut().zip(verdict::softmax(logits)) {
            *score = probability as f32;
        }
        let (index, _) = verdict::likeliest(scores.iter().copied()).ok_or(Failure::NoLabels)?;
        // SAFETY: the caller guarantees it.
        unsafe { write("best", best, index) }
    };
    // SAFETY: the caller guarantees it.
    unsafe { reported(error, task) }
}

/// Returns the probability, from 0 to 1, that a token was replaced, for its logit of a detector.
#[unsafe(no_mangle)]
pub extern "C" fn electra_core_probability(logit: f32) -> f32 {
    verdict::probability(logit)
}

/// Returns whether a token was more likely replaced than not, for its logit of a detector.
#[unsafe(no_mangle)]
pub extern "C" fn electra_core_is_replaced(logit: f32) -> bool {
    verdict::is_replaced(logit)
}
