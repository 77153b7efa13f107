//! Hands texts to the workers and waits for the answers.

use electra::{Classification, Detection};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::problem::Problem;
use crate::serve::Service;
use crate::serve::pool::{Job, Reply, Ticket};
use crate::serve::protocol::Refusal;

/// Classifies texts.
///
/// # Errors
/// Fails if the queue has no room for all texts, if there is no answer before the deadline, or if
/// the model fails on a text. So does [`detect`].
pub(super) async fn classify(
    service: &Service,
    texts: Vec<String>,
    truncate: Option<bool>,
) -> Result<Vec<Classification>, Problem> {
    ask(service, texts, truncate, |sender| {
        Reply::Labels(Box::new(move |_, answer| drop(sender.send(answer))))
    })
    .await
}

/// Judges the tokens of texts.
pub(super) async fn detect(service: &Service, texts: Vec<String>) -> Result<Vec<Detection>, Problem> {
    ask(service, texts, None, |sender| Reply::Tokens(Box::new(move |answer| drop(sender.send(answer))))).await
}

async fn ask<T>(
    service: &Service,
    texts: Vec<String>,
    truncate: Option<bool>,
    reply: impl Fn(oneshot::Sender<Result<T, Refusal>>) -> Reply,
) -> Result<Vec<T>, Problem> {
    let mut waiting = Waiting { service, tickets: Vec::with_capacity(texts.len()) };
    let mut receivers = Vec::with_capacity(texts.len());
    let mut jobs = Vec::with_capacity(texts.len());
    for text in texts {
        let (sender, receiver) = oneshot::channel();
        let ticket = service.pool.ticket();
        jobs.push(Job { ticket, text, truncate, reply: reply(sender) });
        receivers.push(receiver);
        waiting.tickets.push(ticket);
    }
    service.pool.submit(jobs.into_iter())?;
    let answers = async {
        let mut answers = Vec::with_capacity(receivers.len());
        for receiver in receivers {
            // A worker drops the sender only if it panics. Then the service ends.
            let lost = |_| Err(Refusal::Run("a worker has ended".to_owned()));
            answers.push(receiver.await.unwrap_or_else(lost)?);
        }
        Ok(answers)
    };
    match timeout(service.limits.deadline, answers).await {
        Ok(answers) => answers,
        Err(_) => Err(Refusal::Deadline { seconds: service.limits.deadline.as_secs_f64() }.into()),
    }
}

/// Withdraws the jobs of a request when it ends, also if the client has left.
struct Waiting<'a> {
    service: &'a Service,
    tickets: Vec<Ticket>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.tickets.iter().for_each(|ticket| self.service.pool.withdraw(*ticket));
    }
}
