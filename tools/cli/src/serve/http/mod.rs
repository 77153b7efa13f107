//! The HTTP door: requests as in Hugging Face's Text Embeddings Inference (TEI) and its inference
//! API, and metrics for Prometheus. hyper reads and writes the messages.
//!
//! One thread serves all clients of this door and hands their texts to the workers.

mod access;
mod answers;
mod ask;
mod body;
mod budget;
mod clock;
mod connection;
mod fields;
mod metrics;
mod openapi;
mod problem;
mod requests;
mod routes;
mod server;

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

pub(crate) use access::read_token;

use super::mailbox::Guard;
use super::{Door, Service};
use crate::failure::Failure;
use crate::workers::spawn;

/// Settings of the HTTP door.
pub(crate) struct HttpOptions {
    pub address: SocketAddr,
    /// Secret that requests must contain.
    pub token: Option<String>,
    /// Longest body of a request in bytes.
    pub body_bytes: usize,
    /// Largest number of texts in a request.
    pub texts: usize,
    /// Origin of web pages that may read answers.
    pub origin: Option<String>,
}

/// The open door. Its thread ends after [`Door::stop`], when the last client has left.
pub(crate) struct Http {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    closed: Arc<AtomicBool>,
}

/// State that the handlers of requests share.
struct Context {
    service: Arc<Service>,
    options: HttpOptions,
    /// Memory for long answers.
    budget: budget::Budget,
    /// Whether the service is stopping.
    stop: watch::Receiver<bool>,
}

impl Http {
    /// Binds the address and starts the thread.
    ///
    /// # Errors
    /// Fails if the address is in use, or if the system has no file descriptors or threads left.
    pub(crate) fn open(options: HttpOptions, service: Arc<Service>) -> Result<Self, Failure> {
        let fail = |error| Failure::run(format_args!("--http {}: {error}", options.address));
        let listener = TcpListener::bind(options.address).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(fail)?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(fail)?
        };
        let (stop, stop_receiver) = watch::channel(false);
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = Arc::clone(&closed);
        spawn("http", move || {
            let mailbox = Arc::clone(&service.mailbox);
            let _guard = Guard(&mailbox);
            let budget = budget::Budget::new();
            let context = Rc::new(Context { service, options, budget, stop: stop_receiver });
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, server::run(listener, context));
            is_closed.store(true, Ordering::Release);
            mailbox.wake();
        })?;
        Ok(Self { address, stop, closed })
    }
}

impl Door for Http {
    fn name(&self) -> String {
        format!("http://{}", self.address)
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
    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }
}
