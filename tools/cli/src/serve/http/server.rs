//! Accepts clients and ends with the service.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{spawn_local, yield_now};
use tokio::time::sleep;

use super::problem::Problem;
use super::{Context, connection};
use crate::serve::protocol::Refusal;
use crate::serve::{ACCEPT_PAUSE, log};

/// Largest number of connections that are being closed. Each needs a file descriptor.
const CLOSING: usize = 256;

/// The places for connections.
struct Places {
    served: Arc<Semaphore>,
    closing: Arc<Semaphore>,
}

/// Serves clients until the service is stopped and the last client has left.
pub(super) async fn run(listener: TcpListener, context: Rc<Context>) {
    let connections = context.service.limits.connections.min(Semaphore::MAX_PERMITS);
    let places =
        Places { served: Arc::new(Semaphore::new(connections)), closing: Arc::new(Semaphore::new(CLOSING)) };
    let mut stop = context.stop.clone();
    let mut stopped = std::pin::pin!(stop.wait_for(|is_stopping| *is_stopping));
    loop {
        let accepted = poll_fn(|cx| match stopped.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => listener.poll_accept(cx).map(Some),
        });
        match accepted.await {
            None => break,
            Some(Ok((stream, _))) => admit(stream, &context, &places).await,
            Some(Err(error)) => note_failure(&error, &context).await,
        }
    }
    // Clients that have connected before the stop are told that it has begun.
    yield_now().await;
    while let Some((stream, _)) = accept_now(&listener).await {
        admit(stream, &context, &places).await;
    }
    drop(listener);
    let all = u32::try_from(connections).unwrap_or(u32::MAX);
    drop(places.served.acquire_many(all).await);
    drop(places.closing.acquire_many(CLOSING as u32).await);
}

async fn accept_now(listener: &TcpListener) -> Option<(TcpStream, std::net::SocketAddr)> {
    poll_fn(|cx| match listener.poll_accept(cx) {
        Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn note_failure(error: &io::Error, context: &Context) {
    match error.kind() {
        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
        // The system may have no file descriptor left.
        _ => {
            log(format_args!("{}: {error}", context.options.address));
            sleep(ACCEPT_PAUSE).await;
        }
    }
}

/// Serves a client in a task of its own, or refuses it if all places are taken.
async fn admit(stream: TcpStream, context: &Rc<Context>, places: &Places) {
    context.service.figures.http.connect();
    // Answers are written as a whole, so waiting for more data (Nagle's algorithm) only adds a
    // delay.
    drop(stream.set_nodelay(true));
    if places.served.available_permits() == 0 {
        // A client that has left may not have been noticed yet.
        yield_now().await;
        yield_now().await;
    }
    let context = Rc::clone(context);
    let closing = Arc::clone(&places.closing);
    match Arc::clone(&places.served).try_acquire_owned() {
        Ok(place) => drop(spawn_local(async move {
            let stream = connection::serve(stream, Rc::clone(&context)).await;
            let closing = closing.try_acquire_owned();
            drop(place);
            if let (Some(stream), Ok(_closing)) = (stream, closing) {
                connection::close(stream, &context).await;
            }
        })),
        Err(_) => {
            let most = context.service.limits.connections;
            let problem = Problem::from(Refusal::Connections { most });
            context.service.figures.http.refuse(problem.kind);
            if let Ok(closing) = closing.try_acquire_owned() {
                drop(spawn_local(async move {
                    refuse(&stream, &problem);
                    connection::close(stream, &context).await;
                    drop(closing);
                }));
            }
        }
    }
}

/// Answers a client that has no place, without reading its request. The buffer of a new socket has
/// room for the answer.
fn refuse(stream: &TcpStream, problem: &Problem) {
    let body = problem.body();
    let head = format!(
        "HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: {}\r\n\
         connection: close\r\n\r\n",
        problem.status,
        body.len(),
        problem.retry_after().unwrap_or("1")
    );
    drop(stream.try_write((head + &body).as_bytes()));
}
