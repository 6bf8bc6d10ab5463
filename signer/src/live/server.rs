//! The port: accept, shake hands where TLS is on, read a request, answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use wire::request::MAX_REQUEST_OCTETS;

use super::lane::{Lane, Reply};
use super::line::{Line, Patience, Stage};
use crate::registry::Store;

/// What the port bears.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// At once; one more waits to be accepted.
    pub(super) connections: usize,
    pub(super) patience: Patience,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: MAX_CONNECTIONS,
            patience: Patience {
                head: HEAD,
                body: BODY,
                taking: TAKING,
                rest: REST,
            },
        }
    }
}

/// Serves for ever.
pub(super) async fn serve<S: Store>(
    lane: Arc<Lane<S>>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((socket, _)) = listener.accept().await else {
            // Out of descriptors: trying again at once would only burn the core that has to free them.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (lane, tls) = (Arc::clone(&lane), tls.clone());
        tokio::spawn(async move {
            lane.metrics.connections.inc();
            converse(&lane, socket, tls, limits.patience).await;
            lane.metrics.connections.dec();
            drop(place);
        });
    }
}

async fn converse<S: Store>(
    lane: &Arc<Lane<S>>,
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
    patience: Patience,
) {
    // Answers are one segment: waiting for more of it would add a delay to each.
    let _ = socket.set_nodelay(true);
    let Some(tls) = tls else {
        return speak(lane, socket, patience).await;
    };
    match tokio::time::timeout(HANDSHAKE, tls.accept(socket)).await {
        Ok(Ok(stream)) => speak(lane, stream, patience).await,
        Ok(Err(error)) => tracing::warn!(%error, "a client of the live lane was turned away"),
        Err(_) => {}
    }
}

/// Answers what is asked on a connection, until its end.
pub(super) async fn speak<S: Store>(
    lane: &Arc<Lane<S>>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    patience: Patience,
) {
    let line = Line::new(stream, patience);
    let stage = line.stage();
    let service = service_fn(|request| {
        // Here, not when the answer is first asked for: hyper reads on in between, and a whole head is not a slow one.
        stage.asked();
        let (lane, stage) = (Arc::clone(lane), stage.clone());
        async move { Ok::<_, Infallible>(respond(&lane, request, &stage, patience.body).await) }
    });
    let mut http = http1::Builder::new();
    // Its one timer for heads counts rests as well: the line has both.
    http.header_read_timeout(None)
        .max_buf_size(MAX_BUFFER_OCTETS);
    // A responder that goes away is not news.
    let _ = http.serve_connection(TokioIo::new(line), service).await;
}

async fn respond<S: Store>(
    lane: &Lane<S>,
    request: Request<Incoming>,
    stage: &Stage,
    patience: Duration,
) -> Response<Full<Bytes>> {
    let response = found(lane, request, patience).await;
    stage.answered();
    response
}

async fn found<S: Store>(
    lane: &Lane<S>,
    request: Request<Incoming>,
    patience: Duration,
) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/ocsp") => {
            // What says that it is too long is not waited for.
            if request.body().size_hint().lower() > MAX_REQUEST_OCTETS as u64 {
                return plain(StatusCode::PAYLOAD_TOO_LARGE, Bytes::new());
            }
            let body = Limited::new(request.into_body(), MAX_REQUEST_OCTETS).collect();
            match tokio::time::timeout(patience, body).await {
                Ok(Ok(body)) => match lane.answer(&body.to_bytes()).await {
                    Ok(reply) => answered(&reply),
                    Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, Bytes::new()),
                },
                Ok(Err(_)) => plain(StatusCode::PAYLOAD_TOO_LARGE, Bytes::new()),
                Err(_) => plain(StatusCode::REQUEST_TIMEOUT, Bytes::new()),
            }
        }
        (&Method::GET, "/metrics") => {
            let Ok(text) = lane.metrics() else {
                return plain(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new());
            };
            let mut response = plain(StatusCode::OK, Bytes::from(text));
            response.headers_mut().insert(
                CONTENT_TYPE,
                HeaderValue::from_static("text/plain; version=0.0.4"),
            );
            response
        }
        (_, "/ocsp" | "/metrics") => plain(StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
        _ => plain(StatusCode::NOT_FOUND, Bytes::new()),
    }
}

fn answered(reply: &Reply) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::OK, reply.octets.clone());
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/ocsp-response"),
    );
    headers.insert("hufu-revision", HeaderValue::from(reply.revision));
    if reply.is_kept {
        headers.insert("hufu-kept", HeaderValue::from_static("1"));
    }
    response
}

fn plain(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

/// Responders have some dozens each.
const MAX_CONNECTIONS: usize = 4_096;
const MAX_BUFFER_OCTETS: usize = 16 * 1024;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// From the first octet of a head to its last; a new connection's first head comes no later than that.
const HEAD: Duration = Duration::from_secs(5);
const BODY: Duration = Duration::from_secs(5);
/// What an answer may take to be taken.
const TAKING: Duration = Duration::from_secs(10);
/// How long a connection may rest between requests; responders keep theirs as long as they can.
const REST: Duration = Duration::from_secs(600);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
