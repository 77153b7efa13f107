//! The MQTT door: texts arrive on a topic, and answers are published on another one. rumqttc speaks
//! MQTT 5.0 with the broker.
//!
//! A text is acknowledged only after the broker has acknowledged its answer. If the connection or
//! this process is lost in between, the broker delivers the text again. A text of quality of
//! service 1 is therefore answered at least once.
//!
//! One thread runs this door and hands the texts to the workers.

mod answers;
mod broker;
mod deliveries;
mod discovery;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

pub(crate) use broker::{default_client_id, is_fed_back, read_password};

use super::mailbox::Guard;
use super::{Door, Service};
use crate::args::Broker;
use crate::failure::Failure;
use crate::workers::spawn;

/// Settings of the MQTT door.
pub(crate) struct MqttOptions {
    pub broker: Broker,
    pub password: Option<String>,
    /// Name under which the broker knows this service.
    pub client_id: String,
    /// Filter for the topics of texts.
    pub subscribe: String,
    /// Topic of the answers.
    pub publish: String,
    /// Whether the broker keeps the last answer.
    pub retain: bool,
    /// Whether texts are JSON objects with an id.
    pub json_requests: bool,
    /// Home Assistant's prefix for discovery, if a sensor is announced.
    pub home_assistant: Option<String>,
}

/// The open door. Its thread ends after [`Door::stop`], when all texts are answered.
pub(crate) struct Mqtt {
    name: String,
    stop: watch::Sender<bool>,
    closed: Arc<AtomicBool>,
}

/// State that the parts of this door share.
struct Context {
    service: Arc<Service>,
    options: MqttOptions,
    /// Whether the service is stopping.
    stop: watch::Receiver<bool>,
}

impl Mqtt {
    /// Starts the thread, which connects to the broker. It tries again while the broker cannot be
    /// reached.
    ///
    /// # Errors
    /// Fails if the system has no file descriptors or threads left.
    pub(crate) fn open(options: MqttOptions, service: Arc<Service>) -> Result<Self, Failure> {
        let name = format!("{}, topic {}", options.broker, options.subscribe);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|error| Failure::run(format_args!("{}: {error}", options.broker)))?;
        let (stop, stop_receiver) = watch::channel(false);
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = Arc::clone(&closed);
        spawn("mqtt", move || {
            let mailbox = Arc::clone(&service.mailbox);
            let _guard = Guard(&mailbox);
            let context = Context { service, options, stop: stop_receiver };
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, session::run(context));
            is_closed.store(true, Ordering::Release);
            mailbox.wake();
        })?;
        Ok(Self { name, stop, closed })
    }
}

impl Door for Mqtt {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn stop(&self) {
        // Also reaches a thread that subscribes later.
        self.stop.send_replace(true);
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl Context {
    /// Returns the topic that says whether the service is online.
    fn status_topic(&self) -> String {
        broker::status_topic(&self.options.publish)
    }

    /// Returns the largest number of texts in the queue of the workers. The other half of the queue
    /// is left to other doors.
    fn queued(&self) -> u16 {
        u16::try_from(self.service.pool.capacity / 2).unwrap_or(u16::MAX / 2).clamp(1, u16::MAX / 2)
    }
}
