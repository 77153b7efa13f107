//! Changes of content: numbers, persons, places, terms of identity. The lists in `words` are the
//! project's own.

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_segmentation::UnicodeSegmentation;

use crate::random::Stream;

/// Lists of a file: a name in brackets, then one word per line.
type Lists = Vec<Vec<&'static str>>;

static PERSONS: LazyLock<Lists> = LazyLock::new(|| lists(include_str!("words/persons.txt")));
static PLACES: LazyLock<Lists> = LazyLock::new(|| lists(include_str!("words/places.txt")));
/// The last list has nouns for persons.
static IDENTITY: LazyLock<Lists> = LazyLock::new(|| lists(include_str!("words/identity.txt")));

/// Number of lists, from the first, whose terms are exchanged wherever they begin with a capital.
/// The terms of the other lists have more than one meaning, so they are exchanged only before a
/// noun for a person.
const UNAMBIGUOUS: usize = 2;
/// Largest number of words in a text into which a place is put. In longer ones the last word is
/// rarely what the place would belong to.
const LONGEST_FOR_PLACE: usize = 20;
/// Words and signs beside a number that is a rating or a share.
const MARKS: [&str; 12] =
    ["/", "%", "star", "stars", "out", "of", "point", "points", "percent", "rating", "rated", "score"];

fn lists(text: &'static str) -> Lists {
    let mut lists: Lists = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match (line.starts_with('['), lists.last_mut()) {
            (false, Some(list)) => list.push(line),
            _ => lists.push(Vec::new()),
        }
    }
    lists
}

/// Returns `text` with `length` bytes at `start` replaced by `by`.
fn replaced(text: &str, start: usize, length: usize, by: &str) -> String {
    format!("{}{by}{}", &text[..start], &text[start + length..])
}

/// Replaces one number of two or more digits with another of as many digits.
pub(super) fn numbers(text: &str, random: &mut Stream) -> Option<String> {
    let words: Vec<(usize, &str)> =
        text.split_word_bound_indices().filter(|(_, word)| !word.trim().is_empty()).collect();
    let is_mark = |index: Option<usize>| {
        index.and_then(|it| words.get(it)).is_some_and(|(_, word)| MARKS.contains(&&*word.to_lowercase()))
    };
    let places: Vec<(usize, &str)> = (0..words.len())
        .filter(|&at| {
            let word = words[at].1;
            let number =
                word.len() > 1 && word.bytes().all(|it| it.is_ascii_digit()) && !word.starts_with('0');
            number && !is_mark(at.checked_sub(1)) && !is_mark(Some(at + 1))
        })
        .map(|at| words[at])
        .collect();
    if places.is_empty() {
        return None;
    }
    let (start, word) = places[random.below(places.len())];
    let mut digits: Vec<u8> = word.bytes().collect();
    let last = digits.len() - 1;
    // Years stay in their century.
    let first = if digits.len() == 4 { 2 } else { 0 };
    for digit in &mut digits[first..] {
        *digit = b'1' + random.below(9) as u8;
    }
    if digits == word.as_bytes() {
        digits[last] = if digits[last] == b'9' { b'1' } else { digits[last] + 1 };
    }
    Some(replaced(text, start, word.len(), &String::from_utf8_lossy(&digits)))
}

/// Replaces one first name or surname with another.
pub(super) fn persons(text: &str, random: &mut Stream) -> Option<String> {
    exchanged(text, &PERSONS, random)
}

/// Replaces one city or country with another. If the text names none, inserts one at its end.
pub(super) fn places(text: &str, random: &mut Stream) -> Option<String> {
    exchanged(text, &PLACES, random).or_else(|| place_put_in(text, random))
}

/// Inserts "in PLACE" after the last word of a short text that is not a question.
fn place_put_in(text: &str, random: &mut Stream) -> Option<String> {
    let (start, word) = text.unicode_word_indices().take(LONGEST_FOR_PLACE).last()?;
    let (before, marks) = text.split_at(start + word.len());
    let letters = word.chars().all(char::is_alphabetic);
    let one_sentence_end = marks.chars().all(|it| it.is_whitespace() || matches!(it, '.' | '!'));
    if !letters || !one_sentence_end {
        return None;
    }
    let list = &PLACES[random.below(PLACES.len())];
    let place = list[random.below(list.len())];
    let place = if text.chars().any(char::is_uppercase) { place.to_owned() } else { place.to_lowercase() };
    Some(format!("{before} in {place}{marks}"))
}

/// Replaces a word of one of `lists` with another word of its list. The word must begin with a
/// capital, unless the text has no capitals.
fn exchanged(text: &str, lists: &'static Lists, random: &mut Stream) -> Option<String> {
    let any_capital = text.chars().any(char::is_uppercase);
    let mut found = Vec::new();
    for (start, word) in text.unicode_word_indices() {
        if any_capital && !word.starts_with(char::is_uppercase) {
            continue;
        }
        let of = lists.iter().find(|list| list.iter().any(|it| it.eq_ignore_ascii_case(word)));
        found.extend(of.map(|list| (start, word, list)));
    }
    if found.is_empty() {
        return None;
    }
    let (start, word, list) = found[random.below(found.len())];
    Some(replaced(text, start, word.len(), &in_case_of(word, other(list, word, random))))
}

/// Returns a word of `list` that is not `word`.
fn other(list: &'static [&'static str], word: &str, random: &mut Stream) -> &'static str {
    let at = random.below(list.len());
    if list[at].eq_ignore_ascii_case(word) { list[(at + 1) % list.len()] } else { list[at] }
}

/// Returns `new` in small or in capital letters if `old` has only small or only capital letters.
fn in_case_of(old: &str, new: &str) -> String {
    if !old.chars().any(char::is_uppercase) {
        new.to_lowercase()
    } else if old.len() > 1 && !old.chars().any(char::is_lowercase) {
        new.to_uppercase()
    } else {
        new.to_owned()
    }
}

/// Exchanges a term of religion, nationality, ethnicity, sexuality or gender for another of its
/// kind. If the text has none, and in one text of three, inserts a term before a noun for a person
/// instead. If there is no place for it, adds a sentence with a term.
pub(super) fn identity(text: &str, random: &mut Stream) -> Option<String> {
    if text.trim().is_empty() {
        return None;
    }
    let exchanged = if random.below(3) > 0 { exchanged_identity(text, random) } else { None };
    exchanged.or_else(|| put_in(text, random)).or_else(|| Some(said(text, random)))
}

fn exchanged_identity(text: &str, random: &mut Stream) -> Option<String> {
    let (kinds, persons) = identity_lists();
    let words: Vec<(usize, &str)> = text.unicode_word_indices().collect();
    let is = |index: usize, list: &[&str]| {
        words.get(index).is_some_and(|(_, word)| list.iter().any(|it| it.eq_ignore_ascii_case(word)))
    };
    let mut found = Vec::new();
    for (at, &(start, word)) in words.iter().enumerate() {
        for (kind, list) in kinds.iter().enumerate() {
            let named = list.iter().any(|it| it.eq_ignore_ascii_case(word));
            let sure = kind < UNAMBIGUOUS && word.starts_with(char::is_uppercase);
            if named && (sure || is(at + 1, persons)) {
                found.push((start, word, *list));
                break;
            }
        }
    }
    if found.is_empty() {
        return None;
    }
    let (start, word, list) = found[random.below(found.len())];
    let term = in_case_of(word, other(list, word, random));
    Some(with_article(&text[..start], &term) + &text[start + word.len()..])
}

fn put_in(text: &str, random: &mut Stream) -> Option<String> {
    let (kinds, persons) = identity_lists();
    let terms: HashSet<String> = kinds.iter().copied().flatten().map(|it| it.to_lowercase()).collect();
    let words: Vec<(usize, &str)> = text.unicode_word_indices().collect();
    let places: Vec<usize> = (0..words.len())
        .filter(|&at| {
            let person = persons.iter().any(|it| it.eq_ignore_ascii_case(words[at].1));
            // The determiner excludes verbs ("to coach", "they staff") and names ("Guy Ritchie").
            // No second term is inserted.
            let after = |it: &str| {
                matches!(
                    it,
                    "a" | "an" | "the" | "this" | "that" | "my" | "our" | "his" | "her" | "their" | "your"
                )
            };
            person
                && at > 0
                && after(&words[at - 1].1.to_lowercase())
                && !terms.contains(&words[at - 1].1.to_lowercase())
        })
        .map(|at| words[at].0)
        .collect();
    if places.is_empty() {
        return None;
    }
    let start = places[random.below(places.len())];
    let term = term(kinds, random);
    let term = if text.chars().any(char::is_uppercase) { term.to_owned() } else { term.to_lowercase() };
    Some(format!("{} {}", with_article(&text[..start], &term), &text[start..]))
}

/// Adds a sentence that says nothing about the subject of the text.
fn said(text: &str, random: &mut Stream) -> String {
    let (kinds, _) = identity_lists();
    let term = term(kinds, random);
    let article = article(term);
    let sentence = match random.below(6) {
        0 => format!("I am {article} {term} person."),
        1 => format!("They are {article} {term} couple."),
        2 => format!("My neighbour is {term}."),
        3 => format!("I went with {article} {term} friend."),
        4 => format!("My boss is {term}."),
        _ => format!("We are {article} {term} family."),
    };
    match random.below(2) {
        0 => format!("{sentence} {text}"),
        _ => format!("{text} {sentence}"),
    }
}

/// Returns the lists of terms, and the nouns for persons.
fn identity_lists() -> (Vec<&'static [&'static str]>, &'static [&'static str]) {
    match IDENTITY.split_last() {
        Some((persons, kinds)) => (kinds.iter().map(Vec::as_slice).collect(), persons),
        None => (Vec::new(), &[]),
    }
}

/// Draws a term. All kinds of terms are equally likely, however many terms they have.
fn term(kinds: Vec<&'static [&'static str]>, random: &mut Stream) -> &'static str {
    let list = kinds[random.below(kinds.len())];
    list[random.below(list.len())]
}

fn article(word: &str) -> &'static str {
    // "a European", "a Ugandan": words that begin with the sound of "you".
    let small = word.to_lowercase();
    let vowel =
        small.starts_with(['a', 'e', 'i', 'o', 'u']) && !small.starts_with("eu") && !small.starts_with("ug");
    if vowel { "an" } else { "a" }
}

/// Returns `before` followed by `term`. An indefinite article at the end of `before` is adapted to
/// the term.
fn with_article(before: &str, term: &str) -> String {
    let trimmed = before.trim_end();
    for old in ["an", "a"] {
        if let Some(rest) = trimmed
            .len()
            .checked_sub(old.len())
            .and_then(|at| trimmed.is_char_boundary(at).then(|| trimmed.split_at(at)))
            && rest.1.eq_ignore_ascii_case(old)
            && rest.0.chars().next_back().is_none_or(|it| !it.is_alphanumeric())
        {
            let capital = rest.1.starts_with('A');
            let new = article(term);
            let new = if capital { new.replacen('a', "A", 1) } else { new.to_owned() };
            return format!("{}{new} {term}", rest.0);
        }
    }
    format!("{before}{term}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn all(change: impl Fn(&mut Stream) -> Option<String>) -> HashSet<String> {
        (0..400).filter_map(|index| change(&mut Stream::new(3, Purpose::Changes, index))).collect()
    }

    #[test]
    fn lists_have_every_word_once() {
        for (lists, count) in [(&PERSONS, 2), (&PLACES, 2), (&IDENTITY, 6)] {
            assert_eq!(lists.len(), count);
            for list in lists.iter() {
                let mut seen = HashSet::new();
                assert!(list.len() > 4 && list.iter().all(|it| seen.insert(it.to_lowercase())), "{list:?}");
            }
        }
    }

    #[test]
    fn numbers_that_are_no_marks_change() {
        let of = |text: &str| all(|random| numbers(text, random));
        let found = of("It has 25 rooms.");
        assert!(found.len() > 20);
        for text in &found {
            let number = text.strip_prefix("It has ").and_then(|it| it.strip_suffix(" rooms.")).unwrap();
            assert!(number != "25" && (11..=99).contains(&number.parse::<u32>().unwrap()), "{text}");
        }
        assert!(of("Since 1998.").iter().all(|it| it.starts_with("Since 19")));
        for text in ["10/10", "10 stars", "95 % of it", "10 out of 10", "a 4", "win32"] {
            assert!(of(text).is_empty(), "{text}: {:?}", of(text));
        }
    }

    #[test]
    fn names_are_exchanged_within_their_list() {
        let found = all(|random| persons("Anna met will in Paris.", random));
        assert!(found.len() > 50 && found.iter().all(|it| it.ends_with(" met will in Paris.")), "{found:?}");
        assert!(
            all(|random| places("anna lives in paris .", random))
                .iter()
                .all(|it| !it.contains(char::is_uppercase))
        );
        let found = all(|random| places("IN PARIS", random));
        assert!(found.len() > 50 && found.iter().all(|it| it.starts_with("IN ") && *it == it.to_uppercase()));
        assert!(all(|random| persons("Nobody was there.", random)).is_empty());
    }

    #[test]
    fn a_place_is_put_in_at_the_end() {
        let of = |text: &str| all(|random| places(text, random));
        let found = of("The soup was cold.");
        let all_end = |found: &HashSet<String>, start: &str, end: &str| {
            found.len() > 50 && found.iter().all(|it| it.starts_with(start) && it.ends_with(end))
        };
        assert!(all_end(&found, "The soup was cold in ", "."), "{found:?}");
        let found = of("a witty film !");
        assert!(all_end(&found, "a witty film in ", " !"), "{found:?}");
        assert!(found.iter().all(|it| *it == it.to_lowercase()), "{found:?}");
        let long = "word ".repeat(LONGEST_FOR_PLACE + 1);
        for text in ["Was it good?", "I gave it 5", "(see below)", ":-(", "", &long] {
            assert!(of(text).is_empty(), "{text}: {:?}", of(text));
        }
    }

    #[test]
    fn terms_are_exchanged_put_in_or_said() {
        let found = all(|random| exchanged_identity("An Indian restaurant, a black comedy.", random));
        assert!(found.len() > 40, "{found:?}");
        assert!(
            found.iter().all(|it| it.ends_with(" restaurant, a black comedy.") && !it.contains("Indian"))
        );
        assert!(found.contains("A Danish restaurant, a black comedy."), "{found:?}");
        let found = all(|random| exchanged_identity("She is a gay woman.", random));
        assert!(found.contains("She is an asexual woman.") && !found.contains("She is a gay woman."));
        let found = all(|random| put_in("The waiter was rude.", random));
        assert!(found.len() > 50 && found.contains("The gay waiter was rude."), "{found:?}");
        assert!(all(|random| put_in("They staff it well.", random)).is_empty());
        let found = all(|random| identity("Good.", random));
        assert!(found.iter().all(|it| it.starts_with("Good. ") || it.ends_with(" Good.")));
        assert!(
            found.iter().any(|it| it.contains("I am an "))
                && identity(" ", &mut Stream::new(1, Purpose::Changes, 1)).is_none()
        );
    }
}
