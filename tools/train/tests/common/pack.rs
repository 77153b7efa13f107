//! Model files, packed as `electra pack` packs them.

use std::path::Path;

/// Returns the bytes of the model file of `folder`.
pub fn pack(folder: &Path) -> Vec<u8> {
    let checkpoint = electra_pack::hugging_face::read(folder).unwrap_or_else(|error| panic!("{error}"));
    let packed = electra_pack::model_file::pack(&checkpoint, &[("name", "test")]);
    packed.unwrap_or_else(|error| panic!("{error}")).bytes
}
