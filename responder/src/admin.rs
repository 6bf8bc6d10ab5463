//! The operators' port: `/metrics`, `/healthz`, `/readyz`.
//!
//! Apart from the public port and from the serving threads; runs on the main thread. Everything is summed and formatted
//! when asked for, so that nothing here costs the hot path anything.

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
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use wire::time::UnixSeconds;

use crate::answer::MAX_AHEAD_SECS;
use crate::body::Body;
use crate::metrics::{Counters, FAMILIES};
use crate::reload::Edge;

/// What the operators' port tells about.
pub(crate) struct Admin {
    pub(crate) edge: Arc<Edge>,
    pub(crate) counters: Vec<Arc<Counters>>,
    pub(crate) clock: fn() -> UnixSeconds,
}

/// Serves for ever.
pub(crate) async fn serve(admin: Rc<Admin>, listener: TcpListener) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10))
        .max_buf_size(8 * 1024);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let admin = Rc::clone(&admin);
        let service = service_fn(move |request| {
            let response = admin.respond(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http.serve_connection(TokioIo::new(socket), service);
        spawn_local(async move {
            // A scraper that goes away is not news.
            let _ = connection.await;
            drop(place);
        });
    }
}

impl Admin {
    fn respond(&self, request: &Request<Incoming>) -> Response<Body> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n".to_owned());
        }
        match request.uri().path() {
            "/metrics" => match self.metrics() {
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
    fn readiness(&self) -> Result<(), String> {
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

    /// The text that Prometheus reads.
    fn metrics(&self) -> Result<String, prometheus::Error> {
        let registry = Registry::new();
        for family in FAMILIES {
            let samples = family.events.iter().map(|(event, value)| {
                let sum = self
                    .counters
                    .iter()
                    .map(|counters| counters.read(*event))
                    .sum();
                (*value, sum)
            });
            counter(&registry, family.name, family.help, family.label, samples)?;
        }
        counter(
            &registry,
            "hufu_generations_refused_total",
            "Generations refused; the one before serves on",
            "reason",
            self.edge.refused(),
        )?;
        counter(
            &registry,
            "hufu_generations_taken_total",
            "Generations taken since the start",
            "",
            [("", self.edge.taken())],
        )?;
        let open: u64 = self.counters.iter().map(|counters| counters.open()).sum();
        let ready = u64::from(self.readiness().is_ok());
        gauge(
            &registry,
            "hufu_connections_open",
            "Connections open now",
            "",
            [("", open)],
        )?;
        gauge(
            &registry,
            "hufu_ready",
            "1 if /readyz says so",
            "",
            [("", ready)],
        )?;
        self.generation(&registry)?;
        // Memory, processor time, file descriptors. Absent where /proc is.
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        TextEncoder::new().encode_to_string(&registry.gather())
    }

    fn generation(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        let Some(snapshot) = self.edge.snapshot() else {
            return Ok(());
        };
        let single = [
            (
                "hufu_generation_number",
                "Number of the generation served",
                snapshot.number(),
            ),
            (
                "hufu_generation_revision",
                "Highest registry revision in it",
                snapshot.revision(),
            ),
            (
                "hufu_generation_sealed_at_seconds",
                "When it was sealed, unix time",
                snapshot.sealed_at(),
            ),
            (
                "hufu_generation_valid_until_seconds",
                "Until when it is valid, unix time",
                snapshot.valid_until(),
            ),
        ];
        for (name, help, value) in single {
            gauge(registry, name, help, "", [("", value)])?;
        }
        let issuers: Vec<_> = snapshot
            .issuers()
            .map(|issuer| (issuer.id.to_string(), issuer))
            .collect();
        gauge(
            registry,
            "hufu_issuer_next_update_seconds",
            "The soonest nextUpdate of an issuer's answers, unix time",
            "issuer",
            issuers
                .iter()
                .filter_map(|(id, issuer)| Some((id.as_str(), issuer.soonest_next_update?))),
        )?;
        gauge(
            registry,
            "hufu_issuer_this_update_seconds",
            "The oldest thisUpdate of an issuer's answers, unix time",
            "issuer",
            issuers
                .iter()
                .filter_map(|(id, issuer)| Some((id.as_str(), issuer.oldest_this_update?))),
        )?;
        gauge(
            registry,
            "hufu_issuer_records",
            "Records of an issuer, deltas counted too",
            "issuer",
            issuers
                .iter()
                .map(|(id, issuer)| (id.as_str(), issuer.records)),
        )?;
        gauge(
            registry,
            "hufu_issuer_foreign",
            "1 if an issuer's answers repeat another authority's CRL; readiness does not look at their age",
            "issuer",
            issuers
                .iter()
                .map(|(id, issuer)| (id.as_str(), u64::from(issuer.repeats_list))),
        )?;
        gauge(
            registry,
            "hufu_document_next_update_seconds",
            "nextUpdate of a CRL that is served, unix time; past it clients refuse the CRL",
            "document",
            snapshot
                .document_paths()
                .filter_map(|path| Some((path, snapshot.document(path)?.expires?))),
        )?;
        gauge(
            registry,
            "hufu_issuer_replayed",
            "1 if an issuer's answers replay a CRL of the past",
            "issuer",
            issuers
                .iter()
                .map(|(id, issuer)| (id.as_str(), u64::from(issuer.replayed_as_of.is_some()))),
        )
    }
}

fn counter<'a>(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    samples: impl IntoIterator<Item = (&'a str, u64)>,
) -> Result<(), prometheus::Error> {
    let family = IntCounterVec::new(Opts::new(name, help), labels(&label))?;
    for (value, sum) in samples {
        family
            .get_metric_with_label_values(labels(&value))?
            .inc_by(sum);
    }
    registry.register(Box::new(family))
}

fn gauge<'a>(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    samples: impl IntoIterator<Item = (&'a str, u64)>,
) -> Result<(), prometheus::Error> {
    let family = IntGaugeVec::new(Opts::new(name, help), labels(&label))?;
    for (value, level) in samples {
        let level = i64::try_from(level).unwrap_or(i64::MAX);
        family
            .get_metric_with_label_values(labels(&value))?
            .set(level);
    }
    registry.register(Box::new(family))
}

/// One label, or none if it is empty.
fn labels<'a, 'b>(label: &'a &'b str) -> &'a [&'b str] {
    if label.is_empty() {
        &[]
    } else {
        std::slice::from_ref(label)
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
