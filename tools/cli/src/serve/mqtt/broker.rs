//! The connection to the broker: its settings, and a task that keeps it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::matches;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, DisconnectReasonCode, LastWill, Packet};
use rumqttc::v5::{ConnectionError, Event, EventLoop, MqttOptions, Request, StateError};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Context;
use crate::failure::Failure;
use crate::output::one_line;
use crate::serve::protocol::shortened;

/// Texts of the retained message on the topic of the status.
pub(super) const ONLINE: &str = "online";
pub(super) const OFFLINE: &str = "offline";

/// Time after which the broker treats a silent connection as lost.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Time for which the broker keeps texts for a service that is not connected, in seconds: a week.
const SESSION_SECONDS: u32 = 7 * 24 * 3600;
/// Bytes of a message in addition to its text: the topic and properties.
const ENVELOPE_BYTES: usize = 64 * 1024;
/// Pauses before the first and the following attempts to connect again. Each doubles the last one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

const SAME_NAME: &str =
    "another client may have the same name, so give each service its own --mqtt-client-id";

/// Change of the connection.
pub(super) enum Change {
    Event(Box<Event>),
    /// The connection is lost or could not be made, for this reason. The task waits for a
    /// permission to connect again.
    Lost(String),
}

/// Returns the settings of the connection.
pub(super) fn options(context: &Context) -> MqttOptions {
    let settings = &context.options;
    let limits = &context.service.limits;
    let mut options = MqttOptions::new(&*settings.client_id, &*settings.broker.host, settings.broker.port);
    let packet_bytes = limits.line_bytes.saturating_add(ENVELOPE_BYTES);
    options
        .set_keep_alive(KEEP_ALIVE)
        .set_clean_start(false)
        .set_manual_acks(true)
        .set_last_will(LastWill::new(context.status_topic(), OFFLINE, QoS::AtLeastOnce, true, None))
        .set_connect_properties(ConnectProperties {
            session_expiry_interval: Some(SESSION_SECONDS),
            // The broker holds back further texts. Some brokers send more after a new connection.
            receive_maximum: Some(context.queued()),
            // The broker drops longer messages.
            max_packet_size: Some(u32::try_from(packet_bytes).unwrap_or(u32::MAX)),
            ..ConnectProperties::new()
        })
        // Packet identifiers are not used again while an earlier answer waits for its
        // acknowledgement.
        .set_outgoing_inflight_upper_limit(context.queued().saturating_mul(2));
    if let Some(user) = &settings.broker.user {
        options.set_credentials(user, settings.password.as_deref().unwrap_or_default());
    }
    options
}

/// Keeps the connection and reports its changes. Ends when nobody listens any more.
///
/// After a loss the task waits for a message in `permissions`, so that the listener has stopped to
/// hand over requests for the old connection.
pub(super) async fn keep_connection(
    mut events: EventLoop,
    changes: mpsc::Sender<Change>,
    mut permissions: mpsc::Receiver<()>,
) {
    let mut pause = FIRST_PAUSE;
    let mut connected_at = None;
    // Connections in a row that ended soon.
    let mut short_connections = 0;
    loop {
        let change = match events.poll().await {
            Ok(event) => {
                if matches!(event, Event::Incoming(Packet::ConnAck(_))) {
                    connected_at = Some(Instant::now());
                }
                Change::Event(Box::new(event))
            }
            Err(error) => {
                if let Some(connected_at) = connected_at.take() {
                    let is_short = connected_at.elapsed() < LONGEST_PAUSE;
                    short_connections = if is_short { short_connections + 1 } else { 0 };
                    pause = if is_short { pause } else { FIRST_PAUSE };
                }
                Change::Lost(reason(&error, short_connections))
            }
        };
        let is_lost = matches!(change, Change::Lost(_));
        if changes.send(change).await.is_err() {
            return;
        }
        if is_lost {
            if permissions.recv().await.is_none() {
                return;
            }
            events.clean();
            // An answer whose packet identifier was in use gets another one.
            if let Some(mut publish) = events.state.collision.take() {
                publish.pkid = 0;
                events.pending.push_back(Request::Publish(publish));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Describes a failure after `short_connections` in a row that ended soon.
fn reason(error: &ConnectionError, short_connections: u32) -> String {
    let reason = match error {
        ConnectionError::Io(error) => error.to_string(),
        ConnectionError::Timeout(_) => "no answer from the broker".to_owned(),
        ConnectionError::ConnectionRefused(code) => format!("the broker refuses the connection: {code:?}"),
        // Brokers do not say that another client has taken over the session, or too late.
        ConnectionError::MqttState(_) if short_connections > 2 => {
            format!("{error}, {short_connections} times in a row; {SAME_NAME}")
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            "the broker has closed the connection".to_owned()
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => "no answer from the broker".to_owned(),
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code: DisconnectReasonCode::SessionTakenOver,
            ..
        }) => SAME_NAME.to_owned(),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            format!("the broker ends the connection: {reason_code:?}")
        }
        // May contain a packet of the broker.
        error => shortened(&error.to_string()),
    };
    one_line(&reason)
}

/// Returns the topic that says whether the service that publishes on a topic is online.
pub(super) fn status_topic(publish: &str) -> String {
    format!("{publish}/status")
}

/// Returns whether a service with these topics would receive its own answers.
pub(crate) fn is_fed_back(subscribe: &str, publish: &str) -> bool {
    // A shared subscription, as in $share/GROUP/FILTER (MQTT 5.0, section 4.8.2).
    let filter = match subscribe.strip_prefix("$share/") {
        Some(rest) => rest.split_once('/').map_or("", |(_, filter)| filter),
        None => subscribe,
    };
    matches(publish, filter) || matches(&status_topic(publish), filter)
}

/// Returns the name under which the broker knows this service if the user gives none.
pub(crate) fn default_client_id() -> String {
    let system = rustix::system::uname();
    format!("electra-{}", system.nodename().to_string_lossy())
}

/// Reads the password for a broker. A line ending after it is not part of it.
///
/// # Errors
/// Fails if the file cannot be read, is not UTF-8, or has several lines.
pub(crate) fn read_password(path: &Path) -> Result<String, Failure> {
    let fail = |problem: &str| {
        Failure::run(format_args!("{}: {problem}, expected one line with the password", path.display()))
    };
    let text = fs::read(path).map_err(|error| Failure::run(format_args!("{}: {error}", path.display())))?;
    let text = String::from_utf8(text).map_err(|_| fail("contains invalid UTF-8"))?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() || password.contains(['\n', '\0']) || password.len() > usize::from(u16::MAX) {
        return Err(fail("contains no password or several lines"));
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_would_be_texts_again_are_found() {
        for (subscribe, publish, is_loop) in [
            ("in/text", "out/sentiment", false),
            ("text", "text", true),
            ("#", "out/sentiment", true),
            ("+/text", "out/text", true),
            ("out/sentiment/+", "out/sentiment", true),
            ("$share/group/out/#", "out/sentiment", true),
            ("$share/group/in/text", "out/sentiment", false),
        ] {
            assert_eq!(is_fed_back(subscribe, publish), is_loop, "{subscribe} {publish}");
        }
    }
}
