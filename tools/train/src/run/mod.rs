//! Common parts of all long commands: settings, lock, display, log, curves, checkpoints.

mod curves;
mod lock;
mod log;
mod progress;
mod settings;
mod state;
mod together;

pub use curves::draw_curves;
pub use lock::FolderLock;
pub use log::MetricsLog;
pub use progress::{Progress, Waiting};
pub use settings::{MOST_STEPS, SAVED_SETTINGS, Settings, load_settings, read_settings, refuse_repeated};
pub use state::{check_weights, load_state, save_state};
pub use together::Together;
