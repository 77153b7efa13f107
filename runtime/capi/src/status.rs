//! Status codes, the message of the last error, and the guard that stops panics.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use electra_rust::Error;

/// Version of the binary interface. It changes when programs must be compiled again.
pub const ELECTRA_ABI_VERSION: u32 = 1;

/// Result of a function. The message of an error is returned by electra_last_error().
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum electra_status {
    /// The function succeeded.
    Ok = 0,
    /// An argument is NULL where it must not be, or out of range.
    Argument = 1,
    /// A file could not be opened.
    File = 2,
    /// The model is damaged, has another version or the wrong head.
    Model = 3,
    /// The arena is too small, or memory could not be allocated.
    Memory = 4,
    /// The text is not UTF-8, or is too long.
    Text = 5,
    /// A run failed, for example because a logit is not finite.
    Run = 6,
    /// The system refused a resource, for example a thread.
    System = 7,
    /// There is an error in this library.
    Internal = 8,
}

/// An error with the status that describes it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub status: electra_status,
    pub message: String,
}

impl Failure {
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self { status: electra_status::Argument, message: message.into() }
    }

    pub(crate) fn text(message: impl Into<String>) -> Self {
        Self { status: electra_status::Text, message: message.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Io { .. } | Error::NoDefaultModel { .. } => electra_status::File,
            Error::Model { .. } | Error::Head { .. } => electra_status::Model,
            Error::Arena(_) | Error::OutOfMemory { .. } => electra_status::Memory,
            Error::MaxTokens { .. }
            | Error::Without { .. }
            | Error::MinScore { .. }
            | Error::Threads { .. }
            | Error::Kernels { .. } => electra_status::Argument,
            Error::Pinning { .. } | Error::Thread(_) => electra_status::System,
            Error::Text(_) => electra_status::Text,
            Error::Run(_) => electra_status::Run,
            _ => electra_status::Internal,
        };
        Self { status, message: error.to_string() }
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Runs `task`, and turns its error or its panic into a status. The message is kept for
/// [`electra_last_error`].
pub(crate) fn guard(task: impl FnOnce() -> Result<(), Failure>) -> electra_status {
    let failure = match catch_unwind(AssertUnwindSafe(task)) {
        Ok(Ok(())) => return electra_status::Ok,
        Ok(Err(failure)) => failure,
        Err(_) => Failure {
            status: electra_status::Internal,
            message: "an internal error; please report it".to_owned(),
        },
    };
    let message = failure.message.replace('\0', "\u{fffd}");
    LAST_ERROR.with(|last| *last.borrow_mut() = CString::new(message).unwrap_or_default());
    failure.status
}

/// Returns the message of the last error in this thread, in UTF-8, or an empty string. The string
/// is valid until the next error in this thread.
#[unsafe(no_mangle)]
pub extern "C" fn electra_last_error() -> *const c_char {
    LAST_ERROR.with(|last| last.borrow().as_ptr())
}

/// Returns ELECTRA_ABI_VERSION of the library that is loaded.
#[unsafe(no_mangle)]
pub extern "C" fn electra_abi_version() -> u32 {
    ELECTRA_ABI_VERSION
}

/// Returns the version of the library, for example "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn electra_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}
