//! Models.

use std::ffi::{CString, c_char};

use electra_rust::{HeadKind, ModelFile, arena_bytes};

use crate::status::{Failure, electra_status, guard};
use crate::text::{bytes, reference, string, write};

/// An opened model. Several classifiers and detectors can share it, in several threads.
pub struct electra_model {
    pub(crate) file: ModelFile,
    labels: Vec<CString>,
}

impl electra_model {
    fn new(file: ModelFile) -> Result<Self, Failure> {
        let labels = file.model().labels().map(CString::new).collect::<Result<_, _>>();
        let labels = labels.map_err(|_| Failure {
            status: electra_status::Model,
            message: format!("{}: a label contains a NUL", file.path().display()),
        })?;
        Ok(Self { file, labels })
    }
}

/// Opens a model file. It is mapped into memory and verified; the weights are not copied. The file
/// must not be changed while it is open. To replace it, rename a new file over it.
///
/// `path` is a file name in UTF-8. On success `*model` is the model, which electra_model_free()
/// frees.
///
/// # Safety
/// `path` is NULL or ends with a NUL. `model` is NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_model_open(
    path: *const c_char,
    model: *mut *mut electra_model,
) -> electra_status {
    guard(|| {
        // SAFETY: the caller guarantees it.
        let path = unsafe { string("path", path) }?;
        let opened = Box::new(electra_model::new(ModelFile::open(path)?)?);
        // SAFETY: the caller guarantees it.
        unsafe { write_new("model", model, opened) }
    })
}

/// Opens a model file in memory, for example one that is linked into the program. The bytes are
/// verified and not copied. They must begin at a multiple of 4, and must stay valid and unchanged
/// until the model and everything that was made of it are freed.
///
/// # Safety
/// `data` is NULL or points to `length` bytes that stay valid as described. `model` is NULL or
/// valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_model_from_memory(
    data: *const u8,
    length: usize,
    model: *mut *mut electra_model,
) -> electra_status {
    guard(|| {
        // SAFETY: the caller guarantees the bytes for as long as the model and its users exist.
        let data: &'static [u8] = unsafe { bytes("data", data, length) }?;
        let opened = Box::new(electra_model::new(ModelFile::from_static("(model in memory)", data)?)?);
        // SAFETY: the caller guarantees it.
        unsafe { write_new("model", model, opened) }
    })
}

/// Frees a model. Classifiers and detectors that were made of it stay usable. NULL is ignored.
///
/// # Safety
/// `model` is NULL or a model that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_model_free(model: *mut electra_model) {
    // SAFETY: the caller guarantees it.
    unsafe { free(model) }
}

/// Returns the number of labels of a model; 0 for a model without a head for classification.
///
/// # Safety
/// `model` is NULL or a model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_model_label_count(model: *const electra_model) -> usize {
    // SAFETY: the caller guarantees it.
    unsafe { model.as_ref() }.map_or(0, |model| model.labels.len())
}

/// Returns a label of a model, in UTF-8, or NULL if there is no label of this index. The string is
/// valid until the model is freed.
///
/// # Safety
/// `model` is NULL or a model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_model_label(model: *const electra_model, index: usize) -> *const c_char {
    // SAFETY: the caller guarantees it.
    let label = unsafe { model.as_ref() }.and_then(|model| model.labels.get(index));
    label.map_or(std::ptr::null(), |label| label.as_ptr())
}

/// Returns whether the model detects replaced tokens instead of classifying.
///
/// # Safety
/// `model` is NULL or a model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_model_is_detector(model: *const electra_model) -> bool {
    // SAFETY: the caller guarantees it.
    let model = unsafe { model.as_ref() };
    model.is_some_and(|model| model.file.model().config().head == HeadKind::ReplacedTokenDetection)
}

/// Computes the size of the arena in bytes for sequences of up to `max_tokens` tokens and one
/// thread. 0 stands for the positions of the model, as in electra_options. The arena is all the
/// memory that a run writes.
///
/// # Safety
/// `model` is NULL or a model. `arena_size` is NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_model_arena_bytes(
    model: *const electra_model,
    max_tokens: usize,
    arena_size: *mut usize,
) -> electra_status {
    guard(|| {
        // SAFETY: the caller guarantees it.
        let model = unsafe { reference("model", model) }?;
        let config = model.file.model().config();
        let max = config.max_position_embeddings;
        let max_tokens = if max_tokens == 0 { max } else { max_tokens };
        if !(3..=max).contains(&max_tokens) {
            return Err(electra_rust::Error::MaxTokens { found: max_tokens, max }.into());
        }
        let size = arena_bytes(config, max_tokens);
        // SAFETY: the caller guarantees it.
        unsafe { write("arena_size", arena_size, size) }
    })
}

/// Gives `value` to the caller through `pointer`, an argument called `name`.
///
/// # Safety
/// `pointer` is null or valid for writing.
pub(crate) unsafe fn write_new<T>(name: &str, pointer: *mut *mut T, value: Box<T>) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure::argument(format!("{name} is NULL")));
    }
    // SAFETY: the pointer is not null, and the caller guarantees that it is valid for writing.
    unsafe { pointer.write(Box::into_raw(value)) };
    Ok(())
}

/// Frees what [`write_new`] gave.
///
/// # Safety
/// `pointer` is null, or came from [`write_new`] and was not freed yet.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: the caller guarantees that it is a box that nobody else uses.
        drop(unsafe { Box::from_raw(pointer) });
    }
}
