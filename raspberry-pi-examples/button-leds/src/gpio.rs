//! Uses the lines of a Raspberry Pi's header through the kernel's character device.

use std::path::Path;

use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{Chip, LineRequestFlags, chips};

use crate::args::Level;

/// Labels that the kernel gives the chips of the 40-pin header: on Zero 2 W and Pi 3, on Pi 4, and
/// on Pi 5. The numbers of the chips vary with the kernel, and there are other chips.
const HEADERS: [&str; 3] = ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"];

/// User of a line, as `gpioinfo` shows it.
const CONSUMER: &str = "button-leds";

/// Flags of version 1 of the kernel's interface (`GPIOHANDLE_REQUEST_BIAS_*`, Linux 5.5). gpio-cdev
/// does not define them.
const PULL_UP: LineRequestFlags = LineRequestFlags::from_bits_retain(1 << 5);
const PULL_DOWN: LineRequestFlags = LineRequestFlags::from_bits_retain(1 << 6);

/// An open GPIO chip.
pub struct Gpio {
    chip: Chip,
}

impl Gpio {
    /// Opens `device`, or the chip of the header if none is given.
    ///
    /// # Errors
    /// When it does not exist, cannot be opened, or is not a GPIO chip.
    pub fn open(device: Option<&Path>) -> Result<Self, String> {
        let chip = match device {
            Some(device) => Chip::new(device).map_err(|error| format!("{}: {error}", device.display()))?,
            None => header()?,
        };
        Ok(Self { chip })
    }

    /// Returns the device and the kernel's label of the chip.
    pub fn name(&self) -> String {
        format!("{} ({})", self.chip.path().display(), self.chip.label())
    }

    /// Requests the line of a button. A resistor pulls it to the level of the released button.
    ///
    /// # Errors
    /// When the chip does not have the line, or the line is in use.
    pub fn button(&mut self, line: u32, pressed: Level) -> Result<CdevPin, String> {
        let pull = match pressed {
            Level::Low => PULL_UP,
            Level::High => PULL_DOWN,
        };
        self.request("the button", line, LineRequestFlags::INPUT | pull)
    }

    /// Requests the line of an LED, switched off.
    ///
    /// # Errors
    /// As for [`Self::button`].
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
        // Checked before the request, whose error does not name the owner of the line.
        let info = line.info().map_err(failed)?;
        if info.is_kernel() {
            let owner = info.consumer().unwrap_or("the kernel");
            return Err(format!("{what} is in use by {owner:?}, expected a free one"));
        }
        let handle = line.request(flags, 0, CONSUMER).map_err(failed)?;
        CdevPin::new(handle).map_err(failed)
    }
}

/// Finds the chip of the 40-pin header by its label.
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
