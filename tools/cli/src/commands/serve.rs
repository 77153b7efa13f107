//! `electra serve`.

use electra::ClassifierOptions;

use crate::args::ServeArgs;
use crate::commands::classify::ROWS_TOGETHER;
use crate::failure::Failure;
use crate::serve::{Limits, Listener, Loader, Pool, Protocol, Server, Signals, Systemd};

pub(crate) fn run(args: &ServeArgs) -> Result<(), Failure> {
    if args.engine.pin {
        return Err(Failure::Usage("--pin is not supported by serve: a reload starts new threads".into()));
    }
    let signals = Signals::install().map_err(|error| Failure::run(format_args!("signals: {error}")))?;
    let systemd = Systemd::from_environment();
    let mut engine = args.engine.options();
    engine.max_sequences = if args.engine.arena_bytes.is_none() { Some(ROWS_TOGETHER) } else { None };
    let loader = Loader {
        model: args.engine.model.clone(),
        options: ClassifierOptions::new()
            .engine(engine)
            .truncate(args.long_texts.truncate)
            .without(args.without.without.clone()),
        workers: args.workers.count(&args.engine, 1)?,
    };
    let poll = mio::Poll::new().map_err(|error| Failure::run(format_args!("poll: {error}")))?;
    let protocol = match (args.json_requests, args.print.json) {
        (true, _) => Protocol::JsonRequests,
        (false, true) => Protocol::JsonAnswers,
        (false, false) => Protocol::Plain,
    };
    let pool = Pool::start(loader, args.queue.get(), protocol, Server::waker(&poll)?)?;
    let mut listeners = Vec::new();
    if let Some(path) = &args.socket {
        listeners.push(Listener::unix(path)?);
    }
    if let Some(address) = args.tcp {
        listeners.push(Listener::tcp(address)?);
    }
    let limits = Limits {
        connections: args.connections.get(),
        line_bytes: args.line_bytes.get(),
        deadline: args.deadline,
        idle: Some(args.idle).filter(|idle| !idle.is_zero()),
    };
    Server::new(poll, listeners, signals, systemd, pool, limits, protocol)?.run()
}
