//! Conversion of the caller's pointers.

use core::ffi::c_char;
use core::slice;

use crate::error::Failure;

/// Returns the values at `pointer`. A null pointer with a length of 0 stands for none.
///
/// # Safety
/// `pointer` is null or points to `length` values that nobody changes during the lifetime `'a`.
pub(crate) unsafe fn values<'a, T>(
    name: &'static str,
    pointer: *const T,
    length: usize,
) -> Result<&'a [T], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    check(name, pointer)?;
    // SAFETY: the pointer is neither null nor misaligned, and the caller guarantees the values.
    Ok(unsafe { slice::from_raw_parts(pointer, length) })
}

/// Returns the values at `pointer` for writing. A null pointer with a length of 0 stands for none.
///
/// # Safety
/// `pointer` is null or points to `length` values that nobody else uses during the lifetime `'a`.
pub(crate) unsafe fn values_mut<'a, T>(
    name: &'static str,
    pointer: *mut T,
    length: usize,
) -> Result<&'a mut [T], Failure> {
    if length == 0 {
        return Ok(&mut []);
    }
    check(name, pointer)?;
    // SAFETY: as in `values`.
    Ok(unsafe { slice::from_raw_parts_mut(pointer, length) })
}

/// Returns the UTF-8 text at `pointer`.
///
/// # Safety
/// As [`values`].
pub(crate) unsafe fn text<'a>(pointer: *const c_char, length: usize) -> Result<&'a str, Failure> {
    // SAFETY: the caller guarantees it.
    let bytes = unsafe { values("text", pointer.cast::<u8>(), length) }?;
    core::str::from_utf8(bytes).map_err(|error| Failure::NotUtf8 { at: error.valid_up_to() })
}

/// Writes `value` to `pointer`, an argument called `name`, which need not be initialised.
///
/// # Safety
/// `pointer` is null or valid for writing.
pub(crate) unsafe fn write<T>(name: &'static str, pointer: *mut T, value: T) -> Result<(), Failure> {
    check(name, pointer)?;
    // SAFETY: the pointer is neither null nor misaligned, and the caller guarantees the rest.
    unsafe { pointer.write(value) };
    Ok(())
}

pub(crate) fn check<T>(name: &'static str, pointer: *const T) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure::Null(name));
    }
    if !pointer.is_aligned() {
        return Err(Failure::Misaligned { name, alignment: align_of::<T>() });
    }
    Ok(())
}
