//! `electra explain` finds the opinion in a sentence that is otherwise neutral.

mod common;

use common::{expect_code, run, stdout};
use serde_json::Value;

/// Neutral sentences with a place for a word, a positive word and a negative word.
const SENTENCES: &[(&str, &str, &str)] = &[
    ("The meeting in room four was {} and ended at noon.", "wonderful", "terrible"),
    ("We took the {} train from Bern to Basel.", "excellent", "awful"),
    ("The parcel with the {} lamp arrived on Tuesday.", "beautiful", "ugly"),
    ("She read the {} report on the second floor.", "brilliant", "pathetic"),
    ("The box contains a {} cable and two screws.", "superb", "useless"),
    ("He called the office about the {} printer.", "fantastic", "broken"),
    ("They served {} soup at the station on Monday.", "delicious", "disgusting"),
    ("The {} manual has forty pages and three tables.", "great", "horrible"),
    ("The road to the {} village passes a small lake.", "lovely", "dreadful"),
    ("Our neighbour bought a {} car in the spring.", "perfect", "worthless"),
    ("The {} film lasts two hours and ten minutes.", "amazing", "boring"),
    ("The class visited the {} museum in the afternoon.", "outstanding", "dismal"),
    ("The second chapter of the book is {} and short.", "delightful", "tedious"),
    ("A {} phone was lying on the table near the door.", "magnificent", "miserable"),
    ("The {} hotel is beside the church in the old town.", "marvelous", "filthy"),
    ("I put the {} jacket into the bag this morning.", "gorgeous", "hideous"),
    ("The city opened a {} bridge across the river.", "splendid", "ghastly"),
    ("The {} keyboard has a cable of two metres.", "terrific", "lousy"),
    ("The band played a {} song at the end of the day.", "beautiful", "annoying"),
    ("The team wrote a {} letter to the manager.", "charming", "nasty"),
    ("The garden behind the house is {} in October.", "wonderful", "terrible"),
    ("The {} waiter brought the bill at nine.", "excellent", "rude"),
    ("It was a {} lecture about bridges and tunnels.", "fascinating", "dull"),
    ("The clerk gave me a {} answer on Thursday.", "perfect", "stupid"),
];

/// The only sentence in which the shipped model finds another word: the planted one is the second.
const MISSED: [&str; 1] = ["The class visited the dismal museum in the afternoon."];

/// The shipped model finds 47 of the 48 words. Another model must find at least 90 % of them.
#[test]
fn the_planted_word_contributes_most() {
    let mut missed = Vec::new();
    let texts = SENTENCES.iter().flat_map(|(text, good, bad)| [(text, good), (text, bad)]);
    for (text, word) in texts {
        let text = text.replace("{}", word);
        let output = run(&["explain", "--json", &text]);
        expect_code(&output, 0);
        let answer: Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
        let parts = answer["parts"].as_array().expect("parts");
        let contribution = |part: &Value| part["contribution"].as_f64().expect("a number");
        let mut ranked: Vec<&Value> = parts.iter().collect();
        ranked.sort_by(|a, b| contribution(b).abs().total_cmp(&contribution(a).abs()));
        let is_planted = |part: &&Value| part["text"].as_str().is_some_and(|text| text.contains(word));
        let place = ranked.iter().position(is_planted).expect("the planted word is a part");
        assert!(place <= 1, "{text}: the planted word is only at place {}", place + 1);
        if place != 0 {
            missed.push(text);
        }
        let sum: f64 = parts.iter().map(contribution).sum();
        let difference =
            answer["score"].as_f64().expect("a number") - answer["empty_score"].as_f64().expect("a number");
        assert!((sum - difference).abs() < 1e-5, "{answer}");
    }
    assert_eq!(missed, MISSED, "the sentences whose planted word does not contribute most");
}
