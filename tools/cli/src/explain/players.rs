//! The parts of a text that are left out and kept: words, or phrases of a long text.

use std::ops::Range;

/// Maximum number of parts, unless each word is to be a part.
pub(crate) const MAX_PARTS: usize = 24;

/// Characters that end a sentence or a clause.
const ENDS: &str = ".,;:!?…—。，、；：！？｡､";
/// Characters that may follow the end of a sentence.
const CLOSING: &str = "\"')]}»”’」』）》】〉〕";
/// Characters that belong to the next word where no white space separates words.
const OPENING: &str = "([{«“‘「『（《【〈〔";

/// Returns the byte ranges of the words: chunks between white space, with the punctuation attached
/// to them. A character for which `is_word` is true is a word of its own, as in Chinese.
pub(crate) fn words(text: &str, mut is_word: impl FnMut(char) -> bool) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    // Whether the last letter or digit of the current chunk is a word of its own.
    let mut last = None;
    let mut in_chunk = false;
    for (start, c) in text.char_indices() {
        if c.is_whitespace() {
            in_chunk = false;
            continue;
        }
        let kind = c.is_alphanumeric().then(|| is_word(c));
        let begins = match (last, kind) {
            (Some(_), Some(true)) | (Some(true), Some(false)) => true,
            (Some(true), None) => OPENING.contains(c),
            _ => false,
        };
        let end = start + c.len_utf8();
        match words.last_mut() {
            Some(word) if in_chunk && !begins => word.end = end,
            _ => {
                words.push(start..end);
                last = None;
            }
        }
        last = kind.or(last);
        in_chunk = true;
    }
    words
}

/// Joins words to at most [`MAX_PARTS`] parts of similar length. The parts are clauses, several
/// short clauses, or pieces of a long one.
pub(crate) fn parts(text: &str, words: &[Range<usize>]) -> Vec<Range<usize>> {
    if words.len() <= MAX_PARTS {
        return words.to_vec();
    }
    let mut parts = clauses(text, words);
    while parts.len() < MAX_PARTS {
        divide(&mut parts);
    }
    while parts.len() > MAX_PARTS {
        merge(&mut parts);
    }
    // Each round lowers the sum of the squared lengths, so the loop ends.
    while longest(&parts).1 > 2 * shortest_pair(&parts).1 {
        merge(&mut parts);
        divide(&mut parts);
    }
    let bytes = |part: Range<usize>| words[part.start].start..words[part.end - 1].end;
    parts.into_iter().map(bytes).collect()
}

/// Returns the ranges of words that are clauses. Neighbours that are short beside the parts to be
/// made are joined, so that a long text does not have many more clauses than parts.
fn clauses(text: &str, words: &[Range<usize>]) -> Vec<Range<usize>> {
    let short = words.len() / (4 * MAX_PARTS);
    let mut clauses: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for (index, word) in words.iter().enumerate() {
        let ends =
            text[word.clone()].trim_end_matches(|c| CLOSING.contains(c)).ends_with(|c| ENDS.contains(c));
        if !ends && index + 1 < words.len() {
            continue;
        }
        let clause = start..index + 1;
        start = clause.end;
        match clauses.last_mut() {
            Some(last) if last.len() + clause.len() <= short => last.end = clause.end,
            _ => clauses.push(clause),
        }
    }
    clauses
}

/// Divides the longest part in the middle.
fn divide(parts: &mut Vec<Range<usize>>) {
    let (index, length) = longest(parts);
    let Range { start, end } = parts[index];
    let middle = start + length / 2;
    parts.splice(index..=index, [start..middle, middle..end]);
}

/// Joins the two neighbours that are shortest together.
fn merge(parts: &mut Vec<Range<usize>>) {
    let (index, _) = shortest_pair(parts);
    let joined = parts[index].start..parts[index + 1].end;
    parts.splice(index..=index + 1, [joined]);
}

/// Returns the index and the length of the longest part.
fn longest(parts: &[Range<usize>]) -> (usize, usize) {
    let lengths = parts.iter().map(ExactSizeIterator::len).enumerate();
    lengths.max_by_key(|&(index, length)| (length, std::cmp::Reverse(index))).unwrap_or_default()
}

/// Returns the index of the first of the two neighbours that are shortest together, and their
/// length.
fn shortest_pair(parts: &[Range<usize>]) -> (usize, usize) {
    let lengths = parts.windows(2).map(|pair| pair[0].len() + pair[1].len()).enumerate();
    lengths.min_by_key(|&(_, length)| length).unwrap_or_default()
}

/// Returns the text of the parts that are in `set`, each after the white space that precedes it in
/// `text`. White space at the start is removed.
pub(crate) fn kept(text: &str, parts: &[Range<usize>], set: &[bool]) -> String {
    let mut kept = String::new();
    let mut end = 0;
    for (part, &is_kept) in parts.iter().zip(set) {
        if is_kept {
            let space = &text[end..part.start];
            kept.push_str(if kept.is_empty() { "" } else { space });
            kept.push_str(&text[part.clone()]);
        }
        end = part.end;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ideograph(c: char) -> bool {
        ('\u{4e00}'..='\u{9fff}').contains(&c)
    }

    fn split(text: &str) -> Vec<&str> {
        words(text, is_ideograph).into_iter().map(|word| &text[word]).collect()
    }

    #[test]
    fn words_keep_their_punctuation() {
        assert_eq!(
            split("  Well, \"it's\"\tall-in-one\n(really) ... ok. "),
            ["Well,", "\"it's\"", "all-in-one", "(really)", "...", "ok."]
        );
        assert!(split("").is_empty() && split(" \u{3000}\n").is_empty());
    }

    #[test]
    fn ideographs_are_words() {
        assert_eq!(split("你好。"), ["你", "好。"]);
        assert_eq!(split("他说「好」，abc不x1 y"), ["他", "说", "「好」，", "abc", "不", "x1", "y"]);
    }

    #[test]
    fn kept_parts_have_the_white_space_before_them() {
        let text = " A  b\tc d.\n";
        let parts = words(text, is_ideograph);
        let kept = |set: [bool; 4]| kept(text, &parts, &set);
        assert_eq!(kept([true; 4]), "A  b\tc d.");
        assert_eq!(kept([false, true, true, false]), "b\tc");
        assert_eq!(kept([true, false, false, true]), "A d.");
        assert_eq!(kept([false; 4]), "");
        let text = "你好。";
        assert_eq!(super::kept(text, &words(text, is_ideograph), &[false, true]), "好。");
    }

    #[test]
    fn long_texts_have_parts_of_similar_length() {
        let clause = |words: usize| format!("{}end, ", "word ".repeat(words - 1));
        let texts = [
            "word ".repeat(25),
            "word ".repeat(5000),
            clause(100) + &clause(1).repeat(30),
            (1..40).map(clause).collect(),
            clause(3).repeat(2000),
            "词".repeat(600),
        ];
        for text in texts {
            let words = words(&text, is_ideograph);
            let parts = parts(&text, &words);
            assert_eq!(parts.len(), MAX_PARTS);
            let lengths: Vec<usize> = parts
                .iter()
                .map(|part| words.iter().filter(|w| part.start <= w.start && w.end <= part.end).count())
                .collect();
            assert_eq!(lengths.iter().sum::<usize>(), words.len(), "no word is lost: {lengths:?}");
            let pair = lengths.windows(2).map(|pair| pair[0] + pair[1]).min();
            assert!(lengths.iter().max() <= pair.map(|pair| 2 * pair).as_ref(), "{lengths:?}");
        }
        let text = "word ".repeat(24);
        let words = words(&text, is_ideograph);
        assert_eq!(parts(&text, &words), words);
    }

    #[test]
    fn parts_end_with_clauses() {
        let text = "It is a long day, he said (twice). ".repeat(24);
        let words = words(&text, is_ideograph);
        for part in parts(&text, &words) {
            assert!(text[part.clone()].ends_with([',', '.']) || text[part.clone()].ends_with("(twice)."));
        }
    }
}
