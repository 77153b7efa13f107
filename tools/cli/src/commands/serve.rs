//! `electra serve`.

use std::sync::Arc;

use electra::ClassifierOptions;

use crate::args::ServeArgs;
use crate::commands::classify::ROWS_TOGETHER;
use crate::failure::Failure;
use crate::serve::{
    Door, Figures, Limits, Listener, Loader, Mailbox, Pool, Protocol, Server, Service, Signals, Systemd,
    start_scrub,
};
use crate::trust::RequiredKey;

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
    if let Some(round) = args.scrub {
        start_scrub(&service, round)?;
    }
    Server::new(poll, listeners, doors, signals, systemd, service, protocol)?.run()
}

fn loader(args: &ServeArgs) -> Result<Loader, Failure> {
    let mut engine = args.engine.options();
    engine.max_sequences = if args.engine.arena_bytes.is_none() { Some(ROWS_TOGETHER) } else { None };
    Ok(Loader {
        model: args.engine.model.clone(),
        options: args
            .answers
            .apply(ClassifierOptions::new().engine(engine).truncate(args.long_texts.truncate)),
        workers: args.workers.count(&args.engine, 1)?,
        key: RequiredKey::named(args.public_key.as_ref())?,
        allow_downgrade: args.allow_downgrade,
        detectors: only_http(args),
    })
}

/// Returns whether HTTP is the only door, and a model for replaced-token detection can be served.
fn only_http(args: &ServeArgs) -> bool {
    #[cfg(feature = "mqtt")]
    if args.mqtt.mqtt.is_some() {
        return false;
    }
    args.socket.is_none() && args.tcp.is_none()
}

/// Opens the doors beside the line protocol.
#[allow(unused_mut, unused_variables, reason = "both doors depend on features")]
fn doors(args: &ServeArgs, service: &Arc<Service>) -> Result<Vec<Box<dyn Door>>, Failure> {
    let mut doors: Vec<Box<dyn Door>> = Vec::new();
    #[cfg(feature = "http")]
    if let Some(address) = args.http.http {
        doors.push(Box::new(http(args, address, service)?));
    }
    #[cfg(feature = "mqtt")]
    if let Some(broker) = &args.mqtt.mqtt {
        doors.push(Box::new(mqtt(args, broker, service)?));
    }
    Ok(doors)
}

#[cfg(feature = "http")]
fn http(
    args: &ServeArgs,
    address: std::net::SocketAddr,
    service: &Arc<Service>,
) -> Result<crate::serve::Http, Failure> {
    use crate::serve::{Http, HttpOptions, read_token};
    let settings = &args.http;
    let permits_remote = args.allow_remote && settings.token_file.is_some();
    if !address.ip().is_loopback() && !permits_remote {
        return Err(Failure::Usage(format!(
            "--http: {} is not a loopback address; other machines can only be served with --allow-remote and \
             --token-file",
            address.ip()
        )));
    }
    let options = HttpOptions {
        address,
        token: settings.token_file.as_deref().map(read_token).transpose()?,
        body_bytes: settings.body_bytes.get(),
        texts: settings.texts.get().min(service.pool.capacity),
        origin: settings.cors_origin.clone(),
    };
    Http::open(options, Arc::clone(service))
}

#[cfg(feature = "mqtt")]
fn mqtt(
    args: &ServeArgs,
    broker: &crate::args::Broker,
    service: &Arc<Service>,
) -> Result<crate::serve::Mqtt, Failure> {
    use crate::serve::{Mqtt, MqttOptions, default_client_id, is_fed_back, read_password};
    let settings = &args.mqtt;
    // The command line requires both with --mqtt.
    let topic = |topic: &Option<String>| topic.clone().unwrap_or_default();
    let (subscribe, publish) = (topic(&settings.subscribe), topic(&settings.publish));
    if !broker.is_local() && !args.allow_remote {
        return Err(Failure::Usage(format!(
            "--mqtt: {} is not a loopback address; texts and the password would cross the network without \
             encryption, which only --allow-remote permits",
            broker.host
        )));
    }
    if is_fed_back(&subscribe, &publish) {
        return Err(Failure::Usage(format!(
            "--subscribe: {subscribe} found, which includes the topic of the answers {publish} or \
             {publish}/status; expected a topic without them"
        )));
    }
    if settings.mqtt_password_file.is_some() && broker.user.is_none() {
        return Err(Failure::Usage(
            "--mqtt: no user found for the password of --mqtt-password-file, expected an address such as \
             mqtt://user@127.0.0.1"
                .to_owned(),
        ));
    }
    let options = MqttOptions {
        broker: broker.clone(),
        password: settings.mqtt_password_file.as_deref().map(read_password).transpose()?,
        client_id: settings.mqtt_client_id.clone().unwrap_or_else(default_client_id),
        subscribe,
        publish,
        retain: settings.mqtt_retain,
        json_requests: args.json_requests,
        home_assistant: settings.home_assistant.clone(),
    };
    Mqtt::open(options, Arc::clone(service))
}
