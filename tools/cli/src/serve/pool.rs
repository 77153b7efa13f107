//! The queue of requests and the worker threads that answer them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use electra::{Classification, Classifier, ClassifierOptions, Error};

use super::log;
use super::protocol::{Id, Protocol, Refusal};
use crate::commands::classify::{ROWS_TOGETHER, open_classifiers};
use crate::failure::Failure;
use crate::output::one_line;
use crate::workers::spawn;

/// Bytes of texts that a worker takes at a time. Packing speeds up short texts; longer ones would
/// only wait for each other.
const BYTES_TOGETHER: usize = 1024;

/// Creates the classifiers at the start and at each reload.
#[derive(Clone)]
pub(crate) struct Loader {
    pub model: Option<PathBuf>,
    pub options: ClassifierOptions,
    pub workers: usize,
}

impl Loader {
    fn load(&self) -> Result<Vec<Classifier>, Failure> {
        open_classifiers(self.model.as_ref(), &self.options, self.workers)
    }
}

/// A text to classify.
pub(crate) struct Job {
    pub ticket: Ticket,
    pub id: Id,
    pub text: String,
}

/// Identifies the request of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub connection: usize,
    pub serial: u64,
}

/// A message from a thread of the pool.
pub(crate) enum Report {
    /// The answer to a request, or the reason why there is none.
    Answer(Ticket, Result<String, Refusal>),
    /// Result of a reload: the path of the model in use, or the problem with the new model.
    Reload(Result<PathBuf, Failure>),
    /// A thread of the pool has panicked, which is a defect.
    Lost,
}

/// The workers and their queue.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    loader: Loader,
    most_waiting: usize,
    /// Path of the model in use.
    pub model: PathBuf,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    reports: Mutex<Vec<Report>>,
    waker: mio::Waker,
    protocol: Protocol,
}

struct State {
    jobs: VecDeque<Job>,
    /// For each worker, the classifier that it uses from its next job on, after a reload.
    fresh: Vec<Option<Classifier>>,
}

impl Pool {
    /// Loads the model and starts the workers. Each report calls `waker`.
    ///
    /// # Errors
    /// Fails if the model cannot be loaded or a thread cannot be started.
    pub(crate) fn start(
        loader: Loader,
        most_waiting: usize,
        protocol: Protocol,
        waker: mio::Waker,
    ) -> Result<Self, Failure> {
        let classifiers = loader.load()?;
        let model = path_of(&classifiers);
        let fresh = classifiers.iter().map(|_| None).collect();
        let state = Mutex::new(State { jobs: VecDeque::with_capacity(most_waiting.min(1024)), fresh });
        let shared =
            Arc::new(Shared { state, changed: Condvar::new(), reports: Mutex::default(), waker, protocol });
        for (index, classifier) in classifiers.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            spawn("worker", move || work(&shared, index, classifier))?;
        }
        Ok(Self { shared, loader, most_waiting, model })
    }

    /// Queues a job.
    ///
    /// # Errors
    /// Fails if the queue is full.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Refusal> {
        let mut state = lock(&self.shared.state);
        if state.jobs.len() >= self.most_waiting {
            return Err(Refusal::Busy { waiting: state.jobs.len() });
        }
        state.jobs.push_back(job);
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Removes a job from the queue, if no worker has taken it, because its answer is not needed
    /// any more.
    pub(crate) fn withdraw(&self, ticket: Ticket) {
        lock(&self.shared.state).jobs.retain(|job| job.ticket != ticket);
    }

    /// Loads the model again in a separate thread. A report gives the result. Until then, and if
    /// loading fails, the workers keep their classifiers.
    ///
    /// # Errors
    /// Fails if the thread cannot be started.
    pub(crate) fn reload(&self) -> Result<(), Failure> {
        let (shared, loader) = (Arc::clone(&self.shared), self.loader.clone());
        spawn("reload", move || {
            let guard = Guard(&shared);
            let outcome = loader.load().map(|classifiers| {
                let path = path_of(&classifiers);
                lock(&shared.state).fresh = classifiers.into_iter().map(Some).collect();
                shared.changed.notify_all();
                path
            });
            guard.0.report([Report::Reload(outcome)]);
        })
    }

    /// Returns the reports since the last call.
    pub(crate) fn reports(&self) -> Vec<Report> {
        std::mem::take(&mut *lock(&self.shared.reports))
    }
}

fn path_of(classifiers: &[Classifier]) -> PathBuf {
    classifiers.first().map(|classifier| classifier.engine().file().path().to_path_buf()).unwrap_or_default()
}

fn work(shared: &Shared, index: usize, mut classifier: Classifier) {
    let guard = Guard(shared);
    loop {
        match guard.0.next(index) {
            Next::Change(fresh) => classifier = *fresh,
            Next::Jobs(jobs) => {
                let texts: Vec<_> = jobs.iter().map(|job| &*job.text).collect();
                let answers = classifier.classify_all(&texts);
                let reports = jobs
                    .iter()
                    .zip(answers)
                    .map(|(job, answer)| Report::Answer(job.ticket, guard.0.render(job, answer)));
                guard.0.report(reports);
            }
        }
    }
}

enum Next {
    Change(Box<Classifier>),
    Jobs(Vec<Job>),
}

impl Shared {
    /// Waits for a new classifier or for jobs.
    fn next(&self, index: usize) -> Next {
        let mut state = lock(&self.state);
        loop {
            if let Some(fresh) = state.fresh.get_mut(index).and_then(Option::take) {
                return Next::Change(Box::new(fresh));
            }
            if let Some(first) = state.jobs.pop_front() {
                let mut bytes = first.text.len();
                let mut jobs = vec![first];
                while jobs.len() < ROWS_TOGETHER
                    && let Some(job) = state.jobs.pop_front_if(|job| bytes + job.text.len() <= BYTES_TOGETHER)
                {
                    bytes += job.text.len();
                    jobs.push(job);
                }
                return Next::Jobs(jobs);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn render(&self, job: &Job, answer: Result<Classification, Error>) -> Result<String, Refusal> {
        let answer = answer.map_err(|error| Refusal::Run(one_line(&error.to_string())))?;
        Ok(self.protocol.answer(&job.id, &job.text, &answer))
    }

    fn report(&self, reports: impl IntoIterator<Item = Report>) {
        lock(&self.reports).extend(reports);
        if let Err(error) = self.waker.wake() {
            log(format_args!("poll: {error}"));
        }
    }
}

/// Reports [`Report::Lost`] if its thread panics.
struct Guard<'a>(&'a Shared);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.report([Report::Lost]);
        }
    }
}

/// Locks a mutex and ignores poisoning. The data are consistent, because no code panics in the
/// middle of a change to them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
