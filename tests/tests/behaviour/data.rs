//! Reads the word lists, the templates and the limits. Errors in these files panic with the file
//! and the line.

use std::collections::BTreeMap;

/// Words by the name of their list.
pub type Words = BTreeMap<String, Vec<String>>;

/// Largest permitted share of failed cases, in percent, by check.
pub type Limits = BTreeMap<String, Limit>;

/// Templates of one kind.
pub struct Section {
    pub name: String,
    pub kind: Kind,
    pub templates: Vec<Template>,
}

/// The kind of a section's cases.
pub enum Kind {
    /// Texts with a label.
    Labelled,
    /// Pairs with different words for `{varied}`. Each of these lists makes one check.
    Vary(Vec<String>),
    /// Pairs of a text without and with the part in square brackets.
    Insert,
    /// Pairs with typos. The words of these lists carry the sentiment.
    Typos(Vec<String>),
}

pub struct Template {
    pub text: String,
    /// Correct labels; empty for pairs.
    pub expected: Vec<String>,
}

/// Largest permitted shares of a check's cases, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    Failed(usize),
    Pairs { flips: usize, moves: usize },
}

pub fn words() -> Words {
    parse_words("words.txt", include_str!("words.txt"))
}

pub fn sections() -> Vec<Section> {
    parse_sections("checks.txt", include_str!("checks.txt"))
}

pub fn limits() -> Limits {
    parse_limits("limits.txt", include_str!("limits.txt"))
}

fn parse_words(file: &str, text: &str) -> Words {
    let mut lists = Words::new();
    for (number, line) in lines(text) {
        let (name, words) = field(file, number, line);
        let list = lists.entry(name.to_owned()).or_default();
        for word in words.split('|').map(str::trim) {
            let is_new = !word.is_empty() && !list.iter().any(|other| other == word);
            assert!(is_new, "{file}:{number}: {word:?} is empty or stands twice in {name}");
            list.push(word.to_owned());
        }
    }
    lists
}

fn parse_sections(file: &str, text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut expected = Vec::new();
    for (number, line) in lines(text) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            // A template is never entirely in square brackets, because its first text would be
            // empty.
            sections.push(Section { name: name.to_owned(), kind: Kind::Labelled, templates: Vec::new() });
            expected = Vec::new();
            continue;
        }
        let section = sections.last_mut();
        let section = section.unwrap_or_else(|| panic!("{file}:{number}: expected [name] before {line:?}"));
        let names = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        match line.split_once(':') {
            Some(("expect", labels)) => expected = names(labels),
            Some(("vary", lists)) => section.kind = Kind::Vary(names(lists)),
            Some(("typos", lists)) => section.kind = Kind::Typos(names(lists)),
            _ if line == "insert" => section.kind = Kind::Insert,
            _ => {
                let is_labelled = matches!(section.kind, Kind::Labelled);
                assert!(
                    is_labelled != expected.is_empty(),
                    "{file}:{number}: expected `expect:`, or `vary:`, `insert` or `typos:`, before a template"
                );
                section.templates.push(Template { text: line.to_owned(), expected: expected.clone() });
            }
        }
    }
    sections
}

fn parse_limits(file: &str, text: &str) -> Limits {
    let mut limits = Limits::new();
    for (number, line) in lines(text) {
        let (name, percents) = field(file, number, line);
        let percents: Option<Vec<usize>> = percents.split_whitespace().map(|it| it.parse().ok()).collect();
        let limit = match percents.as_deref() {
            Some([failed]) => Limit::Failed(*failed),
            Some([flips, moves]) => Limit::Pairs { flips: *flips, moves: *moves },
            _ => panic!("{file}:{number}: found {line:?}, expected one or two whole percents after the name"),
        };
        assert!(limits.insert(name.to_owned(), limit).is_none(), "{file}:{number}: {name} stands twice");
    }
    limits
}

/// Returns the trimmed lines that are neither empty nor comments, numbered from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn field<'a>(file: &str, number: usize, line: &'a str) -> (&'a str, &'a str) {
    line.split_once(": ").unwrap_or_else(|| panic!("{file}:{number}: found {line:?}, expected `name: value`"))
}
