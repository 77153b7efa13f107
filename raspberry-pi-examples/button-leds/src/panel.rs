//! The LEDs: one per label, and one for the state of the program.

use embedded_hal::digital::OutputPin;

/// Calls of [`Panel::tick`] between two changes of the blinking status LED: a quarter of a second.
const BLINK_TICKS: u32 = 50;

/// LEDs of the labels and of the status.
pub struct Panel<L> {
    /// LEDs in the order of the model's labels; `None` for a label without one.
    labels: Vec<Option<L>>,
    status: L,
    /// Ticks since a text failed; `None` if the last one did not fail.
    failed_for: Option<u32>,
}

impl<L: OutputPin> Panel<L> {
    /// Returns a panel. Does not switch its LEDs.
    pub fn new(labels: Vec<Option<L>>, status: L) -> Self {
        Self { labels, status, failed_for: None }
    }

    /// Switches all LEDs off: the program is ready, and no text was classified yet.
    pub fn dark(&mut self) -> Result<(), L::Error> {
        self.show(None, false)
    }

    /// Shows that a text is being classified.
    pub fn busy(&mut self) -> Result<(), L::Error> {
        self.show(None, true)
    }

    /// Shows the label of the last text, given by its index.
    pub fn label(&mut self, index: usize) -> Result<(), L::Error> {
        self.show(Some(index), false)
    }

    /// Shows that the last text has no label: [`Panel::tick`] makes the status LED blink.
    pub fn failed(&mut self) -> Result<(), L::Error> {
        self.show(None, true)?;
        self.failed_for = Some(0);
        Ok(())
    }

    /// Advances the time by one interval of the session.
    pub fn tick(&mut self) -> Result<(), L::Error> {
        let Some(ticks) = &mut self.failed_for else { return Ok(()) };
        *ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(BLINK_TICKS) {
            let lit = (*ticks / BLINK_TICKS).is_multiple_of(2);
            light(&mut self.status, lit)?;
        }
        Ok(())
    }

    fn show(&mut self, label: Option<usize>, status: bool) -> Result<(), L::Error> {
        self.failed_for = None;
        for (index, led) in self.labels.iter_mut().enumerate() {
            if let Some(led) = led {
                light(led, label == Some(index))?;
            }
        }
        light(&mut self.status, status)
    }
}

/// Switches an LED between a line and ground on or off.
pub fn light<L: OutputPin>(led: &mut L, lit: bool) -> Result<(), L::Error> {
    led.set_state(lit.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::fake::Output;

    /// Returns the levels of the LEDs of two labels and of the status LED.
    fn levels(panel: &Panel<Output>) -> [bool; 3] {
        let label = |index: usize| panel.labels[index].as_ref().expect("an LED").high();
        [label(0), label(1), panel.status.high()]
    }

    fn panel() -> Panel<Output> {
        Panel::new(vec![Some(Output::default()), Some(Output::default())], Output::default())
    }

    #[test]
    fn one_state_at_a_time() {
        let mut panel = panel();
        panel.busy().expect("busy");
        assert_eq!(levels(&panel), [false, false, true]);
        panel.label(1).expect("label");
        assert_eq!(levels(&panel), [false, true, false]);
        panel.label(0).expect("label");
        assert_eq!(levels(&panel), [true, false, false]);
        panel.dark().expect("dark");
        assert_eq!(levels(&panel), [false, false, false]);
    }

    #[test]
    fn a_failure_blinks_until_the_next_press() {
        let mut panel = panel();
        panel.failed().expect("failed");
        let mut changes = Vec::new();
        let mut lit = true;
        for tick in 1..=4 * BLINK_TICKS {
            panel.tick().expect("tick");
            let [_, _, now] = levels(&panel);
            if now != lit {
                changes.push(tick);
                lit = now;
            }
        }
        assert_eq!(changes, [1, 2, 3, 4].map(|n| n * BLINK_TICKS));
        panel.label(0).expect("label");
        (0..4 * BLINK_TICKS).for_each(|_| panel.tick().expect("tick"));
        assert_eq!(levels(&panel), [true, false, false]);
    }

    #[test]
    fn a_label_without_an_led_is_dark() {
        let mut panel = Panel::new(vec![None, Some(Output::default())], Output::default());
        panel.label(0).expect("label");
        assert!(!panel.labels[1].as_ref().expect("an LED").high() && !panel.status.high());
    }
}
