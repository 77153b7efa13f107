//! Reads a button whose contacts bounce.

use embedded_hal::digital::InputPin;

use crate::args::Level;

/// Consecutive readings that must agree before the button counts as pressed or released. At one
/// reading per [`crate::session::POLL_MS`] they take 20 ms. The contacts of a push button rarely
/// bounce longer.
const AGREEING: u32 = 4;

/// Detects presses in the levels of a line that is read at equal intervals.
pub struct Button<P> {
    pin: P,
    pressed_level: Level,
    pressed: bool,
    /// Consecutive readings that contradict `pressed`.
    contradicting: u32,
}

impl<P: InputPin> Button<P> {
    /// Returns a button that counts as pressed until it is read as released. A button that is held
    /// at the start is therefore not a press.
    pub fn new(pin: P, pressed_level: Level) -> Self {
        Self { pin, pressed_level, pressed: true, contradicting: 0 }
    }

    /// Reads the line once. Returns whether a press begins.
    ///
    /// # Errors
    /// When the line cannot be read.
    pub fn poll(&mut self) -> Result<bool, P::Error> {
        let down = match self.pressed_level {
            Level::Low => self.pin.is_low()?,
            Level::High => self.pin.is_high()?,
        };
        if down == self.pressed {
            self.contradicting = 0;
            return Ok(false);
        }
        self.contradicting += 1;
        if self.contradicting < AGREEING {
            return Ok(false);
        }
        self.pressed = down;
        self.contradicting = 0;
        Ok(down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::fake::Input;

    /// Returns the readings, counted from 0, at which a press began; '#' is pressed, '.' is
    /// released.
    fn presses(readings: &str, pressed: Level) -> Vec<usize> {
        let high = |reading| (reading == '#') == (pressed == Level::High);
        let mut button = Button::new(Input::new(readings.chars().map(high)), pressed);
        (0..readings.len()).filter(|_| button.poll().expect("a reading")).collect()
    }

    #[test]
    fn a_press_begins_with_the_fourth_reading_that_agrees() {
        for level in [Level::Low, Level::High] {
            assert_eq!(presses(".....####....", level), [8]);
        }
    }

    #[test]
    fn bouncing_contacts_make_one_press() {
        assert_eq!(presses("....#.##.#..###.########.#.#..##.......####..", Level::Low), [19, 42]);
    }

    #[test]
    fn a_disturbance_is_no_press() {
        assert_eq!(presses("....###....#.#.#.#.#.##.##.###.", Level::Low), [0; 0]);
    }

    #[test]
    fn a_held_button_is_one_press() {
        assert_eq!(presses(&format!("....{}", "#".repeat(1000)), Level::Low), [7]);
    }

    #[test]
    fn held_from_before_it_is_none() {
        assert_eq!(presses("##########....####", Level::Low), [17]);
    }

    #[test]
    fn a_release_that_bounces_is_no_press() {
        assert_eq!(presses("....#####.##.#...", Level::Low), [7]);
    }
}
