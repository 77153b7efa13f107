//! Encodes the fates of all code points as compact tables.

use std::collections::BTreeMap;

use crate::derive::{Fate, fate};

/// End of the trie. Code points from here on are described by ranges.
const TRIE_END: u32 = 0x2_0000;
const COMPAT_BLOCKS: [(u32, u32); 2] = [(0xF900, 0xFAFF), (0x2_F800, 0x2_FA1F)];

/// Codes of the fates that have no entry in `replacements`, each with the doc comment of its
/// constant. The last one is the first code of a replacement.
pub const CODES: [(&str, &str); 12] = [
    ("WORD", "Stays as it is, inside a word."),
    ("SPACE", "Separates words."),
    ("REMOVED", "Removed before decomposition; reordering of marks reaches across it."),
    ("STRIPPED_STARTER", "Stripped after decomposition; of combining class 0, so it ends a run of marks."),
    ("STRIPPED_MARK", "Stripped after decomposition; its class is in `MARK_CLASSES`."),
    ("KEPT_MARK", "A combining mark that is not stripped; its class is in `MARK_CLASSES`."),
    ("SINGLE", "Stays as it is and is a word of its own."),
    ("COMPATIBILITY", "A compatibility ideograph: a word of its own, replaced as `COMPATIBILITY_LOW` says."),
    ("HANGUL", "A Hangul syllable, decomposed by arithmetic."),
    ("EXPANDED", "Replaced by the two code points in `EXPANSIONS`."),
    ("MARKED", "Replaced by the starter and the kept marks in `MARKED_STARTERS`."),
    ("REPLACED", "The first of the codes that index `REPLACEMENTS`."),
];

const REPLACED: u8 = CODES.len() as u8 - 1;

fn code(name: &str) -> u8 {
    CODES.iter().position(|entry| entry.0 == name).expect("a code of the list above") as u8
}

/// The tables that `emit` writes.
#[derive(Default)]
pub struct Tables {
    /// For each 256 code points below `TRIE_END`, the index of a row of 16 entries in `middle`.
    pub top: Vec<u8>,
    /// For each 16 code points, the index of a row of 16 entries in `leaves`.
    pub middle: Vec<u16>,
    /// The code of each code point.
    pub leaves: Vec<u8>,
    /// First code point, last code point and code of each range from `TRIE_END` on whose code is
    /// not `WORD`.
    pub high: Vec<(u32, u32, u8)>,
    /// Replacements: first `absolute` code points, then differences to add to the replaced code
    /// point.
    pub replacements: Vec<i32>,
    /// Number of code points in `replacements`.
    pub absolute: usize,
    /// Code points, each with its two replacements.
    pub expansions: Vec<(u32, [u32; 2])>,
    /// Code points, each with its starter and its marks (0 for no mark).
    pub marked: Vec<(u32, u32, [u32; 2])>,
    /// Ranges of marks with one combining class: first code point << 15 | (count - 1) << 8 | class.
    pub mark_classes: Vec<u32>,
    /// Low 16 bits of the replacements of compatibility ideographs.
    pub compat_low: Vec<u16>,
    /// One bit per entry of `compat_low`: whether 0x20000 is to be added.
    pub compat_high: Vec<u32>,
}

impl Tables {
    /// Derives the tables for all code points.
    ///
    /// # Panics
    ///
    /// Panics if the fates do not fit into the layout.
    pub fn derive() -> Self {
        let mut tables = Self::default();
        let fates: Vec<Fate> =
            (0..=0x10_FFFF).map(|point| char::from_u32(point).map_or(Fate::Word, fate)).collect();
        let replaced = tables.replacement_codes(&fates);
        let codes: Vec<u8> =
            (0u32..).zip(&fates).map(|(point, fate)| tables.encode(point, fate, &replaced)).collect();
        let (below, above) = codes.split_at(TRIE_END as usize);
        tables.trie(below);
        tables.ranges(above);
        tables.compatibility(&fates);
        tables
    }

    /// Returns the size of the data in bytes.
    pub fn bytes(&self) -> usize {
        self.top.len()
            + 2 * self.middle.len()
            + self.leaves.len()
            + 12 * self.high.len()
            + 4 * self.replacements.len()
            + 12 * self.expansions.len()
            + 16 * self.marked.len()
            + 4 * self.mark_classes.len()
            + 2 * self.compat_low.len()
            + 4 * self.compat_high.len()
    }

    /// Assigns a code to every replaced code point. It repeatedly chooses the most common target
    /// (accented letters share their base letter) or the most common difference (upper and lower
    /// case of an alphabet have a fixed distance) until no code point is left.
    fn replacement_codes(&mut self, fates: &[Fate]) -> BTreeMap<u32, u8> {
        let mut left: Vec<(u32, u32)> = (0u32..)
            .zip(fates)
            .filter_map(|(point, fate)| match fate {
                Fate::Mapped(target) => Some((point, u32::from(*target))),
                _ => None,
            })
            .collect();
        let mut chosen: Vec<(bool, i32, Vec<u32>)> = Vec::new();
        while !left.is_empty() {
            let mut uses: BTreeMap<(bool, i32), Vec<u32>> = BTreeMap::new();
            for &(point, target) in &left {
                uses.entry((false, target as i32)).or_default().push(point);
                uses.entry((true, target as i32 - point as i32)).or_default().push(point);
            }
            let ((relative, value), points) =
                uses.into_iter().max_by_key(|entry| entry.1.len()).expect("something is left");
            left.retain(|entry| !points.contains(&entry.0));
            chosen.push((relative, value, points));
        }
        chosen.sort();
        self.absolute = chosen.iter().filter(|choice| !choice.0).count();
        self.replacements = chosen.iter().map(|choice| choice.1).collect();
        assert!(
            chosen.len() + usize::from(REPLACED) <= 256,
            "{} replacements do not fit a byte",
            chosen.len()
        );
        (REPLACED..=u8::MAX)
            .zip(chosen)
            .flat_map(|(code, choice)| choice.2.into_iter().map(move |point| (point, code)))
            .collect()
    }

    fn encode(&mut self, point: u32, fate: &Fate, replaced: &BTreeMap<u32, u8>) -> u8 {
        let compatible = COMPAT_BLOCKS.iter().any(|block| (block.0..=block.1).contains(&point));
        match fate {
            Fate::Word => code("WORD"),
            Fate::Space => code("SPACE"),
            Fate::Removed => code("REMOVED"),
            Fate::StrippedStarter => code("STRIPPED_STARTER"),
            Fate::StrippedMark(class) => {
                self.mark(point, *class);
                code("STRIPPED_MARK")
            }
            Fate::KeptMark(class) => {
                self.mark(point, *class);
                code("KEPT_MARK")
            }
            Fate::Isolated(_) if compatible => code("COMPATIBILITY"),
            Fate::Isolated(target) => {
                assert!(u32::from(*target) == point, "U+{point:04X} is isolated and replaced");
                code("SINGLE")
            }
            Fate::Single => code("SINGLE"),
            Fate::Hangul => code("HANGUL"),
            Fate::Mapped(_) => replaced[&point],
            Fate::Expanded(parts) => {
                let [first, second] = parts[..] else { panic!("U+{point:04X} expands to {parts:?}") };
                self.expansions.push((point, [first.into(), second.into()]));
                code("EXPANDED")
            }
            Fate::Marked(starter, marks) => {
                assert!(marks.len() <= 2, "U+{point:04X} has {} marks", marks.len());
                let mark = |index: usize| marks.get(index).map_or(0, |mark| u32::from(mark.0));
                self.marked.push((point, (*starter).into(), [mark(0), mark(1)]));
                code("MARKED")
            }
        }
    }

    fn mark(&mut self, point: u32, class: u8) {
        assert!(point < 1 << 17, "the mark U+{point:04X} does not fit 17 bits");
        if let Some(last) = self.mark_classes.last_mut() {
            let (first, more, last_class) = (*last >> 15, *last >> 8 & 0x7F, *last & 0xFF);
            if last_class == u32::from(class) && first + more + 1 == point && more < 0x7F {
                *last += 1 << 8;
                return;
            }
        }
        self.mark_classes.push(point << 15 | u32::from(class));
    }

    fn trie(&mut self, codes: &[u8]) {
        let leaves: Vec<u16> = codes.chunks(16).map(|leaf| row(&mut self.leaves, leaf)).collect();
        for middle in leaves.chunks(16) {
            let index = row(&mut self.middle, middle);
            self.top.push(u8::try_from(index).expect("at most 256 distinct rows"));
        }
    }

    fn ranges(&mut self, codes: &[u8]) {
        for (point, &code) in (TRIE_END..).zip(codes) {
            assert!(code < REPLACED, "U+{point:04X} is replaced but lies past the trie");
            match self.high.last_mut() {
                Some(last) if last.2 == code && last.1 + 1 == point => last.1 = point,
                _ if code == 0 => {}
                _ => self.high.push((point, point, code)),
            }
        }
    }

    fn compatibility(&mut self, fates: &[Fate]) {
        let points = COMPAT_BLOCKS.iter().flat_map(|block| block.0..=block.1);
        for (index, point) in points.enumerate() {
            let Fate::Isolated(target) = fates[point as usize] else {
                panic!("U+{point:04X} is not isolated")
            };
            let target = u32::from(target);
            let high = target >> 16;
            assert!(matches!(high, 0 | 2), "U+{target:04X} lies outside planes 0 and 2");
            self.compat_low.push(target as u16);
            if index % 32 == 0 {
                self.compat_high.push(0);
            }
            self.compat_high[index / 32] |= (high / 2) << (index % 32);
        }
    }
}

/// Returns the index of the row `wanted` among the rows of equal length in `rows`. A new row is
/// appended.
fn row<T: Copy + PartialEq>(rows: &mut Vec<T>, wanted: &[T]) -> u16 {
    let index = rows.chunks(wanted.len()).position(|have| have == wanted).unwrap_or_else(|| {
        rows.extend_from_slice(wanted);
        rows.len() / wanted.len() - 1
    });
    u16::try_from(index).expect("at most 65,536 distinct rows")
}
