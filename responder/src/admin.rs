//! The operators' port: `/metrics`, `/healthz`, `/readyz`.
//!
//! Apart from the public port and from the serving threads; runs on the main thread. Everything is summed and formatted
//! when asked for (`exposition`), so that nothing here costs the hot path anything.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use wire::time::UnixSeconds;

use crate::answer::MAX_AHEAD_SECS;
use crate::body::Body;
use crate::exposition;
use crate::metrics::Counters;
use crate::reload::Edge;

/// What the operators' port tells about.
pub(crate) struct Admin {
    pub(crate) edge: Arc<Edge>,
    pub(crate) counters: Vec<Arc<Counters>>,
    /// Connections open at once, all workers together.
    pub(crate) max_connections: usize,
    pub(crate) live_queue: usize,
    pub(crate) clock: fn() -> UnixSeconds,
}

/// Serves for ever.
pub(crate) async fn serve(admin: Rc<Admin>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let admin = Rc::clone(&admin);
        spawn_local(async move {
            converse(socket, |request| admin.respond(request), CONNECTION_TIME).await;
            drop(place);
        });
    }
}

/// One question and its answer, within `time`: whoever does not read it must not keep the place of one who would.
async fn converse(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    respond: impl Fn(&Request<Incoming>) -> Response<Body>,
    time: Duration,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(8 * 1024);
    let service = service_fn(|request| {
        let response = respond(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http.serve_connection(TokioIo::new(socket), service);
    // A scraper that goes away, or is cut off, is not news.
    let _ = tokio::time::timeout(time, connection).await;
}

impl Admin {
    fn respond(&self, request: &Request<Incoming>) -> Response<Body> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n".to_owned());
        }
        match request.uri().path() {
            "/metrics" => match exposition::metrics(self) {
                Ok(metrics) => text(StatusCode::OK, metrics),
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            },
            "/healthz" => text(StatusCode::OK, "alive\n".to_owned()),
            "/readyz" => match self.readiness() {
                Ok(()) => text(StatusCode::OK, "ready\n".to_owned()),
                Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            },
            _ => text(
                StatusCode::NOT_FOUND,
                "/metrics, /healthz or /readyz\n".to_owned(),
            ),
        }
    }

    /// Whether a load balancer should send anyone here: the answers of every issuer of our own are fresh, and so is the
    /// generation. Another authority's CRL that runs out is for the metrics alone: it would take every edge out of service
    /// at once, for our own issuers too, and no edge could do better.
    pub(crate) fn readiness(&self) -> Result<(), String> {
        let now = (self.clock)();
        if self.edge.draining.load(Ordering::Relaxed) {
            return Err("draining: the process has been told to stop".to_owned());
        }
        let Some(snapshot) = self.edge.snapshot() else {
            let why = self
                .edge
                .refusal()
                .unwrap_or_else(|| "none looked for yet".to_owned());
            return Err(format!("no generation: {why}"));
        };
        let number = snapshot.number();
        if now > snapshot.valid_until() {
            return Err(format!(
                "generation {number} was valid until {}, {} s ago: is `hufu-loader follow` running?",
                snapshot.valid_until(),
                now - snapshot.valid_until()
            ));
        }
        for issuer in snapshot.issuers().filter(|issuer| !issuer.repeats_list) {
            if let Some(ended) = issuer.soonest_next_update.filter(|end| *end <= now) {
                return Err(format!(
                    "generation {number}: answers of issuer {} are past their nextUpdate since {} s",
                    issuer.id,
                    now - ended
                ));
            }
            if let Some(begins) = issuer
                .newest_this_update
                .filter(|begin| *begin > now + MAX_AHEAD_SECS)
            {
                return Err(format!(
                    "generation {number}: answers of issuer {} begin {} s ahead: is the clock right?",
                    issuer.id,
                    begins - now
                ));
            }
        }
        Ok(())
    }
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Scrapers and probes are few; more is an accident.
const MAX_CONNECTIONS: usize = 64;

/// How long a question may take to come: who connects and says nothing must not keep probes away for longer.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long a connection may last, from the accept to the last octet read: longer than any scraper waits.
const CONNECTION_TIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().build().unwrap()
    }

    fn long(_: &Request<Incoming>) -> Response<Body> {
        text(StatusCode::OK, "a line\n".repeat(1_000))
    }

    #[test]
    fn scraper_that_does_not_read_keeps_its_place() {
        runtime().block_on(async {
            let (mut client, socket) = duplex(64);
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            // Ends by itself.
            let ended = converse(socket, long, Duration::from_millis(50));
            let ended = tokio::time::timeout(2 * CONNECTION_TIME, ended).await;
            assert!(ended.is_ok());
        });
    }

    #[test]
    fn answer_is_cut_short_or_its_connection_kept() {
        runtime().block_on(async {
            let (mut client, socket) = duplex(64);
            let mut said = String::new();
            tokio::join!(converse(socket, long, CONNECTION_TIME), async {
                client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
                client.read_to_string(&mut said).await.unwrap();
            });
            assert!(said.contains("connection: close"), "{said}");
            assert_eq!(said.matches("a line\n").count(), 1_000);
        });
    }
}
