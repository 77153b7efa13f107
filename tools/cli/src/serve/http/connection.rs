//! One client: runs hyper on its connection within the time limits, and closes it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::clock::{Clock, Timed};
use super::{Context, routes};
use crate::serve::{CLOSING_TIME, LAST_CLOSING_TIME};

/// Longest head of a request in bytes: its first line and its headers.
const HEAD_BYTES: usize = 16 * 1024;
/// Largest number of headers.
const HEADERS: usize = 64;
/// Number of times that the system is asked for input after a time limit. Input that arrived before
/// the limit is thus read first, even if the process was suspended.
const LAST_ROUNDS: u32 = 3;

/// Reason why a connection is closed or treated differently.
enum Event {
    /// hyper is done with the connection.
    End,
    /// A time limit is over, or nothing more is expected of the client while the service stops.
    Due,
    /// The service is stopping.
    Stop,
}

/// Serves a client until the connection ends. Returns the stream if the client may still have to
/// read something.
pub(super) async fn serve(stream: TcpStream, context: Rc<Context>) -> Option<TcpStream> {
    let clock = Rc::new(Clock::new(context.service.limits.idle));
    let service = service_fn(|request| {
        let (context, clock) = (Rc::clone(&context), Rc::clone(&clock));
        // hyper needs a future that can be moved.
        Box::pin(async move { Ok::<_, Infallible>(routes::respond(&context, &clock, request).await) })
    });
    let io = TokioIo::new(Timed { stream, clock: Rc::clone(&clock) });
    // The clock replaces hyper's limit for the head.
    let mut connection = http1::Builder::new()
        .max_header_size(HEAD_BYTES)
        .max_buf_size(2 * HEAD_BYTES)
        .max_headers(HEADERS)
        .header_read_timeout(None)
        .serve_connection(io, service);
    let mut stop = context.stop.clone();
    let mut stopped = pin!(async move { stop.wait_for(|is_stopping| *is_stopping).await.is_ok() });
    let mut limit = pin!(sleep_until(Instant::now()));
    let (mut is_stopping, mut rounds) = (false, 0);
    loop {
        let event = poll_fn(|cx| {
            // An error concerns only this client, and hyper has answered it as far as possible.
            if Pin::new(&mut connection).poll(cx).is_ready() {
                return Poll::Ready(Event::End);
            }
            if !is_stopping && stopped.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Stop);
            }
            if is_stopping && !clock.is_busy() {
                return Poll::Ready(Event::Due);
            }
            let Some(due) = clock.due() else {
                rounds = 0;
                return Poll::Pending;
            };
            if limit.deadline() != due {
                limit.as_mut().reset(due);
                rounds = 0;
            }
            limit.as_mut().poll(cx).map(|()| Event::Due)
        });
        match event.await {
            Event::End => break,
            Event::Stop => is_stopping = true,
            Event::Due if rounds == LAST_ROUNDS => break,
            Event::Due => {
                rounds += 1;
                // The system is asked for input meanwhile.
                tokio::task::yield_now().await;
            }
        }
        if is_stopping && clock.is_busy() {
            Pin::new(&mut connection).graceful_shutdown();
        }
    }
    Some(connection.into_parts().io.into_inner().stream)
}

/// Half-closes a connection and drops further input, so that the client can read the last answer.
/// See `half_closed.rs` for the reason.
pub(super) async fn close(mut stream: TcpStream, context: &Context) {
    if poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await.is_err() {
        return;
    }
    let mut stop = context.stop.clone();
    let mut chunk = [0; 4096];
    let drain = async {
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut chunk) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    };
    let last = async {
        drop(stop.wait_for(|is_stopping| *is_stopping).await);
        tokio::time::sleep(LAST_CLOSING_TIME).await;
    };
    let mut drain = pin!(drain);
    let mut last = pin!(last);
    let first = poll_fn(|cx| match drain.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => last.as_mut().poll(cx),
    });
    // The outcome is the same: the stream is closed now.
    drop(timeout(CLOSING_TIME, first).await);
}
