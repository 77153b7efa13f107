//! Conversion of the callers' pointers.

use std::ffi::{CStr, c_char};
use std::slice;

use crate::status::Failure;

/// Returns the value behind `pointer`, an argument called `name`.
///
/// # Safety
/// `pointer` is null or points to a valid value that nobody changes during the lifetime `'a`.
pub(crate) unsafe fn reference<'a, T>(name: &str, pointer: *const T) -> Result<&'a T, Failure> {
    // SAFETY: the caller guarantees it.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// Returns the value behind `pointer`, an argument called `name`, for writing.
///
/// # Safety
/// `pointer` is null or points to a valid value that nobody else uses during the lifetime `'a`.
pub(crate) unsafe fn reference_mut<'a, T>(name: &str, pointer: *mut T) -> Result<&'a mut T, Failure> {
    // SAFETY: the caller guarantees it.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(name))
}

/// Writes `value` to `pointer`, an argument called `name`, which need not be initialised.
///
/// # Safety
/// `pointer` is null or valid for writing a `T`.
pub(crate) unsafe fn write<T>(name: &str, pointer: *mut T, value: T) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: the pointer is not null, and the caller guarantees that it is valid for writing.
    unsafe { pointer.write(value) };
    Ok(())
}

/// Returns the bytes at `pointer`. A null pointer with a length of 0 stands for no bytes.
///
/// # Safety
/// `pointer` is null or points to `length` bytes that nobody changes during the lifetime `'a`.
pub(crate) unsafe fn bytes<'a>(name: &str, pointer: *const u8, length: usize) -> Result<&'a [u8], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(null(name));
    }
    if length > isize::MAX as usize {
        return Err(Failure::argument(format!("{name}: {length} bytes, expected at most {}", isize::MAX)));
    }
    // SAFETY: the pointer is not null, and the caller guarantees the bytes.
    Ok(unsafe { slice::from_raw_parts(pointer, length) })
}

/// Returns the UTF-8 text at `pointer`.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn text<'a>(name: &str, pointer: *const c_char, length: usize) -> Result<&'a str, Failure> {
    // SAFETY: the caller guarantees it.
    let bytes = unsafe { bytes(name, pointer.cast(), length) }?;
    std::str::from_utf8(bytes)
        .map_err(|error| Failure::text(format!("{name}: byte {} is not UTF-8", error.valid_up_to())))
}

/// Returns the UTF-8 string at `pointer`, which ends with a NUL.
///
/// # Safety
/// `pointer` is null or points to a string that ends with a NUL and that nobody changes during the
/// lifetime `'a`.
pub(crate) unsafe fn string<'a>(name: &str, pointer: *const c_char) -> Result<&'a str, Failure> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: the pointer is not null, and the caller guarantees the string.
    let string = unsafe { CStr::from_ptr(pointer) };
    string
        .to_str()
        .map_err(|error| Failure::argument(format!("{name}: byte {} is not UTF-8", error.valid_up_to())))
}

fn null(name: &str) -> Failure {
    Failure::argument(format!("{name} is NULL"))
}
