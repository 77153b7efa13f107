//! Decides which cases failed.

use electra::Classification;

use crate::data::Limit;
use crate::expand::{Cases, Check, Labelled, Pair};

/// A pair counts as moved when a score differs by more than this.
const MOVE: f32 = 0.1;

/// Number of failed cases of a check.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Labelled { cases: usize, failed: usize },
    Pairs { cases: usize, flips: usize, moves: usize },
}

impl Outcome {
    /// Judges a check by the answers to its texts.
    pub fn of<'a>(check: &Check, answer: impl Fn(&str) -> &'a Classification) -> Self {
        match &check.cases {
            Cases::Labelled(cases) => {
                let is_wrong =
                    |case: &&Labelled| !case.expected.contains(&answer(&case.text).label.to_string());
                Self::Labelled { cases: cases.len(), failed: cases.iter().filter(is_wrong).count() }
            }
            Cases::Pairs(pairs) => {
                let count = |fails: fn(&Classification, &Classification) -> bool| {
                    let fails = |pair: &&Pair| fails(answer(&pair.original), answer(&pair.changed));
                    pairs.iter().filter(fails).count()
                };
                let flips = count(|a, b| a.label != b.label);
                Self::Pairs {
                    cases: pairs.len(),
                    flips,
                    moves: count(|a, b| greatest_difference(a, b) > MOVE),
                }
            }
        }
    }

    /// Returns whether every share is within its limit; false if the limit is of the other kind.
    pub fn is_within(&self, limit: Limit) -> bool {
        let holds = |count: usize, cases: usize, percent: usize| count * 100 <= percent * cases;
        match (self, limit) {
            (Self::Labelled { cases, failed }, Limit::Failed(most)) => holds(*failed, *cases, most),
            (Self::Pairs { cases, flips, moves }, Limit::Pairs { flips: most_flips, moves: most_moves }) => {
                holds(*flips, *cases, most_flips) && holds(*moves, *cases, most_moves)
            }
            _ => false,
        }
    }
}

fn greatest_difference(a: &Classification, b: &Classification) -> f32 {
    let scores = a.scores.iter().zip(&b.scores);
    scores.map(|(a, b)| (a.score - b.score).abs()).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use electra::LabelScore;

    use super::*;

    fn answer(scores: &[(&str, f32)]) -> Classification {
        let scores: Vec<_> =
            scores.iter().map(|&(label, score)| LabelScore { label: Arc::from(label), score }).collect();
        Classification::new(scores)
    }

    fn labelled(expected: &[&str]) -> Check {
        let expected = expected.iter().map(|&label| label.to_owned()).collect();
        let cases = Cases::Labelled(vec![Labelled { text: "a".to_owned(), expected }]);
        Check { name: "labels".to_owned(), cases }
    }

    #[test]
    fn neutral_is_an_answer_of_its_own() {
        let neutral = answer(&[("NEGATIVE", 0.2), ("NEUTRAL", 0.5), ("POSITIVE", 0.3)]);
        let failed = |expected: &[&str]| Outcome::of(&labelled(expected), |_| &neutral);
        assert_eq!(failed(&["NEGATIVE"]), Outcome::Labelled { cases: 1, failed: 1 });
        assert_eq!(failed(&["NEUTRAL"]), Outcome::Labelled { cases: 1, failed: 0 });
        assert_eq!(failed(&["POSITIVE", "NEUTRAL"]), Outcome::Labelled { cases: 1, failed: 0 });
        let positive = answer(&[("NEGATIVE", 0.4), ("POSITIVE", 0.6)]);
        let of_two = Outcome::of(&labelled(&["NEUTRAL"]), |_| &positive);
        assert_eq!(of_two, Outcome::Labelled { cases: 1, failed: 1 });
    }

    #[test]
    fn pairs_compare_all_scores() {
        let pair = Pair { original: "a".to_owned(), changed: "b".to_owned() };
        let check = Check { name: "pairs".to_owned(), cases: Cases::Pairs(vec![pair]) };
        let first = answer(&[("NEGATIVE", 0.1), ("NEUTRAL", 0.3), ("POSITIVE", 0.6)]);
        let outcome = |scores: [f32; 3]| {
            let [negative, neutral, positive] = scores;
            let second = answer(&[("NEGATIVE", negative), ("NEUTRAL", neutral), ("POSITIVE", positive)]);
            match Outcome::of(&check, |text| if text == "a" { &first } else { &second }) {
                Outcome::Pairs { cases: 1, flips, moves } => (flips, moves),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(outcome([0.15, 0.25, 0.6]), (0, 0));
        // The score of the label is unchanged.
        assert_eq!(outcome([0.25, 0.15, 0.6]), (0, 1));
        assert_eq!(outcome([0.1, 0.5, 0.4]), (1, 1));
    }

    #[test]
    fn limits_are_shares_in_percent() {
        let labels = Outcome::Labelled { cases: 200, failed: 21 };
        assert!(labels.is_within(Limit::Failed(11)) && !labels.is_within(Limit::Failed(10)));
        let pairs = Outcome::Pairs { cases: 200, flips: 4, moves: 10 };
        assert!(pairs.is_within(Limit::Pairs { flips: 2, moves: 5 }));
        assert!(!pairs.is_within(Limit::Pairs { flips: 1, moves: 5 }));
        assert!(
            !pairs.is_within(Limit::Pairs { flips: 2, moves: 4 }) && !pairs.is_within(Limit::Failed(100))
        );
    }
}
