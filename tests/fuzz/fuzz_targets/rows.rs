//! Reads arbitrary bytes as a file of texts. The rows or the error must not depend on the sizes of
//! the pieces in which the bytes arrive. The first byte selects the format.
#![no_main]

use std::io::{BufReader, Cursor};
use std::path::PathBuf;

use electra_formats::labels::{Kind, Labels};
use electra_formats::rows::{self, Field, Format, Options, Row};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, file)) = data.split_first() else { return };
    let whole = read(*choice, file, 1 << 16);
    assert_eq!(whole, read(*choice, file, 1), "rows depend on how the file arrives");
    let Ok(rows) = whole else { return };
    let lines = file.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64 + 1;
    assert!(rows.is_sorted_by(|a, b| a.line < b.line), "two rows begin on one line");
    assert!(rows.iter().all(|row| (1..=lines).contains(&row.line)), "a row on a line that is not there");
    let values = rows.iter().filter_map(|row| row.values.as_ref().ok()).filter_map(|values| values.get(1));
    let labels = Labels::new(&["a", "1", "A"].map(str::to_owned));
    let detected = labels.detect_kind(values.clone().map(|value| (value.as_str(), 1)));
    let fits = |kind| values.clone().filter(|value| labels.label(value, kind).is_some()).count();
    assert!(fits(detected.kind) >= fits(Kind::Name).max(fits(Kind::Index)));
});

fn read(choice: u8, file: &[u8], piece: usize) -> Result<Vec<Row>, String> {
    let formats = [Format::Txt, Format::Csv, Format::Tsv, Format::Jsonl];
    let format = formats[usize::from(choice) % formats.len()];
    let field =
        |name: &str| Field { names: vec![name.to_owned()], hint: String::new(), numbers: choice & 4 != 0 };
    let fields = if format == Format::Txt { vec![field("t")] } else { vec![field("t"), field("l")] };
    let delimiter = (choice & 8 != 0).then_some(b';');
    let count = fields.len();
    let options = Options { format, delimiter, delimiter_hint: String::new(), fields };
    let reader = BufReader::with_capacity(piece, Cursor::new(file.to_vec()));
    let rows = rows::read(PathBuf::from("file"), reader, options).map_err(|error| error.to_string())?;
    let rows: Vec<Row> = rows.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    for row in &rows {
        match &row.values {
            Ok(values) => assert_eq!(values.len(), count),
            Err(problem) => assert!(!problem.to_string().contains(['\n', '\u{1b}']), "{problem:?}"),
        }
    }
    Ok(rows)
}
