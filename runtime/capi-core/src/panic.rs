//! The reaction of the library to an error in itself.

use core::ffi::c_char;
use core::fmt::Write;
use core::panic::PanicInfo;

use crate::error::Message;

unsafe extern "C" {
    /// A function of the program, which the header declares.
    fn electra_core_panic(message: *const c_char, length: usize) -> !;
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut message = Message::new();
    // The message accepts everything and drops the rest.
    let _ = write!(message, "{info}");
    // SAFETY: the header demands that the program defines a function of this type that does not
    // return.
    unsafe { electra_core_panic(message.bytes.as_ptr(), message.length) }
}
