//! The course of the door: from texts that arrive to answers that are acknowledged.

use std::future::pending;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::resume_unwind;
use std::time::Instant;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Filter, Packet, PubAck, PubAckReason, Publish, PublishProperties, RetainForwardRule, SubAck,
    SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, Event};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{Duration, sleep_until};

use super::answers::{self, Echo};
use super::broker::{self, Change, OFFLINE, ONLINE};
use super::deliveries::{Deliveries, DeliveryLimits, Receipt, Source};
use super::{Context, discovery};
use crate::output::one_line;
use crate::serve::log;
use crate::serve::pool::{Job, Reply, Ticket};
use crate::serve::protocol::Refusal;

/// Pause before a text is offered to the workers again if their queue was full.
const QUEUE_PAUSE: Duration = Duration::from_millis(50);
/// Texts in progress. The broker should send far fewer before it waits for an acknowledgement.
const TEXTS: usize = 1024;
/// Bytes of these texts together, if the longest text is not longer.
const TEXT_BYTES: usize = 1 << 20;
/// Events of the connection that may wait.
const WAITING_CHANGES: usize = 16;
/// Requests to the connection in addition to answers and acknowledgements.
const OTHER_REQUESTS: usize = 16;

/// Runs the door until the service is stopped and all texts are answered.
pub(super) async fn run(context: Context) {
    let requests = 2 * TEXTS + OTHER_REQUESTS;
    let limits = DeliveryLimits { texts: TEXTS, bytes: TEXT_BYTES.max(context.service.limits.line_bytes) };
    let (client, connection) = AsyncClient::new(broker::options(&context), requests);
    let (change_sender, mut changes) = mpsc::channel(WAITING_CHANGES);
    let (permit, permissions) = mpsc::channel(1);
    let task = spawn_local(broker::keep_connection(connection, change_sender, permissions));
    let (answer_sender, mut answers) = mpsc::unbounded_channel();
    let mut stop = context.stop.clone();
    let mut session = Session {
        client,
        permit,
        answers: answer_sender,
        deliveries: Deliveries::new(limits),
        stage: Stage::Serving,
        is_connected: false,
        has_missed: false,
        last_failure: None,
        context,
    };
    while session.stage != Stage::Gone {
        let due = session.due();
        let timer = async {
            match due {
                Some(due) => sleep_until(due.into()).await,
                None => pending().await,
            }
        };
        let is_serving = session.stage == Stage::Serving;
        tokio::select! {
            change = changes.recv() => match change {
                Some(change) => session.note(change),
                None => break,
            },
            Some((number, outcome)) = answers.recv() => session.answer(number, outcome),
            _ = stop.wait_for(|is_stopping| *is_stopping), if is_serving => session.stage = Stage::Draining,
            () = timer => {}
        }
        session.advance(Instant::now());
    }
    task.abort();
    if let Err(error) = task.await
        && error.is_panic()
    {
        resume_unwind(error.into_panic());
    }
}

/// Answers of workers with the number of their text.
type Answers = mpsc::UnboundedSender<(u64, Result<String, Refusal>)>;

struct Session {
    context: Context,
    client: AsyncClient,
    /// Permits the task of the connection to connect again.
    permit: mpsc::Sender<()>,
    answers: Answers,
    deliveries: Deliveries<Asked>,
    stage: Stage,
    is_connected: bool,
    /// Whether there was no room for a text. The broker sends it again with a new connection.
    has_missed: bool,
    /// Reason of the last failure, so that the log names each reason once.
    last_failure: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Stage {
    Serving,
    /// The texts that have arrived are answered; further ones are left to the broker.
    Draining,
    /// The broker was told that this service is offline.
    Farewell,
    /// The end of the connection was requested.
    Leaving,
    Gone,
}

/// A text that has no answer yet.
struct Asked {
    /// When the text arrived.
    since: Instant,
    echo: Echo,
    /// The text, until the queue has room for it.
    text: Option<String>,
    /// The job and its deadline, from then on.
    job: Option<(Ticket, Instant)>,
}

impl Session {
    fn note(&mut self, change: Change) {
        match change {
            Change::Lost(reason) => self.note_loss(reason),
            Change::Event(event) => match *event {
                Event::Incoming(Packet::ConnAck(connack)) => self.connect(&connack),
                Event::Incoming(Packet::SubAck(answer)) => self.check_subscription(&answer),
                Event::Incoming(Packet::Publish(publish)) => self.receive(publish),
                Event::Incoming(Packet::PubAck(ack)) => self.acknowledged(&ack),
                Event::Outgoing(Outgoing::Publish(packet)) => self.deliveries.sent(packet),
                Event::Outgoing(Outgoing::PubAck(packet)) => self.deliveries.acknowledgement_sent(packet),
                Event::Outgoing(Outgoing::Disconnect) if self.stage == Stage::Leaving => {
                    self.stage = Stage::Gone;
                }
                Event::Incoming(_) | Event::Outgoing(_) => {}
            },
        }
    }

    /// Logs why there is no connection. Further attempts that fail for the same reason are not
    /// logged.
    fn note_loss(&mut self, reason: String) {
        self.is_connected = false;
        if self.last_failure.as_ref() != Some(&reason) && self.stage == Stage::Serving {
            log(format_args!("{}: {reason}; trying again", self.context.options.broker));
            self.last_failure = Some(reason);
        }
        // The task has room for one permission and takes it before it reports the next loss.
        let _ = self.permit.try_send(());
    }

    fn connect(&mut self, connack: &ConnAck) {
        self.is_connected = true;
        self.has_missed = false;
        self.last_failure = None;
        self.context.service.figures.mqtt.connect();
        self.deliveries.connect(connack.session_present);
        let options = &self.context.options;
        log(format_args!("{}: connected as {}", options.broker, one_line(&options.client_id)));
        if self.stage != Stage::Serving {
            return;
        }
        // A session that the broker still knows may have been made with other options.
        let mut filter = Filter::new(&*options.subscribe, QoS::AtLeastOnce);
        // A text that the broker keeps is answered once, not with each connection.
        filter.retain_forward_rule = RetainForwardRule::OnNewSubscribe;
        drop(self.client.try_subscribe_many([filter]));
        if let Some((topic, message)) = discovery::message(&self.context) {
            self.publish_note(topic, message);
        }
        self.publish_note(self.context.status_topic(), ONLINE.to_owned());
    }

    /// Publishes a message that the broker keeps.
    fn publish_note(&mut self, topic: String, message: String) {
        if self.client.try_publish(topic, QoS::AtLeastOnce, true, message).is_ok() {
            self.deliveries.hand_note();
        }
    }

    fn check_subscription(&self, answer: &SubAck) {
        for code in &answer.return_codes {
            if !matches!(code, SubscribeReasonCode::Success(_)) {
                let options = &self.context.options;
                log(format_args!(
                    "{}: the broker refuses topic {}: {code:?}",
                    options.broker, options.subscribe
                ));
            }
        }
    }

    /// Begins to answer a text. While the service is stopping, the broker keeps it for the next
    /// start.
    fn receive(&mut self, publish: Publish) {
        if self.stage != Stage::Serving {
            return;
        }
        let Publish { qos, topic, pkid, payload, .. } = publish;
        let is_acknowledged = qos != QoS::AtMostOnce;
        let source = is_acknowledged.then(|| Source { packet: pkid, content: checksum(&topic, &payload) });
        let options = &self.context.options;
        let has_wildcard = options.subscribe.contains(['+', '#']);
        let topic = has_wildcard.then(|| String::from_utf8_lossy(&topic).into_owned());
        let most_bytes = self.context.service.limits.line_bytes;
        let request = || answers::request(&payload, most_bytes, options.json_requests);
        let mut refusal = None;
        let receipt = self.deliveries.receive(payload.len(), source, || {
            let (id, text) = match request() {
                Ok(request) => (request.id, Some(request.text)),
                Err((id, problem)) => {
                    refusal = Some(problem);
                    (id, None)
                }
            };
            let echo = Echo { id: options.json_requests.then_some(id), topic };
            Asked { since: Instant::now(), echo, text, job: None }
        });
        match (receipt, refusal) {
            (Receipt::New(number), Some(refusal)) => self.answer(number, Err(refusal)),
            (Receipt::New(_) | Receipt::Known, _) => {}
            (Receipt::Full, _) if is_acknowledged => self.has_missed = true,
            (Receipt::Full, _) => {
                let waiting = self.context.service.pool.capacity;
                self.context.service.figures.mqtt.refuse(Refusal::Busy { waiting }.kind());
            }
        }
    }

    /// Notes the answer to a text, or the reason why there is none.
    fn answer(&mut self, number: u64, outcome: Result<String, Refusal>) {
        let Some((_, asked)) = self.deliveries.asked().find(|(asked, _)| *asked == number) else { return };
        let figures = &self.context.service.figures.mqtt;
        let message = match outcome {
            Ok(message) => {
                figures.answer(asked.since.elapsed());
                message
            }
            Err(refusal) => {
                figures.refuse(refusal.kind());
                answers::refuse(&asked.echo, &refusal)
            }
        };
        self.deliveries.answer(number, message.into());
    }

    fn acknowledged(&mut self, ack: &PubAck) {
        if !matches!(ack.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers) {
            let options = &self.context.options;
            log(format_args!(
                "{}: the broker refuses a message on {}: {:?}",
                options.broker, options.publish, ack.reason
            ));
        }
        self.deliveries.acknowledged(ack.pkid);
    }

    /// Does what can be done without waiting.
    fn advance(&mut self, now: Instant) {
        self.submit(now);
        self.expire(now);
        if self.is_connected {
            self.hand_over();
        }
        if self.has_missed && self.is_connected && self.deliveries.is_empty() {
            let broker = &self.context.options.broker;
            log(format_args!("{broker}: connecting again for texts for which there was no room"));
            self.has_missed = self.client.try_disconnect().is_err();
        }
        self.end();
    }

    /// Hands texts to the workers, as long as their queue has room.
    fn submit(&mut self, now: Instant) {
        let pool = &self.context.service.pool;
        let mut room = usize::from(self.context.queued());
        for (number, asked) in self.deliveries.asked() {
            let Some(left) = room.checked_sub(1) else { return };
            room = left;
            let Some(text) = asked.text.clone() else { continue };
            let (ticket, answers, echo) = (pool.ticket(), self.answers.clone(), asked.echo.clone());
            let reply = Reply::Labels(Box::new(move |text, answer| {
                let outcome = answer.map(|answer| answers::answer(&echo, text, &answer));
                drop(answers.send((number, outcome)));
            }));
            if pool.submit([Job { ticket, text, truncate: None, reply }].into_iter()).is_err() {
                return;
            }
            asked.text = None;
            asked.job = Some((ticket, now + self.context.service.limits.deadline));
        }
    }

    /// Refuses texts whose deadline has passed.
    fn expire(&mut self, now: Instant) {
        let jobs = self.deliveries.asked().filter_map(|(number, asked)| Some((number, asked.job?)));
        let late: Vec<_> = jobs.filter(|(_, (_, deadline))| *deadline <= now).collect();
        let seconds = self.context.service.limits.deadline.as_secs_f64();
        for (number, (ticket, _)) in late {
            self.context.service.pool.withdraw(ticket);
            self.answer(number, Err(Refusal::Deadline { seconds }));
        }
    }

    /// Returns the time of the next text that expires or can be offered to the workers again.
    fn due(&mut self) -> Option<Instant> {
        let later = Instant::now() + QUEUE_PAUSE;
        self.deliveries.asked().map(|(_, asked)| asked.job.map_or(later, |(_, deadline)| deadline)).min()
    }

    /// Hands answers and acknowledgements to the connection. If its queue is full, the rest follows
    /// with the next event. The connection reports an event for each message that it sends.
    fn hand_over(&mut self) {
        let options = &self.context.options;
        while let Some((number, message)) = self.deliveries.unsent() {
            let properties = PublishProperties {
                payload_format_indicator: Some(1),
                content_type: Some("application/json".to_owned()),
                ..PublishProperties::default()
            };
            let (topic, qos, retain) = (&*options.publish, QoS::AtLeastOnce, options.retain);
            if self.client.try_publish_with_properties(topic, qos, retain, message, properties).is_err() {
                return;
            }
            self.deliveries.hand_answer(number);
        }
        while let Some(packet) = self.deliveries.unacknowledged() {
            let publish = Publish { qos: QoS::AtLeastOnce, pkid: packet, ..Publish::default() };
            if self.client.try_ack(&publish).is_err() {
                return;
            }
            self.deliveries.hand_acknowledgement(packet);
        }
    }

    /// Goes through the stages of the end. The broker keeps what was not acknowledged.
    fn end(&mut self) {
        if self.stage == Stage::Serving {
            return;
        }
        if !self.is_connected {
            self.stage = Stage::Gone;
        }
        if self.stage == Stage::Draining && self.deliveries.is_empty() {
            self.publish_note(self.context.status_topic(), OFFLINE.to_owned());
            self.stage = Stage::Farewell;
        } else if self.stage == Stage::Farewell && self.deliveries.is_empty() {
            self.stage = if self.client.try_disconnect().is_ok() { Stage::Leaving } else { Stage::Gone };
        }
    }
}

/// Returns a checksum of a message. It is only compared with others of this process.
fn checksum(topic: &[u8], payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (topic, payload).hash(&mut hasher);
    hasher.finish()
}
