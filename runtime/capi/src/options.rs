//! Options of classifiers and detectors.

use std::ffi::c_char;
use std::ptr;
use std::slice;

use electra_rust::{ClassifierOptions, EngineOptions, Kernels};

use crate::status::{Failure, electra_status, guard};
use crate::text::{string, write};

/// Options of a classifier or a detector. electra_options_init() sets the defaults; after it,
/// change single members.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct electra_options {
    /// Size of this structure in bytes. electra_options_init() sets it.
    pub struct_size: usize,
    /// Longest sequence in tokens, with the two special tokens. 0 stands for the positions of the
    /// model. Longer texts are processed in overlapping windows.
    pub max_tokens: usize,
    /// Size of the arena in bytes. 0 stands for exactly the size that is needed. A smaller arena is
    /// refused.
    pub arena_bytes: usize,
    /// Number of threads that share each run, 1 to 8. 0 stands for 1.
    pub threads: usize,
    /// Name of the kernels, for example "avx2" or "scalar". NULL stands for the fastest ones.
    pub kernels: *const c_char,
    /// Whether a classifier cuts long texts instead of processing windows.
    pub truncate: bool,
    /// Labels that are never the answer of a classifier: `without_count` strings.
    pub without: *const *const c_char,
    /// Number of strings in `without`.
    pub without_count: usize,
    /// Smallest score of an answer, from 0 to 1: if the likeliest label of a text has a lower
    /// score, the answer of a classifier is "UNSURE". A negative number stands for the thresholds
    /// in the model file.
    pub min_score: f32,
}

/// Sets all options to their defaults.
///
/// # Safety
/// `options` is NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_options_init(options: *mut electra_options) -> electra_status {
    guard(|| {
        let defaults = electra_options {
            struct_size: size_of::<electra_options>(),
            max_tokens: 0,
            arena_bytes: 0,
            threads: 0,
            kernels: ptr::null(),
            truncate: false,
            without: ptr::null(),
            without_count: 0,
            min_score: -1.0,
        };
        // SAFETY: the caller guarantees it.
        unsafe { write("options", options, defaults) }
    })
}

impl electra_options {
    /// Converts the options; a null pointer stands for the defaults.
    ///
    /// # Safety
    /// `options` is null or points to options whose strings end with a NUL.
    pub(crate) unsafe fn read(options: *const Self) -> Result<ClassifierOptions, Failure> {
        let mut found = ClassifierOptions::default();
        // SAFETY: the caller guarantees it.
        let Some(options) = (unsafe { options.as_ref() }) else { return Ok(found) };
        if options.struct_size != size_of::<Self>() {
            return Err(Failure::argument(format!(
                "options.struct_size is {}, expected {}; call electra_options_init first",
                options.struct_size,
                size_of::<Self>()
            )));
        }
        let kernels = match options.kernels.is_null() {
            true => None,
            false => {
                // SAFETY: the caller guarantees the string.
                let name = unsafe { string("options.kernels", options.kernels) }?;
                let kernels = Kernels::by_name(name);
                Some(
                    kernels
                        .map_err(|error| Failure::argument(format!("options.kernels {name:?}: {error}")))?,
                )
            }
        };
        let given = |number: usize| (number > 0).then_some(number);
        let mut engine = EngineOptions::default();
        engine.max_tokens = given(options.max_tokens);
        engine.arena_bytes = given(options.arena_bytes);
        engine.threads = given(options.threads);
        engine.kernels = kernels;
        found.engine = engine;
        found.truncate = options.truncate;
        // A number that is not a number is refused later.
        found.min_score =
            (options.min_score.is_nan() || options.min_score >= 0.0).then_some(options.min_score);
        if options.without_count > 0 {
            if options.without.is_null() {
                return Err(Failure::argument("options.without is NULL"));
            }
            // SAFETY: the pointer is not null, and the caller guarantees the array.
            let names = unsafe { slice::from_raw_parts(options.without, options.without_count) };
            for name in names {
                // SAFETY: the caller guarantees the strings.
                found.without.push(unsafe { string("options.without", *name) }?.to_owned());
            }
        }
        Ok(found)
    }
}
