use std::io::{BufReader, Cursor};

use proptest::prelude::*;

use super::*;

fn field(name: &str) -> Field {
    Field { names: vec![name.to_owned()], hint: format!("--{name} names another"), numbers: true }
}

fn options(format: Format, fields: &[&str]) -> Options {
    let fields = fields.iter().map(|name| field(name)).collect();
    Options { format, delimiter: None, delimiter_hint: "--delimiter names it".to_owned(), fields }
}

fn rows_of(bytes: impl AsRef<[u8]>, options: Options) -> Result<Vec<Row>, String> {
    let reader = BufReader::with_capacity(1, Cursor::new(bytes.as_ref().to_vec()));
    let rows = read(PathBuf::from("a"), reader, options).map_err(|error| error.to_string())?;
    rows.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// Formats good rows as `line: value|value` and bad ones as `line! message`.
fn shown(bytes: impl AsRef<[u8]>, format: Format, fields: &[&str]) -> Vec<String> {
    let show = |row: Row| match row.values {
        Ok(values) => format!("{}: {}", row.line, values.join("|")),
        Err(problem) => format!("{}! {problem}", row.line),
    };
    match rows_of(bytes, options(format, fields)) {
        Ok(rows) => rows.into_iter().map(show).collect(),
        Err(error) => vec![error],
    }
}

const UNCLOSED: &str = "found a quote that opens a field and is not closed before the end of the file, \
                        expected a closing quote; a quote within a field is doubled";
const AFTER_QUOTE: &str = "found text after a closing quote, expected the delimiter or the end of the line \
                      there; a quote within a field is doubled";

#[test]
fn a_broken_quote_costs_its_line_and_no_other() {
    let text = "text\nA fine film.\n\"A dull mess.\nThird text.\n";
    assert_eq!(
        shown(text, Format::Csv, &["text"]),
        ["2: A fine film.".to_owned(), format!("3! {UNCLOSED}"), "4: Third text.".to_owned()]
    );
    let text = "text,label\n\"Great film,1\n\"Bad film,0\nGood,1\n";
    assert_eq!(
        shown(text, Format::Csv, &["text", "label"]),
        [format!("2! {AFTER_QUOTE}"), format!("3! {UNCLOSED}"), "4: Good|1".to_owned()]
    );
    let text = "text,label\n\"a\" ,1\nb,\"1\"0\n\"c\nd\"x\n\ne,2";
    assert_eq!(
        shown(text, Format::Csv, &["text", "label"]),
        [
            format!("2! {AFTER_QUOTE}"),
            format!("3! {AFTER_QUOTE}"),
            format!("4! {AFTER_QUOTE}"),
            "5! found 1 field, expected 2, as in the header".to_owned(),
            "7: e|2".to_owned()
        ]
    );
}

/// RFC 4180 would read the field as unquoted, so a comma between the quotes would end it.
#[test]
fn white_space_before_a_quote_is_an_error() {
    let text = "label,text,more\n1, \"Great film, really\"\n0,  said \"no\",a\n1, ,b\n";
    let message = "found white space before a quote, expected the quote at the start of the field, or \
                   the field without quotes";
    assert_eq!(
        shown(text, Format::Csv, &["label", "text"]),
        [format!("2! {message}"), "3: 0|  said \"no\"".to_owned(), "4: 1| ".to_owned()]
    );
}

#[test]
fn a_quote_that_is_never_closed_is_found_before_it_fills_the_memory() {
    let mut text = "text\n\"a\n".to_owned();
    let line = "x".repeat(8191) + "\n";
    let rest = MAX_RECORD / line.len() + 10;
    text.extend(std::iter::repeat_n(line, rest));
    let rows = rows_of(&text, options(Format::Csv, &["text"])).unwrap();
    let problem = rows[0].values.as_ref().unwrap_err().to_string();
    assert!(problem.contains("is not closed within 16777216 bytes"), "{problem}");
    assert_eq!((rows.len(), rows[1].line, rows[rest].line), (rest + 1, 3, rest as u64 + 2));
}

#[test]
fn quoted_fields_hold_quotes_delimiters_and_line_breaks() {
    let text = "a,text\r\n\"1\",\"x\r\n\"\"y\"\", z\"\r\n\r\n\"\",5\" wide\r2,\"\"\"\"";
    assert_eq!(shown(text, Format::Csv, &["a", "text"]), ["2: 1|x\r\n\"y\", z", "5: |5\" wide", "6: 2|\""]);
    let text = "text\tlabel\n\"a\t1\nit's \"b\"\t0\n";
    assert_eq!(shown(text, Format::Tsv, &["text", "label"]), ["2: \"a|1", "3: it's \"b\"|0"]);
    let semicolons = Options { delimiter: Some(b';'), ..options(Format::Csv, &["text", "label"]) };
    let rows = rows_of("label;text\n1;\"a;b\"\n", semicolons).unwrap();
    assert_eq!(rows, [Row { line: 2, values: Ok(vec!["a;b".to_owned(), "1".to_owned()]) }]);
}

#[test]
fn headers_are_looked_at_before_rows() {
    for (text, expected) in [
        ("", "a: content: found nothing, expected at least one text"),
        ("\u{feff}", "a: content: found nothing, expected at least one text"),
        ("\n\n", "a: line 1: found no header, expected the names of the columns"),
        ("x,y\n1,2\n", "a: line 1: found the columns x, y, expected a column text; --text names another"),
        (
            "text;label\n",
            "a: line 1: found the columns text;label, expected a column text; --text names another; \
             the columns seem to be separated by ';': --delimiter names it",
        ),
        ("text,text\n", "a: line 1: found 2 columns text, expected a column text; --text names another"),
    ] {
        assert_eq!(shown(text, Format::Csv, &["text"]), [expected], "{text:?}");
    }
    assert_eq!(shown("\"a", Format::Csv, &["text"]), [format!("a: line 1: {UNCLOSED}")]);
    assert_eq!(shown("\u{feff} text ,y\n1,2\n", Format::Csv, &["text"]), ["2: 1"]);
    let long = shown("x".repeat(720_000) + "\u{1b}[2J\n", Format::Csv, &["text"]).concat();
    assert!(long.len() < 300 && long.contains('x') && !long.contains('\u{1b}'), "{long}");
    let utf16: Vec<u8> = "text\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = shown([&[0xff, 0xfe], utf16.as_slice()].concat(), Format::Csv, &["text"]).concat();
    assert!(error.contains("content: found text in UTF-16, expected UTF-8"), "{error}");
}

#[test]
fn bytes_that_are_not_utf_8_are_a_problem_of_their_row() {
    let latin = b"text,label\ncaf\xe9,1\nb,0\n";
    let message = "found the byte 0xe9 after 3 bytes, which is not UTF-8, expected UTF-8; `iconv -f \
                   WINDOWS-1252 -t UTF-8` converts a Windows file";
    let rows = [format!("2! text: {message}"), "3: b|0".to_owned()];
    assert_eq!(shown(latin, Format::Csv, &["text", "label"]), rows);
    assert_eq!(shown(&latin[11..16], Format::Txt, &["text"]), [format!("1! {message},1").replace(",1", "")]);
}

/// `/dev/zero`, for example, is one endless line.
#[test]
fn an_endless_line_ends_the_reading() {
    for format in [Format::Txt, Format::Csv, Format::Jsonl] {
        let endless = BufReader::with_capacity(1 << 16, std::io::repeat(b'x'));
        let begun = read(PathBuf::from("a"), endless, options(format, &["text"]));
        let error = begun.and_then(|mut rows| rows.next().expect("an item")).unwrap_err().to_string();
        assert_eq!(error, "a: cannot be read: line 1 is longer than 268435456 bytes", "{format:?}");
    }
}

#[test]
fn lines_are_rows_and_blank_ones_are_no_json() {
    assert_eq!(shown("\u{feff}a\r\n\n b\rc", Format::Txt, &["text"]), ["1: a", "2: ", "3:  b\rc"]);
    let json = "\u{feff}{\"text\": \"a\", \"label\": 1}\n \n{\"text\": \"b\", \"label\": true}\n";
    assert_eq!(shown(json, Format::Jsonl, &["text", "label"]), ["1: a|1", "3: b|true"]);
}

#[test]
fn the_extension_tells_the_format() {
    let of = |name: &str| Format::of_name(Path::new(name)).map_err(|error| error.to_string());
    assert_eq!(of("a.CSV"), Ok(Format::Csv));
    assert_eq!(of("a.ndjson"), Ok(Format::Jsonl));
    assert_eq!(of("a"), Ok(Format::Txt));
    assert!(of("a.json").unwrap_err().contains("jq -c '.[]'"));
    assert!(of("a.xlsx").unwrap_err().contains("expected .txt, .csv, .tsv or .jsonl"));
}

/// Writes the rows as a table in the format of RFC 4180.
fn written(rows: &[Vec<String>]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).unwrap();
    }
    writer.into_inner().unwrap()
}

proptest! {
    #[test]
    fn output_of_a_csv_writer_is_read_again(
        rows in prop::collection::vec(prop::collection::vec("[ab,\"\r\n;é]{0,6}", 2), 1..6),
    ) {
        let header = vec!["text".to_owned(), "label".to_owned()];
        let table = written(&[&[header][..], &rows].concat());
        let read = rows_of(&table, options(Format::Csv, &["text", "label"])).unwrap();
        let values: Vec<Vec<String>> = read.into_iter().map(|row| row.values.unwrap()).collect();
        prop_assert_eq!(values, rows);
    }

    /// Compares with another implementation. If this reader finds no broken quote, the lenient
    /// reader of the `csv` crate returns the same rows.
    #[test]
    fn rows_without_a_problem_are_those_of_the_csv_crate(table in "[a,\"\n\r]{0,40}") {
        let table = format!("h\n{table}");
        let read = rows_of(&table, Options { fields: vec![field("h")], ..options(Format::Csv, &[]) }).unwrap();
        let broken = |row: &Row| row.values.as_ref().is_err_and(|it| it.to_string().contains("quote"));
        if !read.iter().any(broken) {
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(table.as_bytes());
            let expected: Vec<Option<String>> = reader
                .records()
                .map(|record| record.unwrap())
                .map(|record| (record.len() == 1).then(|| record[0].to_owned()))
                .collect();
            let found: Vec<Option<String>> =
                read.into_iter().map(|row| row.values.ok().map(|mut values| values.remove(0))).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
