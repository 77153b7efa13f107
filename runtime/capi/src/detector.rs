//! Detection of replaced tokens.

use std::ffi::c_char;

use electra_rust::Detector;

use crate::model::{electra_model, free, write_new};
use crate::options::electra_options;
use crate::status::{Failure, electra_status, guard};
use crate::text::{reference, reference_mut, text, write};

/// Finds tokens of a text that look replaced. It owns all the memory that it needs, so a call of
/// electra_detect() allocates nothing after the first one. One thread may use it at a time; make
/// one detector per thread.
pub struct electra_detector {
    detector: Detector,
}

/// The verdict on a token.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct electra_token {
    /// Offset of the token's first byte in the text.
    pub start: usize,
    /// Offset after the token's last byte.
    pub end: usize,
    /// Probability that the token was replaced, from 0 to 1.
    pub probability: f32,
}

/// Makes a detector. `options` may be NULL, which stands for the defaults. On success `*detector`
/// is the detector, which electra_detector_free() frees.
///
/// # Safety
/// `model` is NULL or a model. `options` is NULL or points to valid options. `detector` is NULL or
/// valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_detector_new(
    model: *const electra_model,
    options: *const electra_options,
    detector: *mut *mut electra_detector,
) -> electra_status {
    guard(|| {
        // SAFETY: the caller guarantees it.
        let (model, options) = unsafe { (reference("model", model)?, electra_options::read(options)?) };
        if options.truncate || !options.without.is_empty() {
            return Err(Failure::argument("options.truncate and options.without are for classifiers"));
        }
        let made = Box::new(electra_detector { detector: Detector::new(&model.file, &options.engine)? });
        // SAFETY: the caller guarantees it.
        unsafe { write_new("detector", detector, made) }
    })
}

/// Frees a detector. NULL is ignored.
///
/// # Safety
/// `detector` is NULL or a detector that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_detector_free(detector: *mut electra_detector) {
    // SAFETY: the caller guarantees it.
    unsafe { free(detector) }
}

/// Judges every token of a text of `length` bytes in UTF-8. The text need not end with a NUL. A
/// token with a probability above 0.5 counts as replaced.
///
/// The verdicts of the first `capacity` tokens are written to `tokens`, and `*count` is the number
/// of all tokens. A text has at most as many tokens as bytes.
///
/// # Safety
/// `detector` is NULL or a detector that no other thread uses. `content` is NULL or points to
/// `length` bytes. `tokens` is NULL or valid for writing `capacity` verdicts. `count` is NULL or
/// valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_detect(
    detector: *mut electra_detector,
    content: *const c_char,
    length: usize,
    tokens: *mut electra_token,
    capacity: usize,
    count: *mut usize,
) -> electra_status {
    guard(|| {
        // SAFETY: the caller guarantees it.
        let own = unsafe { reference_mut("detector", detector) }?;
        // SAFETY: the caller guarantees it.
        let content = unsafe { text("text", content, length) }?;
        if tokens.is_null() && capacity > 0 {
            return Err(Failure::argument("tokens is NULL"));
        }
        let mut found = 0;
        own.detector.detect_each(content, |verdict| {
            if found < capacity {
                let (start, end) = (verdict.span.start, verdict.span.end);
                let token = electra_token { start, end, probability: verdict.probability };
                // SAFETY: `found` is below `capacity`, and the caller guarantees so many verdicts.
                unsafe { tokens.add(found).write(token) };
            }
            found += 1;
        })?;
        // SAFETY: the caller guarantees it.
        unsafe { write("count", count, found) }
    })
}
