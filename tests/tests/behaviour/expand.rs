//! Expands templates and words to cases, the same on every machine.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use electra_tests::Random;

use crate::data::{Kind, Section, Template, Words};
use crate::typo::{candidates, with_typos};

/// Cases per check.
pub const CASES: usize = 200;
/// Pairs with the same first text. A larger number takes less time and covers fewer texts.
const VARIANTS: usize = 2;
/// Fillings that are tried per case before the section is reported to have too few words.
const ATTEMPTS: usize = 50;
const SEED: u64 = 0xb0a7;

pub struct Check {
    pub name: String,
    pub cases: Cases,
}

pub enum Cases {
    Labelled(Vec<Labelled>),
    Pairs(Vec<Pair>),
}

pub struct Labelled {
    pub text: String,
    /// Correct labels.
    pub expected: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pair {
    pub original: String,
    pub changed: String,
}

/// Returns the checks of all sections.
pub fn checks(sections: &[Section], words: &Words) -> Vec<Check> {
    sections.iter().flat_map(|section| expand(section, words)).collect()
}

fn expand(section: &Section, words: &Words) -> Vec<Check> {
    let pairs = |name: &str, pairs| Check { name: name.to_owned(), cases: Cases::Pairs(pairs) };
    match &section.kind {
        Kind::Labelled => {
            vec![Check { name: section.name.clone(), cases: Cases::Labelled(labelled(section, words)) }]
        }
        Kind::Vary(lists) => lists.iter().map(|list| pairs(list, varied(section, words, list))).collect(),
        Kind::Insert => vec![pairs(&section.name, inserted(section, words))],
        Kind::Typos(spared) => [("one typo", 1), ("two typos", 2)]
            .into_iter()
            .flat_map(|(name, count)| {
                [
                    pairs(&format!("{name}, elsewhere"), misspelt(section, words, count, spared)),
                    pairs(&format!("{name}, in any word"), misspelt(section, words, count, &[])),
                ]
            })
            .collect(),
    }
}

fn labelled(section: &Section, words: &Words) -> Vec<Labelled> {
    let mut random = Random::new(SEED);
    let cases = collect(section, |template| {
        let text = Filling::new(words).fill(&template.text, &mut random);
        vec![(text.clone(), Labelled { text, expected: template.expected.clone() })]
    });
    cases.into_iter().map(|(_, case)| case).collect()
}

fn varied(section: &Section, words: &Words, list: &str) -> Vec<Pair> {
    let mut random = Random::new(SEED);
    let list = list_of(words, list);
    collect_pairs(section, |template| {
        let mut filling = Filling::new(words);
        let mut terms: Vec<&String> = list.iter().collect();
        let mut text = || {
            let term = terms.swap_remove(random.below(terms.len()));
            filling.chosen.insert("varied".to_owned(), term.clone());
            filling.fill(&template.text, &mut random)
        };
        let original = text();
        (0..VARIANTS).map(|_| Pair { original: original.clone(), changed: text() }).collect()
    })
}

fn inserted(section: &Section, words: &Words) -> Vec<Pair> {
    let mut random = Random::new(SEED);
    collect_pairs(section, |template| {
        let parts = template.text.split_once('[').and_then(|(before, rest)| {
            let (inside, after) = rest.split_once(']')?;
            Some((before, inside, after))
        });
        let (before, inside, after) =
            parts.unwrap_or_else(|| panic!("{:?}: expected a part in square brackets", template.text));
        let mut filling = Filling::new(words);
        let before = filling.fill(before, &mut random);
        let after = filling.fill(after, &mut random);
        let mut changed = || format!("{before}{}{after}", Filling::new(words).fill(inside, &mut random));
        (0..VARIANTS).map(|_| Pair { original: format!("{before}{after}"), changed: changed() }).collect()
    })
}

fn misspelt(section: &Section, words: &Words, count: usize, spared: &[String]) -> Vec<Pair> {
    // Originals and typos use separate generators, so all checks of the section have the same
    // originals.
    let (mut random, mut slips) = (Random::new(SEED), Random::new(SEED + 1));
    collect_pairs(section, |template| {
        let mut filling = Filling::new(words);
        let original = filling.fill(&template.text, &mut random);
        let is_spared = |range: &Range<usize>| {
            filling.places.iter().any(|(list, place)| {
                spared.contains(list) && place.start <= range.start && range.end <= place.end
            })
        };
        let mut open = candidates(&original);
        open.retain(|range| !is_spared(range));
        let changed = with_typos(&original, open, count, &mut slips);
        vec![Pair { original, changed }]
    })
}

fn collect_pairs(section: &Section, mut fill: impl FnMut(&Template) -> Vec<Pair>) -> Vec<Pair> {
    collect(section, |template| fill(template).into_iter().map(|pair| (pair.clone(), pair)).collect())
        .into_iter()
        .map(|(_, pair)| pair)
        .collect()
}

/// Returns [`CASES`] cases with different keys, from each template in turn.
///
/// # Panics
/// When the section has too few words for that many cases.
fn collect<K: Clone + Eq + std::hash::Hash, C>(
    section: &Section,
    mut fill: impl FnMut(&Template) -> Vec<(K, C)>,
) -> Vec<(K, C)> {
    let (mut seen, mut cases) = (HashSet::new(), Vec::new());
    for template in section.templates.iter().cycle().take(ATTEMPTS * CASES) {
        cases.extend(fill(template).into_iter().filter(|(key, _)| seen.insert(key.clone())));
        if cases.len() >= CASES {
            cases.truncate(CASES);
            return cases;
        }
    }
    panic!(
        "[{}] has {} different cases, expected {CASES}: add words or templates",
        section.name,
        cases.len()
    );
}

/// Words in the slots of a text.
struct Filling<'a> {
    words: &'a Words,
    /// Chosen words, by the name of the slot.
    chosen: BTreeMap<String, String>,
    /// Slots of the text that was filled last: their names and the byte ranges of their words.
    places: Vec<(String, Range<usize>)>,
}

impl<'a> Filling<'a> {
    fn new(words: &'a Words) -> Self {
        Self { words, chosen: BTreeMap::new(), places: Vec::new() }
    }

    /// Returns the text with a word in each slot: the word that the slot already has, or a random
    /// one.
    fn fill(&mut self, template: &str, random: &mut Random) -> String {
        let mut text = String::new();
        self.places.clear();
        let mut rest = template;
        while let Some((before, slot)) = rest.split_once('{') {
            let (name, after) =
                slot.split_once('}').unwrap_or_else(|| panic!("{template:?}: a slot is not closed"));
            text.push_str(before);
            let word = self.chosen.entry(name.to_owned()).or_insert_with(|| {
                let list = list_of(self.words, name);
                list[random.below(list.len())].clone()
            });
            let start = text.len();
            text.push_str(word);
            self.places.push((name.to_owned(), start..text.len()));
            rest = after;
        }
        text + rest
    }
}

fn list_of<'a>(words: &'a Words, name: &str) -> &'a [String] {
    words.get(name).unwrap_or_else(|| panic!("no list {name:?} in words.txt"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;

    fn all() -> Vec<Check> {
        checks(&data::sections(), &data::words())
    }

    fn pairs_of(name: &str) -> Vec<Pair> {
        match all().into_iter().find(|check| check.name == name).map(|check| check.cases) {
            Some(Cases::Pairs(pairs)) => pairs,
            _ => panic!("no pairs {name:?}"),
        }
    }

    /// Returns the words of each text between the common beginning and the common end.
    fn difference(pair: &Pair) -> (Vec<&str>, Vec<&str>) {
        let mut first: Vec<&str> = pair.original.split(' ').collect();
        let mut second: Vec<&str> = pair.changed.split(' ').collect();
        let same = first.iter().zip(&second).take_while(|(a, b)| a == b).count();
        first.drain(..same);
        second.drain(..same);
        while first.last().is_some_and(|word| second.last() == Some(word)) {
            first.pop();
            second.pop();
        }
        (first, second)
    }

    #[test]
    fn every_check_has_enough_different_cases_without_open_slots() {
        let mut names = HashSet::new();
        for check in all() {
            let texts: HashSet<String> = match &check.cases {
                Cases::Labelled(cases) => cases.iter().map(|case| case.text.clone()).collect(),
                Cases::Pairs(pairs) => {
                    pairs.iter().map(|pair| format!("{}\n{}", pair.original, pair.changed)).collect()
                }
            };
            assert!(texts.len() >= 200, "{}: {}", check.name, texts.len());
            let broken = texts.iter().find(|text| text.contains(['{', '}', '[', ']']) || text.contains("  "));
            assert_eq!(broken, None, "{}", check.name);
            assert!(names.insert(check.name), "two checks of one name");
        }
    }

    #[test]
    fn twice_is_the_same() {
        let texts = || -> Vec<String> {
            let of_check = |check: Check| match check.cases {
                Cases::Labelled(cases) => cases.into_iter().map(|case| case.text).collect::<Vec<_>>(),
                Cases::Pairs(pairs) => pairs.into_iter().map(|pair| pair.original + &pair.changed).collect(),
            };
            all().into_iter().flat_map(of_check).collect()
        };
        assert_eq!(texts(), texts());
    }

    #[test]
    fn exchanged_words_alone_differ() {
        let words = data::words();
        for list in
            ["religion", "nationality", "ethnicity", "sexuality", "gender", "names", "places", "numbers"]
        {
            // Two terms can share a word: "trans woman" and "trans man".
            let parts: HashSet<&str> = words[list].iter().flat_map(|term| term.split(' ')).collect();
            for pair in pairs_of(list) {
                let (first, second) = difference(&pair);
                let is_term =
                    |word: &&str| parts.contains(word.trim_end_matches(['.', ','])) && !word.is_empty();
                let shown = format!("{}\n{}", pair.original, pair.changed);
                assert!(first.iter().chain(&second).all(is_term), "{shown}");
                assert!(first.len().max(second.len()) <= 2 && pair.original != pair.changed, "{shown}");
            }
        }
    }

    #[test]
    fn pairs_differ_only_in_the_inserted_words() {
        let words = data::words();
        for (check, list) in [("place put in", "places"), ("URL put in", "link"), ("handle put in", "handle")]
        {
            for Pair { original, changed } in pairs_of(check) {
                let term = words[list].iter().find(|term| changed.contains(*term)).unwrap();
                let without = ["{} ", " in {}", "in {} ", " from {}", ": {}", " {}"].iter().any(|part| {
                    let part = part.replace("{}", term);
                    changed.replacen(&part, "", 1) == original
                });
                assert!(without, "{original}\n{changed}");
            }
        }
    }

    #[test]
    fn typos_are_one_slip_in_a_word() {
        let spared =
            ["praise", "blame", "liked", "disliked"].map(|list| data::words()[list].clone()).concat();
        for (count, name) in [(1, "one typo"), (2, "two typos")] {
            let mut hit = 0;
            for (place, is_elsewhere) in [("elsewhere", true), ("in any word", false)] {
                for Pair { original, changed } in pairs_of(&format!("{name}, {place}")) {
                    let words = original.split(' ').zip(changed.split(' '));
                    let slips: Vec<_> = words.filter(|(before, after)| before != after).collect();
                    assert_eq!(original.split(' ').count(), changed.split(' ').count());
                    assert_eq!(slips.len(), count, "{original}\n{changed}");
                    assert!(slips.iter().all(|(before, after)| is_slip(before, after)), "{slips:?}");
                    let bare = |word: &str| word.trim_end_matches(['.', ',']).to_owned();
                    let carries = slips.iter().any(|(before, _)| spared.contains(&bare(before)));
                    assert!(!(carries && is_elsewhere), "{original}\n{changed}");
                    hit += usize::from(carries);
                }
            }
            assert!(hit > 0, "{name}, in any word: none in a word of sentiment");
        }
    }

    /// Returns whether two adjacent letters were swapped, or one letter was inserted, deleted or
    /// replaced.
    fn is_slip(before: &str, after: &str) -> bool {
        let (before, after): (Vec<char>, Vec<char>) = (before.chars().collect(), after.chars().collect());
        let same = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
        let (before, after) = (&before[same..], &after[same..]);
        let tail = |list: &[char], from: usize| list.get(from..).map(<[char]>::to_vec);
        let is_swap = before.len() >= 2 && after.len() >= 2 && before[0] == after[1] && before[1] == after[0];
        (is_swap && tail(before, 2) == tail(after, 2))
            || tail(before, 1) == tail(after, 1)
            || tail(before, 1).as_deref() == Some(after)
            || tail(after, 1).as_deref() == Some(before)
    }
}
