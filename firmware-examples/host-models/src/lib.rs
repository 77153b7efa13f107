//! Makes the model files of the tests, from the tiny checkpoints in `tests/fixtures` and from the
//! model of the examples.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use electra_core::Model;
use electra_core::model::crc32;
use electra_core::model::format::{ALIGNMENT, ENTRY_LEN, HEADER_LEN, SectionKind, field};
use electra_pack::Source;

/// Result of a function that reads and writes files.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Bytes of the name of `large.electra`, which make the file larger than the others.
const LARGE_NAME: usize = 100_000;

/// Writes the models of `model-update` to `folder`: a classifier with the versions 1 to 3, whose
/// answers differ, and models that a device must refuse.
///
/// | file | content |
/// |---|---|
/// | `v1.electra` to `v3.electra` | three versions |
/// | `large.electra` | version 4: version 3 with a very long name |
/// | `forged.electra` | version 3 with another bias and right checksums; the golden sentences are as before |
/// | `labels.electra` | version 3 with another name of a label |
/// | `threshold.electra` | version 3 with a threshold that is no number from 0 to 1 |
/// | `detector.electra` | version 3 with another head |
/// | `no-golden.electra` | version 3 without golden sentences |
///
/// # Errors
/// Fails if a file cannot be read or written.
pub fn write_updates(folder: &Path) -> Result<()> {
    let fixtures = root().join("tests/fixtures");
    let first = Source::new(fixtures.join("classifier")).name(Some("classifier".to_owned()));
    let first = write(folder, "v1.electra", first.version(Some(1)).pack()?.bytes)?;
    for (version, bias) in [(2, 0.75), (3, -0.5)] {
        let name = format!("v{version}.electra");
        let other = write(folder, &name, with_bias(&fs::read(&first)?, bias)?)?;
        write(folder, &name, Source::new(other).version(Some(version)).change_metadata()?)?;
    }
    let third = folder.join("v3.electra");
    let large = Source::new(&third).name(Some("x".repeat(LARGE_NAME))).version(Some(4));
    write(folder, "large.electra", large.change_metadata()?)?;
    write(folder, "forged.electra", with_bias(&fs::read(&third)?, 2.0)?)?;
    write(folder, "no-golden.electra", with_replaced(&fs::read(&third)?, "\ngolden=", "\nsilver=")?)?;
    write(folder, "labels.electra", with_replaced(&fs::read(&third)?, "negative", "NEGATIVE")?)?;
    let threshold = Source::new(&third).threshold("positive", "0.5").change_metadata()?;
    let threshold = with_replaced(&threshold, "threshold.positive=0.5", "threshold.positive=7.5")?;
    write(folder, "threshold.electra", threshold)?;
    let detector = Source::new(fixtures.join("detector")).version(Some(3)).pack()?;
    write(folder, "detector.electra", detector.bytes)?;
    Ok(())
}

/// Writes two copies of the default model to `folder`: `thresholds.electra`, in which POSITIVE
/// needs the score 0.999, and `bad-threshold.electra`, in which this number is 9.999.
///
/// # Errors
/// Fails if a file cannot be read or written.
pub fn write_thresholds(folder: &Path) -> Result<()> {
    let model = root().join("models/electra-small-sentiment/model.electra");
    let bytes = Source::new(model).threshold("POSITIVE", "0.999").change_metadata()?;
    let (line, bad) = ("\nthreshold.POSITIVE=0.999", "\nthreshold.POSITIVE=9.999");
    write(folder, "bad-threshold.electra", with_replaced(&bytes, line, bad)?)?;
    write(folder, "thresholds.electra", bytes)?;
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn write(folder: &Path, name: &str, bytes: Vec<u8>) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// Returns the file with another bias of the first label, and with right checksums.
fn with_bias(file: &[u8], bias: f32) -> Result<Vec<u8>> {
    let model = Model::open(file)?;
    let head = model.sections().iter().find(|section| section.kind == SectionKind::Head).ok_or("no head")?;
    // The biases of up to 16 labels are the last part of the head.
    let at = head.offset + head.bytes.len() - ALIGNMENT;
    let mut changed = file.to_vec();
    changed.get_mut(at..at + 4).ok_or("no bias")?.copy_from_slice(&bias.to_le_bytes());
    sealed(changed)
}

/// Returns the file with all occurrences of a text replaced, and with right checksums.
fn with_replaced(file: &[u8], text: &str, replacement: &str) -> Result<Vec<u8>> {
    let mut changed = file.to_vec();
    let found: Vec<usize> = (0..file.len())
        .filter(|at| file.get(*at..).is_some_and(|rest| rest.starts_with(text.as_bytes())))
        .collect();
    for at in &found {
        changed[*at..at + replacement.len()].copy_from_slice(replacement.as_bytes());
    }
    if found.is_empty() { Err(format!("{text:?}: not in the file").into()) } else { sealed(changed) }
}

/// Computes all checksums of a model file again (docs/model-format.md).
fn sealed(mut file: Vec<u8>) -> Result<Vec<u8>> {
    for entry in (0..SectionKind::ALL.len()).map(|index| HEADER_LEN + index * ENTRY_LEN) {
        let number = |at: usize| -> Result<usize> {
            let bytes = file.get(at..at + 8).ok_or("truncated")?;
            Ok(usize::try_from(u64::from_le_bytes(bytes.try_into()?))?)
        };
        let (start, len) = (number(entry + 8)?, number(entry + 16)?.next_multiple_of(ALIGNMENT));
        let crc = crc32(file.get(start..start + len).ok_or("truncated")?);
        file[entry + 24..entry + 28].copy_from_slice(&crc.to_le_bytes());
    }
    file[field::FILE_CRC..field::FILE_CRC + 4].fill(0);
    let crc = crc32(&file);
    file[field::FILE_CRC..field::FILE_CRC + 4].copy_from_slice(&crc.to_le_bytes());
    Model::open(&file)?;
    Ok(file)
}
