//! `electra health`: whether a running service answers over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args::HealthArgs;
use crate::failure::Failure;
use crate::output::Output;

/// Longest time for the answer.
const LONGEST_TIME: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &HealthArgs) -> Result<(), Failure> {
    let address = args.address;
    let fail = |problem: &str| Failure::run(format_args!("http://{address}/health: {problem}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(|error| fail(&error.to_string()))?;
    // A timer needs a runtime that is running.
    match runtime.block_on(async { timeout(LONGEST_TIME, ask(address)).await }) {
        Ok(Ok(StatusCode::OK)) => {
            let mut output = Output::new();
            output.line("ok", 0)?;
            Ok(output.finish()?)
        }
        Ok(Ok(status)) => Err(fail(&format!("status {} found, expected 200", status.as_u16()))),
        Ok(Err(problem)) => Err(fail(&problem)),
        Err(_) => Err(fail(&format!("no answer within {} s", LONGEST_TIME.as_secs()))),
    }
}

/// Returns the status of the answer to `GET /health`.
async fn ask(address: SocketAddr) -> Result<StatusCode, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let http = |error: hyper::Error| error.to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let request = Request::get("/health").header(HOST, address.to_string()).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let answer = sender.send_request(request);
    tokio::pin!(connection);
    tokio::select! {
        answer = answer => answer.map(|answer| answer.status()).map_err(http),
        end = &mut connection => Err(end.err().map_or_else(|| "the connection was closed".to_owned(), |e| e.to_string())),
    }
}
