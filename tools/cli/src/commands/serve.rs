//! `electra serve`.

use std::sync::Arc;

use electra::ClassifierOptions;

use crate::args::ServeArgs;
use crate::commands::classify::ROWS_TOGETHER;
use crate::failure::Failure;
use crate::serve::{
    Door, Figures, Limits, Listener, Loader, Mailbox, Pool, Protocol, Server, Service, Signals, Systemd,
};

pub(crate) fn run(args: &ServeArgs) -> Result<(), Failure> {
    if args.engine.pin {
        return Err(Failure::Usage("--pin is not supported by serve: a reload starts new threads".into()));
    }
    let signals = Signals::install().map_err(|error| Failure::run(format_args!("signals: {error}")))?;
    let systemd = Systemd::from_environment();
    let poll = mio::Poll::new().map_err(|error| Failure::run(format_args!("poll: {error}")))?;
    let protocol = match (args.json_requests, args.print.json) {
        (true, _) => Protocol::JsonRequests,
        (false, true) => Protocol::JsonAnswers,
        (false, false) => Protocol::Plain,
    };
    let (mailbox, figures) = (Arc::new(Mailbox::new(Server::waker(&poll)?)), Arc::<Figures>::default());
    let pool = Pool::start(loader(args)?, args.queue.get(), Arc::clone(&mailbox), Arc::clone(&figures))?;
    let limits = Limits {
        connections: args.connections.get(),
        line_bytes: args.line_bytes.get(),
        deadline: args.deadline,
        idle: Some(args.idle).filter(|idle| !idle.is_zero()),
    };
    let service = Arc::new(Service { pool, mailbox, figures, limits });
    let mut listeners = Vec::new();
    if let Some(path) = &args.socket {
        listeners.push(Listener::unix(path)?);
    }
    if let Some(address) = args.tcp {
        listeners.push(Listener::tcp(address)?);
    }
    let doors = doors(args, &service)?;
    Server::new(poll, listeners, doors, signals, systemd, service, protocol)?.run()
}

fn loader(args: &ServeArgs) -> Result<Loader, Failure> {
    let mut engine = args.engine.options();
    engine.max_sequences = if args.engine.arena_bytes.is_none() { Some(ROWS_TOGETHER) } else { None };
    Ok(Loader {
        model: args.engine.model.clone(),
        options: ClassifierOptions::new()
            .engine(engine)
            .truncate(args.long_texts.truncate)
            .without(args.without.without.clone()),
        workers: args.workers.count(&args.engine, 1)?,
        detectors: args.socket.is_none() && args.tcp.is_none(),
    })
}

/// Opens the doors beside the line protocol.
#[cfg(feature = "http")]
fn doors(args: &ServeArgs, service: &Arc<Service>) -> Result<Vec<Box<dyn Door>>, Failure> {
    use crate::serve::{Http, HttpOptions};
    let http = &args.http;
    let Some(address) = http.http else { return Ok(Vec::new()) };
    if !address.ip().is_loopback() && !http.allow_remote {
        return Err(Failure::Usage(format!(
            "--http: {} is not a loopback address; other machines can only be served with --allow-remote and \
             --token-file",
            address.ip()
        )));
    }
    let options = HttpOptions {
        address,
        token: http.token_file.as_deref().map(crate::serve::read_token).transpose()?,
        body_bytes: http.body_bytes.get(),
        texts: http.texts.get().min(service.pool.capacity),
        origin: http.cors_origin.clone(),
    };
    Ok(vec![Box::new(Http::open(options, Arc::clone(service))?)])
}

#[cfg(not(feature = "http"))]
fn doors(_: &ServeArgs, _: &Arc<Service>) -> Result<Vec<Box<dyn Door>>, Failure> {
    Ok(Vec::new())
}
