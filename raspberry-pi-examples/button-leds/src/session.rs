//! The main loop: waits for presses, classifies texts and shows the answers.

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{InputPin, OutputPin};

use crate::button::Button;
use crate::panel::Panel;

/// Milliseconds between two readings of the button.
pub const POLL_MS: u32 = 5;

/// Result of a press.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// Index of the text's label.
    Label(usize),
    /// The text has no label.
    Failed,
    /// There are no more texts.
    End,
}

/// A button, LEDs, and a delay.
pub struct Session<B, L, D> {
    button: Button<B>,
    panel: Panel<L>,
    delay: D,
}

impl<E, B, L, D> Session<B, L, D>
where
    B: InputPin<Error = E>,
    L: OutputPin<Error = E>,
    D: DelayNs,
{
    /// Returns a session that has not started.
    pub fn new(button: Button<B>, panel: Panel<L>, delay: D) -> Self {
        Self { button, panel, delay }
    }

    /// Calls `press` for each press of the button until it returns [`Outcome::End`] or `stop`
    /// returns true. Then all LEDs are switched off.
    ///
    /// The button is not read during `press`, so a press that ends in that time does not count.
    ///
    /// # Errors
    /// When a line cannot be read or set.
    pub fn run(&mut self, mut press: impl FnMut() -> Outcome, stop: impl Fn() -> bool) -> Result<(), E> {
        self.panel.dark()?;
        while !stop() {
            if self.button.poll()? {
                self.panel.busy()?;
                match press() {
                    Outcome::Label(index) => self.panel.label(index)?,
                    Outcome::Failed => self.panel.failed()?,
                    Outcome::End => break,
                }
            }
            self.panel.tick()?;
            self.delay.delay_ms(POLL_MS);
        }
        self.panel.dark()
    }
}

/// Pins without hardware.
#[cfg(test)]
pub mod fake {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::rc::Rc;

    use embedded_hal::digital::{Error, ErrorKind, ErrorType, InputPin, OutputPin};

    /// All readings of an [`Input`] were used.
    #[derive(Debug, PartialEq)]
    pub struct NoMoreReadings;

    impl Error for NoMoreReadings {
        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    /// A line with the given readings.
    pub struct Input(VecDeque<bool>);

    impl Input {
        pub fn new(highs: impl Iterator<Item = bool>) -> Self {
            Self(highs.collect())
        }
    }

    impl ErrorType for Input {
        type Error = NoMoreReadings;
    }

    impl InputPin for Input {
        fn is_high(&mut self) -> Result<bool, NoMoreReadings> {
            self.0.pop_front().ok_or(NoMoreReadings)
        }

        fn is_low(&mut self) -> Result<bool, NoMoreReadings> {
            self.is_high().map(|high| !high)
        }
    }

    /// A line that stores its level and appends its changes to a shared journal.
    #[derive(Clone, Default)]
    pub struct Output {
        name: char,
        high: Rc<Cell<bool>>,
        journal: Rc<RefCell<String>>,
    }

    impl Output {
        pub fn new(name: char, journal: &Rc<RefCell<String>>) -> Self {
            Self { name, high: Rc::default(), journal: journal.clone() }
        }

        pub fn high(&self) -> bool {
            self.high.get()
        }

        fn set(&mut self, high: bool) {
            if self.high.replace(high) != high {
                let sign = if high { '+' } else { '-' };
                self.journal.borrow_mut().extend([sign, self.name]);
            }
        }
    }

    impl ErrorType for Output {
        type Error = NoMoreReadings;
    }

    impl OutputPin for Output {
        fn set_low(&mut self) -> Result<(), NoMoreReadings> {
            self.set(false);
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), NoMoreReadings> {
            self.set(true);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::*;
    use crate::args::Level;
    use fake::{Input, NoMoreReadings, Output};

    /// Counts milliseconds instead of waiting.
    struct Clock(Rc<Cell<u32>>);

    impl DelayNs for Clock {
        fn delay_ns(&mut self, ns: u32) {
            self.0.set(self.0.get() + ns / 1_000_000);
        }
    }

    /// Runs a session. Returns the changes of the LEDs P, N and S for these `readings` of the
    /// button and `outcomes` of its presses, how the session ended, and after how many
    /// milliseconds.
    fn session(
        readings: &str,
        outcomes: &[Outcome],
        stop_after_ms: u32,
    ) -> (String, Result<(), NoMoreReadings>, u32) {
        let journal = Rc::new(RefCell::new(String::new()));
        let clock = Rc::new(Cell::new(0));
        let led = |name| Output::new(name, &journal);
        let button = Button::new(Input::new(readings.chars().map(|reading| reading == '.')), Level::Low);
        let panel = Panel::new(vec![Some(led('N')), Some(led('P'))], led('S'));
        let mut outcomes = outcomes.iter().copied();
        let press = || {
            journal.borrow_mut().push_str(" press:");
            outcomes.next().expect("no press but these")
        };
        let result =
            Session::new(button, panel, Clock(clock.clone())).run(press, || clock.get() >= stop_after_ms);
        (journal.take(), result, clock.get())
    }

    #[test]
    fn each_press_is_answered_and_the_end_is_dark() {
        let (journal, result, _) = session(
            "....####....####....####....####",
            &[Outcome::Label(1), Outcome::Label(0), Outcome::Label(0), Outcome::End],
            u32::MAX,
        );
        assert_eq!(journal, "+S press:+P-S-P+S press:+N-S-N+S press:+N-S-N+S press:-S");
        assert_eq!(result, Ok(()));
    }

    #[test]
    fn a_failed_text_blinks_and_the_next_press_goes_on() {
        let wait = ".".repeat(120);
        let (journal, ..) = session(
            &format!("....####{wait}####...."),
            &[Outcome::Failed, Outcome::Label(1)],
            (4 + 4 + 120 + 4) * POLL_MS,
        );
        // The status LED is lit while busy and blinks. The next press is handled as usual.
        assert_eq!(journal, "+S press:-S+S press:+P-S-P");
    }

    #[test]
    fn a_signal_ends_it_in_the_dark() {
        let (journal, result, ended) =
            session(&format!("....####{}", ".".repeat(100)), &[Outcome::Label(0)], 100);
        assert_eq!(journal, "+S press:+N-S-N");
        assert_eq!((result, ended), (Ok(()), 100));
    }

    #[test]
    fn a_line_that_fails_ends_it_with_its_error() {
        let (_, result, _) = session("....", &[], u32::MAX);
        assert_eq!(result, Err(NoMoreReadings));
    }
}
