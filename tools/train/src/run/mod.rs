//! Common parts of all long commands: settings, lock, display, log, curves, checkpoints.

mod context;
mod curves;
pub(crate) mod defaults;
mod joined;
mod keep;
mod lock;
mod log;
mod progress;
mod run_settings;
mod settings;
mod state;
mod training;
mod update_settings;

pub use context::RunContext;
pub use curves::draw_curves;
pub use joined::Joined;
pub use keep::Keep;
pub use lock::FolderLock;
pub use log::MetricsLog;
pub use progress::{Progress, Waiting};
pub use run_settings::RunSettings;
pub use settings::{MOST_STEPS, SAVED_SETTINGS, Settings, load_settings, read_settings, refuse_repeated};
pub use training::{Due, Evaluation, Loop, METRICS, Schedule, Sums, Training, has_checkpoint, refuse_ended};
pub use update_settings::UpdateSettings;
