//! From a request to its response: paths, methods and checks that all requests share.

use std::time::Instant;

use electra::HeadKind;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode, Version};
use serde_json::{Map, Value, json};

use super::clock::Clock;
use super::fields::{Inputs, TextLimits};
use super::problem::Problem;
use super::requests::{Classify, Predict, Tokenize};
use super::{Context, answers, ask, body, metrics, openapi};
use crate::serve::protocol::Refusal;

/// The page for people. It is one file and loads nothing else.
const PAGE: &str = include_str!("page.html");
/// The policy for browsers: the page may run its own script and style, and ask this service.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                           img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                           frame-ancestors 'none'";

/// The paths of the service.
#[derive(Clone, Copy, PartialEq)]
enum Route {
    Health,
    Info,
    Metrics,
    OpenApi,
    Predict,
    /// The page, and the inference API's request for labels.
    Root,
    Tokenize,
    Detect,
}

/// A response without its headers of the connection.
struct Answer {
    content_type: &'static str,
    body: Bytes,
}

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

impl Route {
    fn find(path: &str) -> Option<Self> {
        Some(match path {
            "/health" => Self::Health,
            "/info" => Self::Info,
            "/metrics" => Self::Metrics,
            "/openapi.json" => Self::OpenApi,
            "/predict" => Self::Predict,
            "/" => Self::Root,
            "/tokenize" => Self::Tokenize,
            "/detect" => Self::Detect,
            _ => return None,
        })
    }

    /// Returns the methods of the path, as in the header Allow.
    fn methods(self) -> &'static str {
        match self {
            Self::Health | Self::Info | Self::Metrics | Self::OpenApi => "GET, HEAD",
            Self::Root => "GET, HEAD, POST",
            Self::Predict | Self::Tokenize | Self::Detect => "POST",
        }
    }
}

/// Answers a request.
pub(super) async fn respond(
    context: &Context,
    clock: &Clock,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let start = Instant::now();
    let until = clock.begin_answer();
    let is_post = request.method() == Method::POST;
    let preflight = preflight(context, &request);
    let mut response = match preflight {
        Some(methods) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            context.allow_preflight(&mut response, methods);
            response
        }
        None => {
            let outcome = answer(context, request, until).await;
            let figures = &context.service.figures.http;
            match &outcome {
                // Questions about the service itself are not counted.
                Ok(_) if is_post => figures.answer(start.elapsed()),
                Ok(_) => {}
                Err(problem) => figures.refuse(problem.kind),
            }
            render(outcome)
        }
    };
    if context.is_stopping() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    context.share_with_origin(&mut response);
    clock.end_answer();
    response
}

/// Returns the methods of the path if a browser asks whether a web page may send a request.
fn preflight(context: &Context, request: &Request<Incoming>) -> Option<&'static str> {
    context.options.origin.as_ref()?;
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(hyper::header::ACCESS_CONTROL_REQUEST_METHOD);
    let route = Route::find(request.uri().path()).filter(|_| is_preflight)?;
    Some(route.methods())
}

async fn answer(
    context: &Context,
    request: Request<Incoming>,
    until: tokio::time::Instant,
) -> Result<Answer, Problem> {
    check_host(&request)?;
    let path = request.uri().path();
    let route = Route::find(path);
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let is_page = route == Some(Route::Root) && method == Method::GET;
    // Health is not secret, and programs that watch it often have no token. The page asks for the
    // token.
    if route != Some(Route::Health) && !is_page {
        context.check_token(request.headers())?;
    }
    let route = route.ok_or_else(|| Problem::path("no such path, see /openapi.json"))?;
    if !route.methods().split(", ").any(|allowed| allowed == method.as_str()) {
        return Err(Problem::method(request.method(), route.methods()));
    }
    if context.is_stopping() {
        return Err(Refusal::Stopping.into());
    }
    match route {
        Route::Health => match context.service.figures.scrub.problem() {
            None => Ok(json(&json!({ "status": "ok" }))),
            Some(problem) => Err(Problem::damaged(&problem)),
        },
        Route::Info => Ok(json(&answers::info(context))),
        Route::Metrics => {
            let (content_type, body) = metrics::render(&context.service);
            Ok(Answer { content_type, body: body.into() })
        }
        Route::OpenApi => Ok(json(&openapi::description(context.options.texts))),
        Route::Root if is_page => {
            Ok(Answer { content_type: HTML, body: Bytes::from_static(PAGE.as_bytes()) })
        }
        Route::Predict | Route::Root | Route::Tokenize | Route::Detect => {
            let object = body::read(request, context.options.body_bytes, until).await?;
            if context.is_stopping() {
                return Err(Refusal::Stopping.into());
            }
            Ok(Answer { content_type: JSON, body: question(context, route, object).await? })
        }
    }
}

/// Answers a question to the model with JSON.
async fn question(context: &Context, route: Route, object: Map<String, Value>) -> Result<Bytes, Problem> {
    let service = &context.service;
    let limits = TextLimits { texts: context.options.texts, bytes: service.limits.line_bytes };
    match route {
        Route::Predict => {
            expect_head(context, HeadKind::Classification)?;
            let Predict { inputs: Inputs { texts, is_list }, truncate } = Predict::parse(object, limits)?;
            Ok(answers::predictions(is_list, &ask::classify(service, texts, truncate).await?).into())
        }
        Route::Root => {
            expect_head(context, HeadKind::Classification)?;
            let Classify { inputs, top_k } = Classify::parse(object, limits)?;
            Ok(answers::labels(&ask::classify(service, inputs.texts, None).await?, top_k).into())
        }
        Route::Detect => {
            expect_head(context, HeadKind::ReplacedTokenDetection)?;
            let Inputs { texts, is_list } = Inputs::parse(object, limits)?;
            let memory = context.budget.reserve(&texts)?;
            Ok(memory.hold(answers::detections(is_list, &ask::detect(service, texts).await?)))
        }
        // Tokens need no worker: the tokenizer is much faster than the model.
        _ => {
            let request = Tokenize::parse(object, limits)?;
            let memory = context.budget.reserve(&request.inputs.texts)?;
            Ok(memory.hold(answers::tokens(&service.pool.loaded(), &request)?))
        }
    }
}

fn expect_head(context: &Context, expected: HeadKind) -> Result<(), Problem> {
    let found = context.service.pool.loaded().head();
    if found == expected {
        return Ok(());
    }
    Err(Problem::path(match found {
        HeadKind::Classification => "the model is a classifier, see /predict; /detect needs another model",
        HeadKind::ReplacedTokenDetection => {
            "the model detects replaced tokens, see /detect; /predict and / need another model"
        }
    }))
}

/// Checks the header Host (RFC 9112, section 3.2).
fn check_host(request: &Request<Incoming>) -> Result<(), Problem> {
    let count = request.headers().get_all(HOST).iter().count();
    if count > 1 || (count == 0 && request.version() == Version::HTTP_11) {
        return Err(Problem::message(format!("{count} headers Host found, expected one")));
    }
    Ok(())
}

fn json(value: &Value) -> Answer {
    Answer { content_type: JSON, body: value.to_string().into() }
}

fn render(outcome: Result<Answer, Problem>) -> Response<Full<Bytes>> {
    let (status, answer, problem) = match outcome {
        Ok(answer) => (StatusCode::OK, answer, None),
        Err(problem) => {
            let answer = Answer { content_type: JSON, body: problem.body().into() };
            (problem.status, answer, Some(problem))
        }
    };
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if answer.content_type == HTML {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
        // A new version of the service has a new page.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    let Some(problem) = problem else { return response };
    if let Some(allow) = problem.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(seconds) = problem.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if problem.closes {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
