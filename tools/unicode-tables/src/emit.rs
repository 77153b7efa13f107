//! Writes the tables as Rust source.

use std::fmt::{Display, Write};

use crate::layout::{CODES, Tables};

const WIDTH: usize = 110;

/// Returns the complete text of `tables.rs`.
pub fn source(tables: &Tables) -> String {
    let mut text = String::from(
        "//! What normalisation makes of each code point. Written by tools/unicode-tables: change that.\n\
         //!\n\
         //! Combining classes and decompositions are those of Unicode 9 and categories those of Unicode 8,\n\
         //! as in the crates `unicode-normalization-alignments` 0.1.12 and `unicode_categories` 0.1.1,\n\
         //! whatever newer versions of Unicode say; lower case and white space are those of Rust's\n\
         //! standard library.\n",
    );
    for (value, (name, meaning)) in CODES.iter().enumerate() {
        constant(&mut text, meaning, &format!("{name}: u8"), value);
    }
    constant(
        &mut text,
        "How many entries of `REPLACEMENTS` are code points; the rest are differences to add.",
        "ABSOLUTE: usize",
        tables.absolute,
    );
    list(
        &mut text,
        "Row of 16 in `MIDDLE` for each 256 code points below U+20000.",
        "TOP: [u8; {}]",
        tables.top.iter(),
    );
    list(
        &mut text,
        "Row of 16 in `LEAVES` for each 16 code points.",
        "MIDDLE: [u16; {}]",
        tables.middle.iter(),
    );
    list(&mut text, "Code of each code point.", "LEAVES: [u8; {}]", tables.leaves.iter());
    list(
        &mut text,
        "First and last code point and code of what lies past the trie and is not `WORD`, in order.",
        "HIGH: [(u32, u32, u8); {}]",
        tables.high.iter().map(|entry| format!("({:#X}, {:#X}, {})", entry.0, entry.1, entry.2)),
    );
    list(
        &mut text,
        "Code points to replace with, then differences to add to the code point replaced.",
        "REPLACEMENTS: [i32; {}]",
        tables.replacements.iter(),
    );
    list(
        &mut text,
        "Code points and the two that replace each, in order.",
        "EXPANSIONS: [(u32, [u32; 2]); {}]",
        tables
            .expansions
            .iter()
            .map(|(point, parts)| format!("({point:#X}, [{:#X}, {:#X}])", parts[0], parts[1])),
    );
    list(
        &mut text,
        "Code points, the starter each becomes, and its kept marks (0 where there is none), in order.",
        "MARKED_STARTERS: [(u32, u32, [u32; 2]); {}]",
        tables.marked.iter().map(|(point, starter, marks)| {
            format!("({point:#X}, {starter:#X}, [{:#X}, {:#X}])", marks[0], marks[1])
        }),
    );
    list(
        &mut text,
        "Marks of one class: first code point << 15 | (count - 1) << 8 | combining class, in order.",
        "MARK_CLASSES: [u32; {}]",
        tables.mark_classes.iter().map(|entry| format!("{entry:#X}")),
    );
    list(
        &mut text,
        "Low 16 bits of the ideographs that replace U+F900..=U+FAFF, then U+2F800..=U+2FA1F.",
        "COMPATIBILITY_LOW: [u16; {}]",
        tables.compat_low.iter().map(|entry| format!("{entry:#X}")),
    );
    list(
        &mut text,
        "A bit for each entry of `COMPATIBILITY_LOW`: whether the ideograph lies in plane 2.",
        "COMPATIBILITY_HIGH: [u32; {}]",
        tables.compat_high.iter().map(|entry| format!("{entry:#X}")),
    );
    text
}

fn constant(text: &mut String, meaning: &str, declaration: &str, value: usize) {
    writeln!(text, "\n/// {meaning}\npub(super) const {declaration} = {value};")
        .expect("strings take any text");
}

/// Appends a list. In `declaration`, `{}` is replaced with the number of entries.
fn list<T: Display>(
    text: &mut String,
    meaning: &str,
    declaration: &str,
    entries: impl ExactSizeIterator<Item = T>,
) {
    let declaration = declaration.replace("{}", &entries.len().to_string());
    writeln!(text, "\n/// {meaning}\npub(super) static {declaration} = [").expect("strings take any text");
    let mut line = String::new();
    for entry in entries {
        let entry = entry.to_string();
        if !line.is_empty() && 4 + line.len() + 1 + entry.len() + 1 > WIDTH {
            writeln!(text, "    {}", line.trim_end()).expect("strings take any text");
            line.clear();
        }
        line.push_str(&entry);
        line.push_str(", ");
    }
    writeln!(text, "    {}\n];", line.trim_end()).expect("strings take any text");
}
