//! The default model as part of the executable.

#[repr(C, align(64))]
pub(crate) struct Aligned<T: ?Sized>(T);

impl Aligned<[u8]> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// `build.rs` sets the path.
pub(crate) static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("ELECTRA_EMBEDDED_MODEL")));
