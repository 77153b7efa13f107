//! The smallest program that classifies:
//! `cargo run --release -p electra --example classify -- "a text"`.

use electra::Classifier;

fn main() -> Result<(), electra::Error> {
    let mut classifier = Classifier::open_default()?;
    for text in std::env::args().skip(1) {
        let answer = classifier.classify(&text)?;
        println!("[{}] {text} (Score: {:.4})", answer.label, answer.score);
    }
    Ok(())
}
