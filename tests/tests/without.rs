//! Tests labels that are left out. The other scores must be the softmax of the other logits.
#![forbid(unsafe_code)]

use electra::{Classifier, ClassifierOptions, Engine, EngineKind, EngineOptions, Error, ModelFile};
use electra_tests::{Sizes, letters, model_file, pack};

fn model() -> ModelFile {
    let sizes = Sizes {
        vocab: 96,
        embedding: 16,
        hidden: 32,
        layers: 2,
        heads: 2,
        intermediate: 64,
        positions: 24,
        labels: Some(4),
    };
    model_file(&pack(&sizes.with_vocabulary(5, letters())))
}

fn classifier(file: &ModelFile, engine: EngineKind, without: &[&str]) -> Result<Classifier, Error> {
    let engine = EngineOptions::new().engine(engine);
    let options = ClassifierOptions::new().engine(engine).without(without.iter().copied());
    Classifier::new(file, &options)
}

#[test]
fn scores_are_the_softmax_of_the_other_logits() {
    let file = model();
    let names: Vec<&str> = file.model().labels().collect();
    for engine in EngineKind::ALL {
        let mut classifier = classifier(&file, *engine, &[names[1]]).unwrap();
        let kept: Vec<&str> = classifier.labels().iter().map(|label| &**label).collect();
        assert_eq!(kept, [names[0], names[2], names[3]]);
        let options = EngineOptions::new().engine(*engine);
        let mut alone = Engine::new(&file, &options).unwrap();
        for text in ["a", "b c", "d e f a b", ""] {
            let answer = classifier.classify(text).unwrap();
            let mut ids = [0; 24];
            let length = file.tokenizer().encode(text, &mut ids).unwrap().len;
            let logits = alone.run(&ids[..length]).unwrap();
            let exponentials = [0, 2, 3].map(|index: usize| f64::from(logits[index]).exp());
            let total: f64 = exponentials.iter().sum();
            for (entry, exponential) in answer.scores.iter().zip(exponentials) {
                assert!((f64::from(entry.score) - exponential / total).abs() < 1e-6, "{text}: {answer:?}");
            }
            assert_eq!((answer.score, answer.scores.len()), (answer.ranked()[0].score, 3));
        }
        // The scores also add up to one over several windows.
        let long = classifier.classify(&"a b c ".repeat(40)).unwrap();
        assert!(long.windows > 1 && (long.scores.iter().map(|it| it.score).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn two_labels_stay_and_others_are_refused() {
    let file = model();
    let names: Vec<&str> = file.model().labels().collect();
    let refused = |without: &[&str]| match classifier(&file, EngineKind::Direct, without) {
        Err(Error::Without { label, labels }) => (label, labels.len()),
        other => panic!("{:?}", other.map(|_| ())),
    };
    assert_eq!(refused(&["MIXED"]), ("MIXED".to_owned(), 4));
    assert_eq!(refused(&names[1..]), (names[3].to_owned(), 4));
    // A label that is named twice counts once.
    let two = classifier(&file, EngineKind::Direct, &[names[0], names[0], names[1]]).unwrap();
    assert_eq!(two.labels().len(), 2);
}
