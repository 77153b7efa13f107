//! Options of the HTTP door of `electra serve`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::parse::parse_origin;

/// Arguments of `electra health`.
#[derive(Args)]
pub(crate) struct HealthArgs {
    /// Address of the service, as in its option --http
    #[arg(value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub address: SocketAddr,
}

/// Options of the HTTP door.
#[derive(Args)]
pub(crate) struct HttpArgs {
    /// Address for requests over HTTP, for example 127.0.0.1:8080; loopback addresses only, unless
    /// --allow-remote and --token-file are given
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<SocketAddr>,
    /// Answer only HTTP requests with the header 'Authorization: Bearer TOKEN'. The file contains
    /// the token
    #[arg(long, value_name = "FILE", requires = "http")]
    pub token_file: Option<PathBuf>,
    /// Longest body of an HTTP request in bytes; longer ones are answered with status 413
    #[arg(long, value_name = "BYTES", default_value = "262144")]
    pub body_bytes: NonZeroUsize,
    /// Largest number of texts in an HTTP request, if --queue is not smaller
    #[arg(long, value_name = "N", default_value = "32")]
    pub texts: NonZeroUsize,
    /// Let web pages of this origin read HTTP answers, for example https://example.org
    #[arg(long, value_name = "ORIGIN", requires = "http", value_parser = parse_origin)]
    pub cors_origin: Option<String>,
}
