//! The command line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::{Parser, ValueEnum};

/// Classifies the next text when a button is pressed, and lights the LED of its label.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    /// File with one text per line, used again from the start after the last one; '-' is standard
    /// input, read once
    pub texts: PathBuf,
    /// Model file
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/usr/share/electra/electra-small-sentiment/model.electra"
    )]
    pub model: PathBuf,
    /// GPIO chip [default: the one of the 40-pin header]
    #[arg(long, value_name = "DEVICE")]
    pub chip: Option<PathBuf>,
    /// GPIO number of the button
    #[arg(long, value_name = "GPIO", default_value_t = 17)]
    pub button: u32,
    /// Level of the button's line while the button is pressed; the Pi's pull-up or pull-down
    /// resistor provides the other level
    #[arg(long, value_enum, default_value_t = Level::Low)]
    pub pressed: Level,
    /// GPIO number of a label's LED, once per label
    #[arg(
        long = "led",
        value_name = "LABEL=GPIO",
        default_values = ["POSITIVE=27", "NEGATIVE=22"]
    )]
    pub leds: Vec<LabelPin>,
    /// GPIO number of the LED that is lit while the program is busy, and blinks after a text failed
    #[arg(long, value_name = "GPIO", default_value_t = 23)]
    pub status: u32,
}

/// Level of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// The button connects the line to ground.
    Low,
    /// The button connects the line to 3.3 V.
    High,
}

/// A label and the line of its LED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelPin {
    label: String,
    line: u32,
}

impl FromStr for LabelPin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A label may contain '='; a number does not.
        let (label, line) = text.rsplit_once('=').ok_or("expected LABEL=GPIO, such as POSITIVE=27")?;
        let line = line.parse().map_err(|_| format!("GPIO {line:?}, expected a number"))?;
        Ok(Self { label: label.to_string(), line })
    }
}

/// LEDs of the labels, checked.
pub struct Pins<'a>(&'a [LabelPin]);

impl Args {
    /// Returns the LEDs of the labels, after checking that no line and no label is used twice.
    ///
    /// # Errors
    /// Names the line or label that is used twice.
    pub fn pins(&self) -> Result<Pins<'_>, String> {
        let fixed = [(self.button, "the button".to_string()), (self.status, "the status LED".to_string())];
        let leds = self.leds.iter().map(|led| (led.line, format!("the LED of {}", led.label)));
        let uses: Vec<_> = fixed.into_iter().chain(leds).collect();
        for (index, (line, user)) in uses.iter().enumerate() {
            if let Some((_, other)) = uses[..index].iter().find(|(earlier, _)| earlier == line) {
                return Err(format!("GPIO {line} is for {other} and {user}, expected one of them"));
            }
        }
        for (index, led) in self.leds.iter().enumerate() {
            if self.leds[..index].iter().any(|earlier| earlier.label == led.label) {
                return Err(format!("--led: {} has two LEDs, expected one", led.label));
            }
        }
        Ok(Pins(&self.leds))
    }
}

impl Pins<'_> {
    /// Returns the line of a label's LED, or `None` if the label has no LED.
    pub fn of(&self, label: &str) -> Option<u32> {
        self.0.iter().find(|led| led.label == label).map(|led| led.line)
    }

    /// Checks that the model has each label with an LED. The LED of another label would never be
    /// lit.
    ///
    /// # Errors
    /// Names the first label that the model does not have.
    pub fn all_known(&self, labels: &[Arc<str>], model: &Path) -> Result<(), String> {
        match self.0.iter().find(|led| !labels.iter().any(|label| **label == led.label)) {
            None => Ok(()),
            Some(led) => Err(format!(
                "--led: label {:?}, expected one of {}: {}",
                led.label,
                model.display(),
                labels.join(", ")
            )),
        }
    }
}

impl fmt::Display for Pins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, led) in self.0.iter().enumerate() {
            write!(f, "{}{} {}", if index == 0 { "" } else { ", " }, led.label, led.line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        Args::try_parse_from(["button-leds", "texts.txt"].iter().chain(words)).expect("arguments")
    }

    fn refused(words: &[&str]) -> String {
        args(words).pins().err().expect("an error")
    }

    #[test]
    fn the_default_lines_have_one_use_each() {
        let args = args(&[]);
        let pins = args.pins().expect("pins");
        assert_eq!(pins.to_string(), "POSITIVE 27, NEGATIVE 22");
        assert_eq!((pins.of("POSITIVE"), pins.of("NEUTRAL")), (Some(27), None));
        assert_eq!(args.pressed, Level::Low);
    }

    #[test]
    fn a_line_with_two_uses_is_refused() {
        assert_eq!(
            refused(&["--status", "17"]),
            "GPIO 17 is for the button and the status LED, expected one of them"
        );
        assert_eq!(
            refused(&["--button", "22"]),
            "GPIO 22 is for the button and the LED of NEGATIVE, expected one of them"
        );
        assert_eq!(refused(&["--led", "A=5", "--led", "A=6"]), "--led: A has two LEDs, expected one");
    }

    #[test]
    fn an_led_of_a_label_that_the_model_lacks_is_refused() {
        let args = args(&["--led", "HAPPY=5"]);
        let labels = ["NEGATIVE".into(), "POSITIVE".into()];
        let pins = args.pins().expect("pins");
        assert_eq!(
            pins.all_known(&labels, Path::new("m.electra")).expect_err("refused"),
            "--led: label \"HAPPY\", expected one of m.electra: NEGATIVE, POSITIVE"
        );
    }

    #[test]
    fn an_led_is_a_label_and_a_number() {
        assert_eq!("a=b=5".parse(), Ok(LabelPin { label: "a=b".into(), line: 5 }));
        assert_eq!("a".parse::<LabelPin>(), Err("expected LABEL=GPIO, such as POSITIVE=27".into()));
        assert_eq!("a=x".parse::<LabelPin>(), Err("GPIO \"x\", expected a number".into()));
    }
}
