//! The default model as part of the executable.

#[repr(C, align(64))]
pub(crate) struct Aligned<T: ?Sized>(T);

impl Aligned<[u8]> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

pub(crate) static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../models/electra-small-sentiment/model.electra"
)));
