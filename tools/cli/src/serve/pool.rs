//! The queue of texts and the worker threads that process them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use electra::{Classification, Detection};

use super::figures::Figures;
use super::loader::{Loaded, Loader, Model};
use super::mailbox::{Guard, Mailbox, Report};
use super::protocol::Refusal;
use crate::commands::classify::ROWS_TOGETHER;
use crate::failure::Failure;
use crate::workers::spawn;

/// Bytes of texts that a worker takes at a time. Packing speeds up short texts; longer ones would
/// only wait for each other.
const BYTES_TOGETHER: usize = 1024;

/// Texts after which a new model is kept for good.
const TRIAL_TEXTS: usize = 8;

/// A text to process.
pub(crate) struct Job {
    pub ticket: Ticket,
    pub text: String,
    /// Whether a long text is cut; `None` for the setting of the service.
    pub truncate: Option<bool>,
    pub reply: Reply,
}

/// The question of a job, and the function that receives the answer in the thread of a worker.
pub(crate) enum Reply {
    /// The labels of the text. The function also receives the text.
    Labels(Box<OnLabels>),
    /// The tokens that look replaced.
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only HTTP asks for tokens"))]
    Tokens(Box<OnTokens>),
}

type OnLabels = dyn FnOnce(&str, Result<Classification, Refusal>) + Send;
type OnTokens = dyn FnOnce(Result<Detection, Refusal>) + Send;

/// Identifies a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// The workers and their queue.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    loader: Loader,
    /// Largest number of jobs in the queue.
    pub capacity: usize,
    tickets: AtomicU64,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    mailbox: Arc<Mailbox>,
    figures: Arc<Figures>,
    /// Whether long texts are cut where a job does not say it.
    truncate: bool,
}

struct State {
    jobs: VecDeque<Job>,
    loaded: Loaded,
    /// For each worker, what it does before its next job.
    orders: Vec<VecDeque<Order>>,
    trial: Option<Trial>,
}

/// A change of a worker's model.
enum Order {
    /// Use this model, and keep the one before.
    Change(Box<Model>),
    /// The trial of the model has ended: drop the one before.
    Keep,
    /// Use the model before again.
    GoBack,
}

/// The first texts of a new model.
struct Trial {
    /// The model before.
    before: Loaded,
    /// Texts until the end of the trial.
    left: usize,
}

impl Pool {
    /// Loads the model and starts the workers.
    ///
    /// # Errors
    /// Fails if the model cannot be loaded or a thread cannot be started.
    pub(crate) fn start(
        loader: Loader,
        capacity: usize,
        mailbox: Arc<Mailbox>,
        figures: Arc<Figures>,
    ) -> Result<Self, Failure> {
        let (loaded, models) = loader.load()?;
        let orders = models.iter().map(|_| VecDeque::new()).collect();
        let jobs = VecDeque::with_capacity(capacity.min(1024));
        let state = Mutex::new(State { jobs, loaded, orders, trial: None });
        let truncate = loader.options.truncate;
        let shared = Arc::new(Shared { state, changed: Condvar::new(), mailbox, figures, truncate });
        for (index, model) in models.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            spawn("worker", move || work(&shared, index, model))?;
        }
        Ok(Self { shared, loader, capacity, tickets: AtomicU64::new(0) })
    }

    /// Returns a ticket for a new job.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.tickets.fetch_add(1, Ordering::Relaxed))
    }

    /// Queues jobs: all of them or none.
    ///
    /// # Errors
    /// Fails if the queue has no room for them.
    pub(crate) fn submit(&self, jobs: impl ExactSizeIterator<Item = Job>) -> Result<(), Refusal> {
        let mut state = lock(&self.shared.state);
        let waiting = state.jobs.len();
        if waiting + jobs.len() > self.capacity {
            return Err(Refusal::Busy { waiting });
        }
        state.jobs.extend(jobs);
        let added = state.jobs.len() - waiting;
        drop(state);
        for _ in 0..added {
            self.shared.changed.notify_one();
        }
        Ok(())
    }

    /// Removes a job from the queue, if no worker has taken it, because its answer is not needed
    /// any more.
    pub(crate) fn withdraw(&self, ticket: Ticket) {
        lock(&self.shared.state).jobs.retain(|job| job.ticket != ticket);
    }

    /// Returns the number of jobs that no worker has taken.
    #[cfg(feature = "http")]
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.shared.state).jobs.len()
    }

    /// Returns the model in use.
    pub(crate) fn loaded(&self) -> Loaded {
        lock(&self.shared.state).loaded.clone()
    }

    /// Loads the model again in a separate thread. A report gives the result. Until then, and if
    /// loading fails, the workers keep their models. If the new model fails on one of its first
    /// texts, the workers return to the model before.
    ///
    /// # Errors
    /// Fails if the thread cannot be started.
    pub(crate) fn reload(&self) -> Result<(), Failure> {
        let (shared, loader) = (Arc::clone(&self.shared), self.loader.clone());
        spawn("reload", move || {
            let guard = Guard(&shared.mailbox);
            let current = lock(&shared.state).loaded.clone();
            let outcome = loader.load_after(&current).map(|(loaded, models)| {
                let path: PathBuf = loaded.file.path().to_path_buf();
                let mut state = lock(&shared.state);
                for (orders, model) in state.orders.iter_mut().zip(models) {
                    orders.push_back(Order::Change(Box::new(model)));
                }
                let before = std::mem::replace(&mut state.loaded, loaded);
                state.trial = Some(Trial { before, left: TRIAL_TEXTS });
                drop(state);
                shared.changed.notify_all();
                path
            });
            guard.0.post(Report::Reload(outcome));
        })
    }

    /// Returns the number of workers.
    #[cfg(feature = "http")]
    pub(crate) fn workers(&self) -> usize {
        self.loader.workers
    }

    /// Returns whether long texts are cut where a request does not say it.
    #[cfg(feature = "http")]
    pub(crate) fn truncates(&self) -> bool {
        self.shared.truncate
    }
}

fn work(shared: &Shared, index: usize, model: Model) {
    let _guard = Guard(&shared.mailbox);
    let mut models = Models { current: model, before: None };
    loop {
        match shared.next(index) {
            Next::Order(order) => models.follow(order),
            Next::Jobs(jobs) => shared.process(&mut models, index, jobs),
        }
    }
}

/// The models of a worker.
struct Models {
    current: Model,
    /// The model before, during the trial of the current one.
    before: Option<Model>,
}

impl Models {
    fn follow(&mut self, order: Order) {
        match order {
            Order::Change(fresh) => self.before = Some(std::mem::replace(&mut self.current, *fresh)),
            Order::Keep => self.before = None,
            Order::GoBack => {
                if let Some(before) = self.before.take() {
                    self.current = before;
                }
            }
        }
    }

    /// Classifies texts. If the current model fails on one and the model before does not, returns
    /// the answers of that one, and the failure.
    fn classify(
        &mut self,
        texts: &[&str],
        truncate: bool,
    ) -> (Vec<Result<Classification, Refusal>>, Option<Refusal>) {
        let answers = self.current.classify(texts, truncate);
        let failure = answers.iter().find_map(|answer| answer.as_ref().err().cloned());
        let (Some(failure), Some(before)) = (failure, &mut self.before) else { return (answers, None) };
        let of_before = before.classify(texts, truncate);
        match of_before.iter().all(Result::is_ok) {
            true => (of_before, Some(failure)),
            false => (answers, None),
        }
    }

    /// Judges the tokens of a text, with the same rule as [`Models::classify`].
    fn detect(&mut self, text: &str) -> (Result<Detection, Refusal>, Option<Refusal>) {
        let answer = self.current.detect(text);
        let (Err(failure), Some(before)) = (&answer, &mut self.before) else { return (answer, None) };
        match before.detect(text) {
            Ok(of_before) => (Ok(of_before), Some(failure.clone())),
            Err(_) => (answer, None),
        }
    }
}

enum Next {
    Order(Order),
    /// Jobs with the same `truncate`.
    Jobs(Vec<Job>),
}

impl Shared {
    /// Waits for an order or for jobs.
    fn next(&self, index: usize) -> Next {
        let mut state = lock(&self.state);
        loop {
            if let Some(order) = state.orders.get_mut(index).and_then(VecDeque::pop_front) {
                return Next::Order(order);
            }
            if let Some(first) = state.jobs.pop_front() {
                let (mut bytes, truncate) = (first.text.len(), first.truncate);
                let mut jobs = vec![first];
                while jobs.len() < ROWS_TOGETHER
                    && let Some(job) = state.jobs.pop_front_if(|job| {
                        bytes + job.text.len() <= BYTES_TOGETHER && job.truncate == truncate
                    })
                {
                    bytes += job.text.len();
                    jobs.push(job);
                }
                return Next::Jobs(jobs);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn process(&self, models: &mut Models, index: usize, jobs: Vec<Job>) {
        let wants_labels = |job: &&Job| matches!(job.reply, Reply::Labels(_));
        let texts: Vec<_> = jobs.iter().filter(wants_labels).map(|job| &*job.text).collect();
        let truncate = jobs.first().and_then(|job| job.truncate).unwrap_or(self.truncate);
        let (answers, failure) = models.classify(&texts, truncate);
        self.end_trial(jobs.len(), index, failure, models);
        let mut answers = answers.into_iter();
        for job in jobs {
            match job.reply {
                Reply::Labels(reply) => {
                    let answer = answers.next().unwrap_or_else(|| Err(Refusal::Run("no answer".to_owned())));
                    self.figures.process(answer.as_ref().map_or(0, |answer| answer.tokens));
                    reply(&job.text, answer);
                }
                Reply::Tokens(reply) => {
                    let (answer, failure) = models.detect(&job.text);
                    if failure.is_some() {
                        self.end_trial(0, index, failure, models);
                    }
                    self.figures.process(answer.as_ref().map_or(0, |answer| answer.tokens.len()));
                    reply(answer);
                }
            }
        }
    }

    /// Counts the texts of a new model. After a failure all workers return to the model before;
    /// after enough texts they drop it. Worker `index` has `models`.
    fn end_trial(&self, texts: usize, index: usize, failure: Option<Refusal>, models: &mut Models) {
        let mut state = lock(&self.state);
        if models.before.is_none() {
            return;
        }
        // Another worker has ended the trial already. This worker's order is waiting for it.
        let Some(trial) = &mut state.trial else { return };
        trial.left = trial.left.saturating_sub(texts);
        if failure.is_none() && trial.left > 0 {
            return;
        }
        let before = state.trial.take().map(|trial| trial.before);
        for (worker, orders) in state.orders.iter_mut().enumerate() {
            match (&failure, worker == index) {
                (None, _) => orders.push_back(Order::Keep),
                (Some(_), false) => orders.push_back(Order::GoBack),
                (Some(_), true) => models.follow(Order::GoBack),
            }
        }
        if let (Some(failure), Some(before)) = (failure, before) {
            state.loaded = before;
            self.mailbox.post(Report::WentBack { problem: failure.to_string() });
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// Locks a mutex and ignores poisoning. The data are consistent, because no code panics in the
/// middle of a change to them.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
