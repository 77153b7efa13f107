//! Changes of form: typing errors, contractions, marks, case, addresses.

use unicode_segmentation::UnicodeSegmentation;

use crate::random::Stream;

/// Shortest word in which a typing error is made, in letters.
const SHORTEST_MISSPELT: usize = 4;
/// Rows of letters that lie beside each other on a keyboard.
const ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// Separate and contracted forms. The first form can be replaced by the second. The second can be
/// replaced by the first only if the third value is true: "it's" may be "it has".
const CONTRACTIONS: [(&str, &str, bool); 47] = [
    ("is not", "isn't", true),
    ("are not", "aren't", true),
    ("was not", "wasn't", true),
    ("were not", "weren't", true),
    ("do not", "don't", true),
    ("does not", "doesn't", true),
    ("did not", "didn't", true),
    ("has not", "hasn't", true),
    ("have not", "haven't", true),
    ("had not", "hadn't", true),
    ("will not", "won't", true),
    ("would not", "wouldn't", true),
    ("could not", "couldn't", true),
    ("should not", "shouldn't", true),
    ("must not", "mustn't", true),
    ("can not", "can't", false),
    ("cannot", "can't", true),
    ("i am", "i'm", true),
    ("you are", "you're", true),
    ("we are", "we're", true),
    ("they are", "they're", true),
    ("i have", "i've", true),
    ("you have", "you've", true),
    ("we have", "we've", true),
    ("they have", "they've", true),
    ("i will", "i'll", true),
    ("you will", "you'll", true),
    ("he will", "he'll", true),
    ("she will", "she'll", true),
    ("it will", "it'll", true),
    ("we will", "we'll", true),
    ("they will", "they'll", true),
    ("i would", "i'd", false),
    ("you would", "you'd", false),
    ("he would", "he'd", false),
    ("she would", "she'd", false),
    ("we would", "we'd", false),
    ("they would", "they'd", false),
    ("it is", "it's", false),
    ("he is", "he's", false),
    ("she is", "she's", false),
    ("that is", "that's", false),
    ("there is", "there's", false),
    ("here is", "here's", false),
    ("what is", "what's", false),
    ("who is", "who's", false),
    ("let us", "let's", true),
];

/// Makes one typing error, and in one text of two a second one.
pub(super) fn typos(text: &str, random: &mut Stream) -> Option<String> {
    let once = typo(text, random)?;
    if random.below(2) == 0 {
        return Some(once);
    }
    Some(typo(&once, random).unwrap_or(once))
}

fn typo(text: &str, random: &mut Stream) -> Option<String> {
    let word_of_letters =
        |word: &str| word.len() >= SHORTEST_MISSPELT && word.bytes().all(|it| it.is_ascii_alphabetic());
    let words: Vec<(usize, &str)> =
        text.unicode_word_indices().filter(|&(_, word)| word_of_letters(word)).collect();
    if words.is_empty() {
        return None;
    }
    let (start, word) = words[random.below(words.len())];
    let mut letters: Vec<char> = word.chars().collect();
    // The first letter is seldom mistaken, and readers recognize a word by it.
    let at = 1 + random.below(letters.len() - 2);
    match random.below(5) {
        0 => drop(letters.remove(at)),
        1 => letters.insert(at, letters[at]),
        2 => letters[at] = neighbour(letters[at], random),
        _ => letters.swap(at, at + 1),
    }
    let written: String = letters.into_iter().collect();
    Some(format!("{}{written}{}", &text[..start], &text[start + word.len()..]))
}

/// Returns a letter beside `letter` on the keyboard, in the same case.
fn neighbour(letter: char, random: &mut Stream) -> char {
    let small = letter.to_ascii_lowercase();
    for row in ROWS {
        if let Some(at) = row.find(small) {
            let right = at + 1 < row.len() && (at == 0 || random.below(2) == 0);
            let other = char::from(row.as_bytes()[if right { at + 1 } else { at - 1 }]);
            return if letter.is_ascii_uppercase() { other.to_ascii_uppercase() } else { other };
        }
    }
    letter
}

/// Replaces one separate or contracted form with the other.
pub(super) fn contractions(text: &str, random: &mut Stream) -> Option<String> {
    // As long as `text`, so that offsets are the same in both.
    let small = text.to_ascii_lowercase();
    let mut places = Vec::new();
    for (apart, together, both) in CONTRACTIONS {
        places.extend(words(&small, apart).map(|at| (at, apart.len(), together)));
        // Texts that were split into tokens have "do n't".
        let cut = together.find("n't").or_else(|| together.find('\'')).unwrap_or(0);
        let spaced = format!("{} {}", &together[..cut], &together[cut..]);
        places.extend(words(&small, &spaced).map(|at| (at, spaced.len(), together)));
        if both {
            places.extend(words(&small, &spaced).map(|at| (at, spaced.len(), apart)));
            places.extend(words(&small, together).map(|at| (at, together.len(), apart)));
        }
    }
    if places.is_empty() {
        return None;
    }
    let (at, length, to) = places[random.below(places.len())];
    let capital = text[at..].starts_with(|it: char| it.is_ascii_uppercase());
    let mut to = to.to_owned();
    if capital {
        to[..1].make_ascii_uppercase();
    }
    Some(format!("{}{to}{}", &text[..at], &text[at + length..]))
}

/// Returns the offsets of `sought` in `text` as whole words.
fn words<'a>(text: &'a str, sought: &'a str) -> impl Iterator<Item = usize> + 'a {
    let inside = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '\'');
    text.match_indices(sought).map(|(at, _)| at).filter(move |&at| {
        !inside(text[..at].chars().next_back()) && !inside(text[at + sought.len()..].chars().next())
    })
}

/// Removes, adds or repeats the final mark, or removes all commas.
pub(super) fn punctuation(text: &str, random: &mut Stream) -> Option<String> {
    let trimmed = text.trim_end();
    let last = trimmed.chars().next_back()?;
    match (last, random.below(3)) {
        (_, 0) if trimmed.contains(',') => Some(trimmed.replace(',', "")),
        ('.', _) => Some(trimmed.trim_end_matches('.').trim_end().to_owned()),
        ('!' | '?', _) => Some(format!("{trimmed}{last}")),
        (it, 1) if it.is_alphanumeric() => Some(format!("{trimmed} .")),
        (it, _) if it.is_alphanumeric() => Some(format!("{trimmed}.")),
        _ => None,
    }
}

/// Makes all letters small or all capital.
pub(super) fn case(text: &str, random: &mut Stream) -> Option<String> {
    let changed = if random.below(2) == 0 { text.to_lowercase() } else { text.to_uppercase() };
    (changed != text).then_some(changed)
}

/// Adds an address or a handle, made up of letters and digits, before or after the text.
pub(super) fn links(text: &str, random: &mut Stream) -> String {
    const SIGNS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const HOSTS: [&str; 6] = [
        "https://t.co/",
        "http://bit.ly/",
        "https://www.example.com/",
        "http://tinyurl.com/",
        "www.example.org/",
        "https://youtu.be/",
    ];
    let mut signs = |least: usize, more: usize, of: usize| -> String {
        let length = least + random.below(more);
        (0..length).map(|_| char::from(SIGNS[random.below(of)])).collect()
    };
    let (address, handle) = (signs(6, 5, SIGNS.len()), signs(4, 8, 26));
    let link = match random.below(5) {
        0 => "http".to_owned(),
        1 => format!("@{handle}"),
        2 => "@user".to_owned(),
        _ => format!("{}{address}", HOSTS[random.below(HOSTS.len())]),
    };
    match random.below(3) {
        0 => format!("{link} {text}"),
        _ => format!("{text} {link}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::random::Purpose;

    fn all(change: impl Fn(&mut Stream) -> Option<String>) -> HashSet<String> {
        (0..200).filter_map(|index| change(&mut Stream::new(3, Purpose::Changes, index))).collect()
    }

    /// Computes the optimal-string-alignment distance by the textbook algorithm.
    fn distance(a: &str, b: &str) -> usize {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = match (i, j) {
                    (0, other) | (other, 0) => other,
                    _ => {
                        let change = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                        let least = change.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                        match i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                            true => least.min(table[i - 2][j - 2] + 1),
                            false => least,
                        }
                    }
                };
            }
        }
        table[a.len()][b.len()]
    }

    #[test]
    fn slips_are_one_or_two() {
        let text = "A wonderful, moving film.";
        let once = all(|random| typo(text, random));
        assert!(once.len() > 30 && once.iter().all(|it| distance(it, text) <= 1), "{once:?}");
        let found = all(|random| typos(text, random));
        assert!(
            found.iter().any(|it| distance(it, text) == 2) && found.iter().any(|it| distance(it, text) == 1)
        );
        assert!(all(|random| typos("It is ok, 1234.", random)).is_empty());
        assert!(all(|random| typos("Ärger über Öl", random)).is_empty());
    }

    #[test]
    fn contractions_go_either_way_where_they_mean_one_thing() {
        let of = |text: &str| all(|random| contractions(text, random));
        assert_eq!(
            of("It is good, I don't mind."),
            HashSet::from(["It's good, I don't mind.", "It is good, I do not mind."].map(String::from))
        );
        assert_eq!(of("CANNOT wait"), HashSet::from(["Can't wait".to_owned()]));
        let spaced = of("you do n't , it 's .");
        let expected = ["you don't , it 's .", "you do not , it 's .", "you do n't , it's ."];
        assert_eq!(spaced, HashSet::from(expected.map(String::from)));
        for text in ["It's been long.", "This island", "he would've", ""] {
            assert!(of(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn marks_case_and_links() {
        let of = |text: &str| all(|random| punctuation(text, random));
        assert_eq!(of("Good, cheap."), HashSet::from(["Good, cheap", "Good cheap."].map(String::from)));
        assert_eq!(of("Good!"), HashSet::from(["Good!!".to_owned()]));
        assert_eq!(of("Good"), HashSet::from(["Good.", "Good ."].map(String::from)));
        assert!(of("").is_empty());
        assert_eq!(all(|random| case("Ärger", random)), HashSet::from(["ärger", "ÄRGER"].map(String::from)));
        let found = all(|random| Some(links("Good.", random)));
        assert!(
            found.len() > 60 && found.iter().all(|it| it.starts_with("Good. ") || it.ends_with(" Good."))
        );
    }
}
