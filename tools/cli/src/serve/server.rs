//! The thread that serves the clients of the line protocol and controls the service.

mod clients;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};

use super::connection::{Connection, Line, Pending};
use super::half_closed::HalfClosed;
use super::listener::{Listener, Stream};
use super::mailbox::Report;
use super::pool::{Job, Reply, Ticket};
use super::protocol::{Id, Protocol, Refusal, Request};
use super::{Door, LAST_CLOSING_TIME, LAST_ROUNDS, Service, Signals, Systemd, log};
use crate::failure::Failure;

const WAKER: Token = Token(0);
const SIGNALS: Token = Token(1);
const FIRST_LISTENER: usize = 2;
const FIRST_CONNECTION: usize = 16;
const FIRST_HALF_CLOSED: usize = usize::MAX / 2;

/// Largest number of events per poll. If a poll returns this many, there may be more.
const EVENTS: usize = 256;
/// Size of one read in bytes.
const CHUNK_BYTES: usize = 16 * 1024;
/// Reads per client and round. The limit prevents a client that sends a lot from delaying the
/// others.
const CHUNKS_PER_ROUND: usize = 4;
/// The daemon.
pub(crate) struct Server {
    poll: Poll,
    listeners: Vec<Listener>,
    /// For each listener, whether clients may be waiting.
    waiting: Vec<bool>,
    /// Time before which no clients are accepted.
    accept_from: Instant,
    /// A client that connected when all connections were in use. It is refused unless the next poll
    /// shows that another client had left before.
    held: Option<Box<dyn Stream>>,
    signals: Signals,
    systemd: Systemd,
    service: Arc<Service>,
    doors: Vec<Box<dyn Door>>,
    protocol: Protocol,
    connections: Vec<Option<Connection>>,
    half_closed: HalfClosed,
    chunk: Box<[u8]>,
    reloading: bool,
    reload_again: bool,
    /// Latest end of the daemon, after a signal to stop.
    end: Option<Instant>,
    /// Whether the poll of this round reported all events that happened before it.
    all_seen: bool,
    /// Whether a poll after the signal to stop reported all events.
    end_seen: bool,
    /// Rounds since `end`.
    last_rounds: u32,
}

impl Server {
    /// Returns a waker for this poll.
    ///
    /// # Errors
    /// Fails if the system has no file descriptors left.
    pub(crate) fn waker(poll: &Poll) -> Result<Waker, Failure> {
        Waker::new(poll.registry(), WAKER).map_err(|error| poll_failure(&error))
    }

    /// Creates a daemon that listens. [`Server::run`] answers the clients. `doors` are open.
    ///
    /// # Errors
    /// Fails if the system has no memory for the poll.
    pub(crate) fn new(
        poll: Poll,
        mut listeners: Vec<Listener>,
        doors: Vec<Box<dyn Door>>,
        mut signals: Signals,
        systemd: Systemd,
        service: Arc<Service>,
        protocol: Protocol,
    ) -> Result<Self, Failure> {
        let mut register = || {
            let registry = poll.registry();
            registry.register(&mut signals.pipe, SIGNALS, Interest::READABLE)?;
            for (index, listener) in listeners.iter_mut().enumerate() {
                registry.register(listener.source(), Token(FIRST_LISTENER + index), Interest::READABLE)?;
            }
            Ok(())
        };
        register().map_err(|error: io::Error| poll_failure(&error))?;
        Ok(Self {
            poll,
            waiting: vec![true; listeners.len()],
            listeners,
            accept_from: Instant::now(),
            held: None,
            signals,
            systemd,
            service,
            doors,
            protocol,
            connections: Vec::new(),
            half_closed: HalfClosed::default(),
            chunk: vec![0; CHUNK_BYTES].into(),
            reloading: false,
            reload_again: false,
            end: None,
            all_seen: false,
            end_seen: false,
            last_rounds: 0,
        })
    }

    /// Answers clients until a signal to stop, then answers the requests that wait.
    ///
    /// # Errors
    /// Fails if the poll fails or a worker panics.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        let file = self.service.pool.loaded().file;
        let model = file.path().display();
        let names = self.listeners.iter().map(Listener::name);
        for name in names.chain(self.doors.iter().map(|door| door.name())) {
            log(format_args!("listening on {name}, model {model}"));
        }
        self.systemd.ready(&format!("model {model}"));
        let mut events = Events::with_capacity(EVENTS);
        let mut again = false;
        loop {
            // The process may be suspended at any point. The poll below reports every event before
            // this moment. Time limits are therefore compared with this moment, not with the time
            // of the check.
            let seen_until = Instant::now();
            let timeout = if again { Some(Duration::ZERO) } else { self.timeout(seen_until) };
            self.all_seen = match self.poll.poll(&mut events, timeout) {
                Ok(()) => events.iter().count() < EVENTS,
                Err(error) if error.kind() == ErrorKind::Interrupted => false,
                Err(error) => return Err(poll_failure(&error)),
            };
            self.note(&events);
            self.end_seen = self.all_seen && self.end.is_some();
            let now = Instant::now();
            if self.handle_signals(now) {
                break;
            }
            self.take_reports(now)?;
            again = !self.all_seen;
            for index in 0..self.connections.len() {
                again |= self.advance(index, now);
            }
            if self.all_seen {
                again |= self.expire(seen_until, now);
            }
            let judged_by = self.all_seen.then_some(seen_until);
            again |= self.half_closed.advance(&mut self.chunk, judged_by);
            // Leaving clients have made room at this point. New clients are served in the next
            // round.
            again |= self.accept(now);
            if self.is_over(seen_until, again) {
                break;
            }
        }
        log(format_args!("stopped: {}", self.service.figures.summary()));
        Ok(())
    }

    fn note(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                WAKER => {}
                SIGNALS => self.signals.drain(),
                Token(token) if token < FIRST_CONNECTION => {
                    self.waiting.iter_mut().skip(token - FIRST_LISTENER).take(1).for_each(|w| *w = true);
                }
                Token(token) if token >= FIRST_HALF_CLOSED => {
                    self.half_closed.note(token - FIRST_HALF_CLOSED);
                }
                Token(token) => {
                    if let Some(Some(connection)) = self.connections.get_mut(token - FIRST_CONNECTION) {
                        connection.note(event);
                    }
                }
            }
        }
    }

    /// Returns the time until the next time limit, or `None` if there is none.
    fn timeout(&self, now: Instant) -> Option<Duration> {
        let of_clients =
            self.connections.iter().flatten().filter_map(|connection| match &connection.pending {
                Some(pending) => Some(pending.deadline),
                None => self.service.limits.idle.map(|idle| connection.last_activity() + idle),
            });
        let of_listeners = self.waiting.contains(&true).then_some(self.accept_from);
        let due = of_clients.chain(of_listeners).chain(self.half_closed.due()).chain(self.end).min();
        due.map(|due| due.saturating_duration_since(now))
    }

    /// Returns whether the daemon can end: it was told to stop, and all clients have left or the
    /// latest end is reached.
    fn is_over(&mut self, seen_until: Instant, again: bool) -> bool {
        let Some(end) = self.end else { return false };
        let are_gone = self.connections.iter().all(Option::is_none) && self.half_closed.is_empty();
        if are_gone && self.doors.iter().all(|door| door.is_closed()) {
            return true;
        }
        if seen_until < end {
            return false;
        }
        self.last_rounds += 1;
        !again || self.last_rounds > LAST_ROUNDS
    }

    /// Handles signals. Returns whether the daemon must end at once.
    fn handle_signals(&mut self, now: Instant) -> bool {
        if self.signals.take_reload() && self.end.is_none() {
            if self.reloading {
                self.reload_again = true;
            } else {
                self.reload();
            }
        }
        if !self.signals.take_stop() {
            return false;
        }
        if self.end.is_some() {
            return true;
        }
        self.end = Some(now + self.service.limits.deadline + LAST_CLOSING_TIME);
        self.half_closed.limit_time(now + LAST_CLOSING_TIME);
        // Clients in the backlog of the listeners are answered, too.
        self.waiting.fill(true);
        for _ in 0..LAST_ROUNDS {
            if !self.accept(now) {
                break;
            }
        }
        // Closes the sockets and removes their files, so that a successor can start.
        self.listeners.clear();
        self.waiting.clear();
        self.held = None;
        self.doors.iter().for_each(|door| door.stop());
        log("stopping: waiting requests are answered first");
        self.systemd.stopping();
        false
    }

    fn reload(&mut self) {
        self.systemd.reloading();
        match self.service.pool.reload() {
            Ok(()) => self.reloading = true,
            Err(failure) => self.reloaded(Err(failure)),
        }
    }

    fn reloaded(&mut self, outcome: Result<std::path::PathBuf, Failure>) {
        let status = match outcome {
            Ok(path) => {
                self.service.figures.scrub.repair();
                format!("model {}, reloaded", path.display())
            }
            Err(failure) => {
                let kept = self.service.pool.loaded().file;
                let is_damaged = self.service.figures.scrub.problem().is_some();
                let damage = if is_damaged { " although it is damaged" } else { "" };
                format!("reload failed, {} stays in use{damage}: {failure}", kept.path().display())
            }
        };
        log(&status);
        self.systemd.ready(&status);
        self.reloading = false;
        if std::mem::take(&mut self.reload_again) && self.end.is_none() {
            self.reload();
        }
    }

    /// Loads the model again after a scrub has found damage. If that fails, the next round of the
    /// scrub finds the damage again.
    fn damaged(&mut self, problem: &str) {
        log(format_args!("scrub: {problem}; the model is loaded again"));
        if !self.reloading && self.end.is_none() {
            self.reload();
        }
    }

    fn intact(&self) {
        let status = format!("model {}, intact again", self.service.pool.loaded().file.path().display());
        log(&status);
        if !self.reloading && self.end.is_none() {
            self.systemd.ready(&status);
        }
    }

    fn take_reports(&mut self, now: Instant) -> Result<(), Failure> {
        for report in self.service.mailbox.take() {
            match report {
                Report::Answer { connection, ticket, line } => self.answer(connection, ticket, line, now),
                Report::Reload(outcome) => self.reloaded(outcome),
                Report::WentBack { problem } => {
                    let kept = self.service.pool.loaded().file;
                    let status = format!(
                        "the new model failed on one of its first texts, {} is in use again: {problem}",
                        kept.path().display()
                    );
                    log(&status);
                    self.systemd.ready(&status);
                }
                Report::Damaged(problem) => self.damaged(&problem),
                Report::Intact => self.intact(),
                Report::Lost => return Err(Failure::run("a thread has panicked, see above")),
            }
        }
        Ok(())
    }

    /// Passes an answer to its client, unless the client has left or the deadline was already
    /// reported.
    fn answer(&mut self, index: usize, ticket: Ticket, answer: Result<String, Refusal>, now: Instant) {
        let Some(Some(connection)) = self.connections.get_mut(index) else { return };
        let Some(pending) = connection.pending.take_if(|pending| pending.ticket == ticket) else { return };
        let figures = &self.service.figures.lines;
        match answer {
            Ok(line) => {
                figures.answer(now.saturating_duration_since(pending.since));
                connection.answer(&line, now);
            }
            Err(refusal) => {
                figures.refuse(refusal.kind());
                connection.answer(&self.protocol.refuse(&pending.id, &refusal), now);
            }
        }
    }

    /// Refuses requests whose deadline was before `seen_until`, and disconnects clients whose idle
    /// time had ended by then. All events until `seen_until` must have been handled. Returns
    /// whether there is more work.
    fn expire(&mut self, seen_until: Instant, now: Instant) -> bool {
        let mut again = false;
        for index in 0..self.connections.len() {
            let Some(Some(connection)) = self.connections.get_mut(index) else { continue };
            if let Some(Pending { ticket, deadline, .. }) = connection.pending {
                if deadline > seen_until {
                    continue;
                }
                self.service.pool.withdraw(ticket);
                let refusal = Refusal::Deadline { seconds: self.service.limits.deadline.as_secs_f64() };
                self.answer(index, ticket, Err(refusal), now);
            } else {
                let Some(idle) = self.service.limits.idle else { continue };
                if connection.last_activity() + idle > seen_until {
                    continue;
                }
                if connection.has_output() {
                    again |= self.try_write(index, now);
                    continue;
                }
                if !connection.is_drained(LAST_ROUNDS) {
                    continue;
                }
                let refusal = Refusal::Idle { seconds: idle.as_secs_f64() };
                connection.answer(&self.protocol.refuse(&Id::Null, &refusal), now);
                connection.closing = true;
                self.service.figures.lines.refuse(refusal.kind());
            }
            again |= self.advance(index, now);
        }
        again
    }

    /// Disconnects a client that has not read its answers, unless it has just started to read. The
    /// poll reports a socket as writable only if it has much room, so this function tries to write.
    /// Returns whether there is more work for the client.
    fn try_write(&mut self, index: usize, now: Instant) -> bool {
        let Some(Some(connection)) = self.connections.get_mut(index) else { return false };
        match connection.try_write(now) {
            Ok(true) => return self.advance(index, now),
            Ok(false) => self.close_gracefully(index, now),
            Err(_) => drop(self.close(index)),
        }
        false
    }

    /// Serves a client as far as possible without waiting. Returns whether there is more work for
    /// it.
    fn advance(&mut self, index: usize, now: Instant) -> bool {
        match self.try_advance(index, now) {
            Ok(Progress::Waits) => false,
            Ok(Progress::CouldGoOn) => true,
            Ok(Progress::Done) => {
                self.close_gracefully(index, now);
                false
            }
            // A broken connection does not affect other clients.
            Err(_) => {
                self.close(index);
                false
            }
        }
    }

    fn try_advance(&mut self, index: usize, now: Instant) -> io::Result<Progress> {
        let Some(Some(connection)) = self.connections.get_mut(index) else { return Ok(Progress::Waits) };
        if connection.is_gone() {
            return Ok(Progress::Done);
        }
        let mut chunks = 0;
        loop {
            connection.flush(now)?;
            if connection.has_output() {
                return Ok(Progress::Waits);
            }
            if connection.closing {
                return Ok(Progress::Done);
            }
            if connection.pending.is_some() {
                return Ok(Progress::Waits);
            }
            let line_bytes = self.service.limits.line_bytes;
            if let Some(line) = connection.next_line(line_bytes) {
                connection.note_activity(now);
                let request = match line {
                    Line::TooLong => Err((Id::Null, Refusal::Line { most: line_bytes })),
                    Line::Invalid { at } => Err((Id::Null, Refusal::Utf8 { at })),
                    Line::Text(line) => self.protocol.request(line),
                };
                let outcome = request.and_then(|request| {
                    if self.end.is_some() {
                        return Err((request.id, Refusal::Stopping));
                    }
                    submit(&self.service, self.protocol, index, request)
                });
                match outcome {
                    Ok((id, ticket)) => {
                        let deadline = now + self.service.limits.deadline;
                        connection.pending = Some(Pending { id, ticket, since: now, deadline });
                    }
                    Err((id, refusal)) => {
                        self.service.figures.lines.refuse(refusal.kind());
                        connection.answer(&self.protocol.refuse(&id, &refusal), now);
                    }
                }
            } else if connection.is_exhausted() {
                return Ok(Progress::Done);
            } else if !connection.is_readable() {
                return Ok(match self.end {
                    None => Progress::Waits,
                    Some(_) if self.end_seen => Progress::Done,
                    Some(_) => Progress::CouldGoOn,
                });
            } else if chunks == CHUNKS_PER_ROUND {
                return Ok(Progress::CouldGoOn);
            } else {
                connection.fill(&mut self.chunk)?;
                chunks += 1;
            }
        }
    }
}

/// Queues the request of a connection. The worker posts the line that answers it. Returns the id of
/// the request and the ticket of its job.
///
/// # Errors
/// Fails if the queue is full.
fn submit(
    service: &Service,
    protocol: Protocol,
    connection: usize,
    request: Request,
) -> Result<(Id, Ticket), (Id, Refusal)> {
    let Request { id, text } = request;
    let (ticket, mailbox) = (service.pool.ticket(), Arc::clone(&service.mailbox));
    let repeated = id.clone();
    let reply = Reply::Labels(Box::new(move |text, answer| {
        let line = answer.map(|answer| protocol.answer(&repeated, text, &answer));
        mailbox.post(Report::Answer { connection, ticket, line });
    }));
    let job = Job { ticket, text, truncate: None, reply };
    match service.pool.submit([job].into_iter()) {
        Ok(()) => Ok((id, ticket)),
        Err(refusal) => Err((id, refusal)),
    }
}

enum Progress {
    Waits,
    CouldGoOn,
    Done,
}

fn poll_failure(error: &io::Error) -> Failure {
    Failure::run(format_args!("poll: {error}"))
}
