//! Classifies a text when a button is pressed, and shows the label with LEDs. Uses the GPIO lines
//! of a Raspberry Pi through `linux-embedded-hal`.
#![forbid(unsafe_code)]

mod args;
mod button;
mod gpio;
mod panel;
mod session;
mod texts;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use electra::{Classifier, ClassifierOptions, ModelFile};
use linux_embedded_hal::Delay;
use signal_hook::consts::{SIGINT, SIGTERM};

use args::Args;
use button::Button;
use gpio::Gpio;
use panel::Panel;
use session::{Outcome, Session};
use texts::{Next, Texts};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("button-leds: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let pins = args.pins()?;
    let mut texts = Texts::open(&args.texts)?;
    let mut gpio = Gpio::open(args.chip.as_deref())?;
    // The status LED is switched on before the model is opened, to show that the program is
    // starting.
    let mut status = gpio.led("status", args.status)?;
    panel::light(&mut status, true).map_err(|error| format!("status LED: {error}"))?;

    let file = ModelFile::open(&args.model).map_err(|error| error.to_string())?;
    let mut classifier =
        Classifier::new(&file, &ClassifierOptions::default()).map_err(|error| error.to_string())?;
    let leds = classifier
        .labels()
        .iter()
        .map(|label| pins.of(label).map(|line| gpio.led(label, line)).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    pins.all_known(classifier.labels(), &args.model)?;
    let button = Button::new(gpio.button(args.button, args.pressed)?, args.pressed);

    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|error| format!("signals: {error}"))?;
    }

    println!(
        "ready: {}, button {}, {pins}, status {}; kernels {}, arena {} bytes; {texts}",
        gpio.name(),
        args.button,
        args.status,
        classifier.engine().kernels().name(),
        classifier.engine().arena_bytes(),
    );
    let press = || match texts.next() {
        Next::Text(text) => match classifier.classify(&text) {
            Ok(answer) => {
                println!("[{}] {text} (Score: {:.4})", answer.label, answer.score);
                let index = classifier.labels().iter().position(|label| *label == answer.label);
                index.map_or(Outcome::Failed, Outcome::Label)
            }
            Err(error) => failed(&error.to_string()),
        },
        Next::Failed(message) => failed(&message),
        Next::End => Outcome::End,
    };
    Session::new(button, Panel::new(leds, status), Delay)
        .run(press, || stop.load(Ordering::Relaxed))
        .map_err(|error| format!("{}: {error}", gpio.name()))
}

/// Prints why there is no label.
fn failed(message: &str) -> Outcome {
    eprintln!("button-leds: {message}");
    Outcome::Failed
}
