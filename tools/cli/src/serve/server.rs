//! The thread that all clients share.

use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};

use super::connection::{Connection, Line, Pending};
use super::listener::{Listener, Stream};
use super::pool::{Job, Report, Ticket};
use super::{Pool, Refusal, Signals, Systemd, log};
use crate::failure::Failure;

const WAKER: Token = Token(0);
const SIGNALS: Token = Token(1);
const FIRST_LISTENER: usize = 2;
const FIRST_CONNECTION: usize = 16;

/// Bytes of one read, and reads and clients taken in one round: nobody is kept waiting by one who floods.
const CHUNK_BYTES: usize = 16 * 1024;
const CHUNKS_A_ROUND: usize = 4;
const CLIENTS_A_ROUND: usize = 64;
/// Time until clients are taken again after the system had no descriptor for one.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Time for the last answers to be written, after the last deadline.
const FAREWELL: Duration = Duration::from_secs(1);

/// What clients may use.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Clients at a time.
    pub connections: usize,
    /// Longest line, its end not counted.
    pub line_bytes: usize,
    /// From a request to its answer.
    pub deadline: Duration,
    /// Without a whole line, or without an answer being read.
    pub idle: Duration,
}

/// The daemon.
pub(crate) struct Server {
    poll: Poll,
    listeners: Vec<Listener>,
    /// Clients may be waiting at each listener.
    waiting: Vec<bool>,
    accept_from: Instant,
    /// Who came when all connections were taken; turned away unless the next poll says that somebody had left before.
    held: Option<Box<dyn Stream>>,
    signals: Signals,
    systemd: Systemd,
    pool: Pool,
    limits: Limits,
    json: bool,
    connections: Vec<Option<Connection>>,
    chunk: Box<[u8]>,
    serial: u64,
    reloading: bool,
    reload_again: bool,
    /// When the daemon ends at the latest, once it was told to.
    end: Option<Instant>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    connections: u64,
    answers: u64,
    refusals: u64,
}

impl Server {
    /// What wakes this poll.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub(crate) fn waker(poll: &Poll) -> Result<Waker, Failure> {
        Waker::new(poll.registry(), WAKER).map_err(|error| poll_failure(&error))
    }

    /// A daemon that listens; clients are answered by [`Server::run`].
    ///
    /// # Errors
    /// When the system has no memory for its poll.
    pub(crate) fn new(
        poll: Poll,
        mut listeners: Vec<Listener>,
        mut signals: Signals,
        systemd: Systemd,
        pool: Pool,
        limits: Limits,
        json: bool,
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
            pool,
            limits,
            json,
            connections: Vec::new(),
            chunk: vec![0; CHUNK_BYTES].into(),
            serial: 0,
            reloading: false,
            reload_again: false,
            end: None,
            counts: Counts::default(),
        })
    }

    /// Answers clients until a signal says stop and what waits then is answered.
    ///
    /// # Errors
    /// When the poll fails or a worker is lost.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        for listener in &self.listeners {
            log(format_args!("listening on {}, model {}", listener.name(), self.pool.model.display()));
        }
        self.systemd.ready(&format!("model {}", self.pool.model.display()));
        let mut events = Events::with_capacity(256);
        let mut again = false;
        loop {
            let timeout = if again { Some(Duration::ZERO) } else { self.timeout(Instant::now()) };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(poll_failure(&error)),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    SIGNALS => self.signals.drain(),
                    Token(token) if token < FIRST_CONNECTION => {
                        self.waiting.iter_mut().skip(token - FIRST_LISTENER).take(1).for_each(|w| *w = true);
                    }
                    Token(token) => {
                        if let Some(Some(connection)) = self.connections.get_mut(token - FIRST_CONNECTION) {
                            connection.note(event);
                        }
                    }
                }
            }
            let now = Instant::now();
            if self.heed_signals(now) {
                break;
            }
            self.take_reports()?;
            self.expire(now);
            again = false;
            for index in 0..self.connections.len() {
                again |= self.advance(index, now);
            }
            // After who leaves has made room; new clients have their turn in the next round.
            again |= self.accept(now);
            if self.end.is_some_and(|end| now >= end || self.connections.iter().all(Option::is_none)) {
                break;
            }
        }
        let Counts { connections, answers, refusals } = self.counts;
        log(format_args!("stopped: {connections} clients, {answers} requests answered, {refusals} refused"));
        Ok(())
    }

    /// Time until something is due.
    fn timeout(&self, now: Instant) -> Option<Duration> {
        let idle = self.limits.idle;
        let of_clients = self.connections.iter().flatten().map(|connection| {
            connection.pending.map_or(connection.quiet_since + idle, |pending| pending.deadline)
        });
        let of_listeners = self.waiting.contains(&true).then_some(self.accept_from);
        of_clients.chain(of_listeners).chain(self.end).min().map(|due| due.saturating_duration_since(now))
    }

    /// Whether to end at once.
    fn heed_signals(&mut self, now: Instant) -> bool {
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
        // Closed and their files removed, so that a successor can start.
        self.listeners.clear();
        self.waiting.clear();
        self.held = None;
        log("stopping: what waits is answered first");
        self.systemd.stopping();
        self.end = Some(now + self.limits.deadline + FAREWELL);
        false
    }

    fn reload(&mut self) {
        self.systemd.reloading();
        match self.pool.reload() {
            Ok(()) => self.reloading = true,
            Err(failure) => self.reloaded(Err(failure)),
        }
    }

    fn reloaded(&mut self, outcome: Result<std::path::PathBuf, Failure>) {
        let kept = self.pool.model.display();
        let status = match outcome {
            Ok(path) => {
                self.pool.model = path;
                format!("model {}, reloaded", self.pool.model.display())
            }
            Err(failure) => format!("reload failed, {kept} is kept as it was: {failure}"),
        };
        log(&status);
        self.systemd.ready(&status);
        self.reloading = false;
        if std::mem::take(&mut self.reload_again) && self.end.is_none() {
            self.reload();
        }
    }

    fn take_reports(&mut self) -> Result<(), Failure> {
        for report in self.pool.reports() {
            match report {
                Report::Answer(ticket, answer) => self.answer(ticket, answer),
                Report::Reload(outcome) => self.reloaded(outcome),
                Report::Lost => return Err(Failure::run("a thread has panicked, see above")),
            }
        }
        Ok(())
    }

    /// Hands an answer to its client, unless the client is gone or was answered at the deadline.
    fn answer(&mut self, ticket: Ticket, answer: Result<String, Refusal>) {
        let Some(Some(connection)) = self.connections.get_mut(ticket.connection) else { return };
        if connection.pending.is_none_or(|pending| pending.serial != ticket.serial) {
            return;
        }
        connection.pending = None;
        match answer {
            Ok(line) => {
                self.counts.answers += 1;
                connection.answer(&line);
            }
            Err(refusal) => {
                self.counts.refusals += 1;
                connection.answer(&refusal.render(self.json));
            }
        }
    }

    /// Answers requests whose time is over and sends clients away who have been quiet for too long.
    fn expire(&mut self, now: Instant) {
        for index in 0..self.connections.len() {
            let Some(Some(connection)) = self.connections.get_mut(index) else { continue };
            if let Some(Pending { serial, deadline }) = connection.pending {
                if deadline <= now {
                    let ticket = Ticket { connection: index, serial };
                    self.pool.withdraw(ticket);
                    self.answer(
                        ticket,
                        Err(Refusal::Deadline { seconds: self.limits.deadline.as_secs_f64() }),
                    );
                }
            } else if connection.quiet_since + self.limits.idle <= now {
                if connection.has_output() {
                    self.close(index);
                } else {
                    let refusal = Refusal::Idle { seconds: self.limits.idle.as_secs_f64() };
                    connection.answer(&refusal.render(self.json));
                    connection.closing = true;
                    self.counts.refusals += 1;
                }
            }
        }
    }

    /// Takes clients who wait; whether there were any.
    fn accept(&mut self, now: Instant) -> bool {
        let mut any = false;
        if let Some(stream) = self.held.take() {
            self.admit(stream, now);
            any = true;
        }
        if now < self.accept_from {
            return any;
        }
        for _ in 0..CLIENTS_A_ROUND {
            let Some(index) = self.waiting.iter().position(|waiting| *waiting) else { return any };
            match self.listeners[index].accept() {
                Ok(stream) if self.is_full() => {
                    self.held = Some(stream);
                    return true;
                }
                Ok(stream) => {
                    self.admit(stream, now);
                    any = true;
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.waiting[index] = false,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => {
                        log(format_args!("{}: {error}", self.listeners[index].name()));
                        self.accept_from = now + ACCEPT_PAUSE;
                        return any;
                    }
                },
            }
        }
        any
    }

    fn is_full(&self) -> bool {
        self.connections.len() >= self.limits.connections && self.connections.iter().all(Option::is_some)
    }

    fn admit(&mut self, mut stream: Box<dyn Stream>, now: Instant) {
        self.counts.connections += 1;
        let index = match self.connections.iter().position(Option::is_none) {
            Some(index) => index,
            None if self.connections.len() < self.limits.connections => {
                self.connections.push(None);
                self.connections.len() - 1
            }
            None => {
                self.counts.refusals += 1;
                let line = Refusal::Connections { most: self.limits.connections }.render(self.json);
                // A new socket has room for a line.
                drop(stream.write(format!("{line}\n").as_bytes()));
                return;
            }
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self.poll.registry().register(&mut *stream, Token(FIRST_CONNECTION + index), interest) {
            Ok(()) => self.connections[index] = Some(Connection::new(stream, now)),
            Err(error) => log(format_args!("a client was turned away: {error}")),
        }
    }

    /// Takes a client as far as it goes without waiting; whether it could go on.
    fn advance(&mut self, index: usize, now: Instant) -> bool {
        match self.try_advance(index, now) {
            Ok(Progress::Waits) => false,
            Ok(Progress::CouldGoOn) => true,
            // A broken connection concerns nobody else.
            Ok(Progress::Done) | Err(_) => {
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
            if let Some(line) = connection.next_line(self.limits.line_bytes) {
                connection.quiet_since = now;
                let outcome = match line {
                    Line::TooLong => Err(Refusal::Line { most: self.limits.line_bytes }),
                    Line::Invalid { at } => Err(Refusal::Utf8 { at }),
                    Line::Text(_) if self.end.is_some() => Err(Refusal::Stopping),
                    Line::Text(text) => {
                        self.serial += 1;
                        self.pool
                            .submit(Job { ticket: Ticket { connection: index, serial: self.serial }, text })
                    }
                };
                match outcome {
                    Ok(()) => {
                        let deadline = now + self.limits.deadline;
                        connection.pending = Some(Pending { serial: self.serial, deadline });
                    }
                    Err(refusal) => {
                        self.counts.refusals += 1;
                        connection.answer(&refusal.render(self.json));
                    }
                }
            } else if connection.is_exhausted() {
                return Ok(Progress::Done);
            } else if !connection.is_readable() {
                return Ok(if self.end.is_some() { Progress::Done } else { Progress::Waits });
            } else if chunks == CHUNKS_A_ROUND {
                return Ok(Progress::CouldGoOn);
            } else {
                connection.fill(&mut self.chunk)?;
                chunks += 1;
            }
        }
    }

    fn close(&mut self, index: usize) {
        let Some(slot) = self.connections.get_mut(index) else { return };
        if let Some(mut connection) = slot.take() {
            if let Some(Pending { serial, .. }) = connection.pending {
                self.pool.withdraw(Ticket { connection: index, serial });
            }
            // Closing a descriptor ends its registration, too.
            drop(self.poll.registry().deregister(connection.stream()));
        }
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
