//! Classification.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use electra_rust::Classifier;

use crate::model::{electra_model, free, write_new};
use crate::options::electra_options;
use crate::status::{Failure, electra_status, guard};
use crate::text::{reference, reference_mut, text, write};

/// Classifies texts. It owns all the memory that it needs, so a call of electra_classify()
/// allocates nothing after the first one. One thread may use it at a time; make one classifier per
/// thread.
pub struct electra_classifier {
    classifier: Classifier,
    labels: Vec<CString>,
    /// Probabilities of the last answer.
    scores: Vec<f32>,
}

/// The label of an answer whose score is too low.
const UNSURE: &CStr = c"UNSURE";

/// The answer to a text.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct electra_answer {
    /// The likeliest label, in UTF-8, or "UNSURE". The string is valid until the classifier is
    /// freed.
    pub label: *const c_char,
    /// Index of the likeliest label among those of electra_classifier_label().
    pub label_index: usize,
    /// Probability of the likeliest label, from 0 to 1.
    pub score: f32,
    /// Whether the score is too low for an answer. The label is "UNSURE" then.
    pub unsure: bool,
    /// Number of tokens of the text that were processed, without the two special tokens.
    pub tokens: usize,
    /// Number of windows that were processed; 1 unless the text is long.
    pub windows: usize,
    /// Whether the text was cut.
    pub truncated: bool,
}

/// Makes a classifier. `options` may be NULL, which stands for the defaults. On success
/// `*classifier` is the classifier, which electra_classifier_free() frees.
///
/// # Safety
/// `model` is NULL or a model. `options` is NULL or points to valid options. `classifier` is NULL
/// or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_classifier_new(
    model: *const electra_model,
    options: *const electra_options,
    classifier: *mut *mut electra_classifier,
) -> electra_status {
    guard(|| {
        // SAFETY: the caller guarantees it.
        let (model, options) = unsafe { (reference("model", model)?, electra_options::read(options)?) };
        let made = Classifier::new(&model.file, &options)?;
        let labels = made.labels().iter().map(|label| CString::new(&**label));
        let labels: Vec<CString> = labels.collect::<Result<_, _>>().map_err(|_| Failure {
            status: electra_status::Model,
            message: "a label contains a NUL".to_owned(),
        })?;
        let scores = vec![0.0; labels.len()];
        let made = Box::new(electra_classifier { classifier: made, labels, scores });
        // SAFETY: the caller guarantees it.
        unsafe { write_new("classifier", classifier, made) }
    })
}

/// Frees a classifier. NULL is ignored.
///
/// # Safety
/// `classifier` is NULL or a classifier that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_classifier_free(classifier: *mut electra_classifier) {
    // SAFETY: the caller guarantees it.
    unsafe { free(classifier) }
}

/// Classifies a text of `length` bytes in UTF-8. The text need not end with a NUL. A text that is
/// longer than the longest sequence is processed in overlapping windows, whose probabilities are
/// averaged.
///
/// # Safety
/// `classifier` is NULL or a classifier that no other thread uses. `content` is NULL or points to
/// `length` bytes. `answer` is NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_classify(
    classifier: *mut electra_classifier,
    content: *const c_char,
    length: usize,
    answer: *mut electra_answer,
) -> electra_status {
    guard(|| {
        // SAFETY: the caller guarantees it.
        let own = unsafe { reference_mut("classifier", classifier) }?;
        // SAFETY: the caller guarantees it.
        let content = unsafe { text("text", content, length) }?;
        let found = own.classifier.classify_in_place(content)?;
        own.scores.copy_from_slice(found.scores);
        let label = match found.unsure {
            true => UNSURE.as_ptr(),
            false => own.labels.get(found.index).map_or(ptr::null(), |label| label.as_ptr()),
        };
        let found = electra_answer {
            label,
            label_index: found.index,
            score: found.score,
            unsure: found.unsure,
            tokens: found.tokens,
            windows: found.windows,
            truncated: found.truncated,
        };
        // SAFETY: the caller guarantees it.
        unsafe { write("answer", answer, found) }
    })
}

/// Returns the number of labels that can be answers of a classifier.
///
/// # Safety
/// `classifier` is NULL or a classifier.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_classifier_label_count(classifier: *const electra_classifier) -> usize {
    // SAFETY: the caller guarantees it.
    unsafe { classifier.as_ref() }.map_or(0, |classifier| classifier.labels.len())
}

/// Returns a label that can be an answer, in UTF-8, or NULL if there is no label of this index. The
/// string is valid until the classifier is freed.
///
/// # Safety
/// `classifier` is NULL or a classifier.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_classifier_label(
    classifier: *const electra_classifier,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller guarantees it.
    let label = unsafe { classifier.as_ref() }.and_then(|classifier| classifier.labels.get(index));
    label.map_or(ptr::null(), |label| label.as_ptr())
}

/// Returns the probabilities of all labels for the last text, in the order of
/// electra_classifier_label(). They add up to 1. The array is valid until the next call of
/// electra_classify() for this classifier.
///
/// # Safety
/// `classifier` is NULL or a classifier.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_classifier_scores(classifier: *const electra_classifier) -> *const f32 {
    // SAFETY: the caller guarantees it.
    unsafe { classifier.as_ref() }.map_or(ptr::null(), |classifier| classifier.scores.as_ptr())
}

/// Returns the size of the classifier's arena in bytes.
///
/// # Safety
/// `classifier` is NULL or a classifier.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_classifier_arena_bytes(classifier: *const electra_classifier) -> usize {
    // SAFETY: the caller guarantees it.
    unsafe { classifier.as_ref() }.map_or(0, |classifier| classifier.classifier.engine().arena_bytes())
}
