//! The lines of a Raspberry Pi's header, through the kernel's character device.

use std::path::Path;

use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{Chip, LineRequestFlags, chips};

use crate::args::Level;

/// What the kernel calls the chips of the 40-pin header: Zero 2 W and 3, 4, 5. Their numbers vary with the kernel, and
/// other chips lie beside them.
const HEADERS: [&str; 3] = ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"];

/// Who uses a line, as `gpioinfo` shows it.
const CONSUMER: &str = "button-leds";

/// Of the kernel's interface, version 1 (`GPIOHANDLE_REQUEST_BIAS_*`, Linux 5.5); gpio-cdev has no names for them.
const PULL_UP: LineRequestFlags = LineRequestFlags::from_bits_retain(1 << 5);
const PULL_DOWN: LineRequestFlags = LineRequestFlags::from_bits_retain(1 << 6);

/// An opened chip.
pub struct Gpio {
    chip: Chip,
}

impl Gpio {
    /// Opens a chip, the header's unless one is named.
    ///
    /// # Errors
    /// When it is not there or cannot be opened, or is no GPIO chip.
    pub fn open(device: Option<&Path>) -> Result<Self, String> {
        let chip = match device {
            Some(device) => Chip::new(device).map_err(|error| format!("{}: {error}", device.display()))?,
            None => header()?,
        };
        Ok(Self { chip })
    }

    /// The device and what the kernel calls the chip.
    pub fn name(&self) -> String {
        format!("{} ({})", self.chip.path().display(), self.chip.label())
    }

    /// The line of a button, pulled to the level that it has when the button is not pressed.
    ///
    /// # Errors
    /// When the chip has no such line or it is in use.
    pub fn button(&mut self, line: u32, pressed: Level) -> Result<CdevPin, String> {
        let pull = match pressed {
            Level::Low => PULL_UP,
            Level::High => PULL_DOWN,
        };
        self.request("the button", line, LineRequestFlags::INPUT | pull)
    }

    /// The line of an LED, dark.
    ///
    /// # Errors
    /// As for a button.
    pub fn led(&mut self, name: &str, line: u32) -> Result<CdevPin, String> {
        self.request(&format!("the LED {name}"), line, LineRequestFlags::OUTPUT)
    }

    fn request(&mut self, user: &str, offset: u32, flags: LineRequestFlags) -> Result<CdevPin, String> {
        let what = format!("{}: GPIO {offset} for {user}", self.name());
        let lines = self.chip.num_lines();
        if offset >= lines {
            return Err(format!("{what}, expected 0 to {}", lines.saturating_sub(1)));
        }
        let failed = |error| format!("{what}: {error}");
        let line = self.chip.get_line(offset).map_err(failed)?;
        // Asked before: the error of a request does not say who has the line.
        let info = line.info().map_err(failed)?;
        if info.is_kernel() {
            let owner = info.consumer().unwrap_or("the kernel");
            return Err(format!("{what} is in use by {owner:?}, expected a free one"));
        }
        let handle = line.request(flags, 0, CONSUMER).map_err(failed)?;
        CdevPin::new(handle).map_err(failed)
    }
}

/// The chip of the 40-pin header, which is known by its label.
fn header() -> Result<Chip, String> {
    let mut found = Vec::new();
    for chip in chips().map_err(|error| format!("/dev: {error}"))? {
        let chip = chip.map_err(|error| format!("a GPIO chip in /dev: {error}"))?;
        if HEADERS.contains(&chip.label()) {
            return Ok(chip);
        }
        found.push(format!("{} ({})", chip.path().display(), chip.label()));
    }
    found.sort();
    let found = if found.is_empty() { "none".to_string() } else { found.join(", ") };
    Err(format!(
        "GPIO chips in /dev: {found}; expected one of {}, as on a Raspberry Pi; --chip names another",
        HEADERS.join(", ")
    ))
}
