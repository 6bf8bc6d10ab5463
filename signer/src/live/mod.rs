//! The live lane: answers signed when they are asked for. Nonces, several certificates in one request, forms of `CertID` that
//! are not signed ahead, certificates that are on nobody's list.
//!
//! | file | holds |
//! |---|---|
//! | `settings.rs` | the `[live]` table and the flags, checked |
//! | `server.rs`, `line.rs`, `tls.rs` | the port: HTTP/1.1, its limits, mutual TLS off loopback |
//! | `lane.rs` | the way of a request, step by step |
//! | `question.rs` | what is asked, about which issuer |
//! | `status.rs` | what is said: from the registry, or from our own reading of another authority's list |
//! | `book.rs`, `list.rs` | issuers, their signers (they roll over while this runs), lists |
//! | `cache.rs`, `flights.rs` | answers without nonce, kept; identical questions, signed once |
//! | `desk.rs` | the signing threads and what waits for them |
//! | `metrics.rs` | what is counted |
//!
//! A status comes from the registry's reading side or from a list that was judged here, never from a pack. This process
//! makes no key and writes nothing: `hufu-signer serve` keeps signers and adopts lists, and this one follows.
//!
//! The port is for responders: `POST /ocsp` with the octets of an OCSP request. The answer is 200 with an `OCSPResponse` and
//! the header `hufu-revision`, the registry's revision at which the status was read (for another authority's list: the
//! revision of its adoption); or 503, at once, when as many requests wait as may.

mod book;
mod cache;
mod desk;
mod flights;
mod lane;
mod line;
mod list;
mod metrics;
mod question;
mod server;
pub mod settings;
mod status;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use wire::time::UnixSeconds;

use crate::ca::CaError;
use crate::office::Office;
use crate::registry::Store;
use book::{Book, Shelf};
use lane::Lane;
use settings::{LiveRefused, LiveSettings, Port};

/// Why the lane does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The settings cannot stand.
    #[error("live lane")]
    Settings(#[from] LiveRefused),
    /// The port is taken, or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Metrics cannot be told.
    #[error("metrics at {address}")]
    Metrics {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// They contradict one another.
    #[error("metrics")]
    Counters(#[from] prometheus::Error),
    /// A certificate or key for the port cannot be used.
    #[error("{}: {kind} expected, as PEM", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What should be in it.
        kind: &'static str,
        /// What was found instead.
        source: rustls::pki_types::pem::Error,
    },
    /// They do not fit together.
    #[error("TLS of the live lane")]
    Tls(#[from] rustls::Error),
    /// The clients' authority cannot be used.
    #[error("the authority of the live lane's clients")]
    Clients(#[from] rustls::server::VerifierBuilderError),
    /// The registry or the keys cannot be read.
    #[error("reading issuers and signers")]
    Book(#[from] CaError),
    /// The system refuses what is needed to run.
    #[error("setting up the process")]
    Process(#[from] std::io::Error),
}

/// Answers until SIGTERM or SIGINT. `clock` is read for each request.
///
/// # Errors
/// [`LiveError`] if it cannot begin.
pub fn run<S: Store + Clone>(
    office: Office<S>,
    settings: &LiveSettings,
    port: &Port,
    clock: fn() -> UnixSeconds,
) -> Result<(), LiveError> {
    let tls = port.tls.as_ref().map(tls::acceptor).transpose()?;
    let book = Book::read(&office, settings, &Book::default(), clock())?;
    tracing::info!(issuers = book.len(), "issuers that are answered for");
    let shelf = Shelf::new(book);
    let store = office.registry.store().clone();
    let archive_secs = office.settings.archive_secs;

    let stop = Arc::new(AtomicBool::new(false));
    let reader = std::thread::Builder::new().name("book".to_owned()).spawn({
        let (shelf, settings, stop) = (shelf.clone(), settings.clone(), Arc::clone(&stop));
        move || keep_reading(&office, &settings, &shelf, clock, &stop)
    })?;
    let (desk, tray) = desk::Desk::new(settings.queue);
    tray.attend(settings.threads)?;
    // The threads hold it: when they are gone, who asks is told so.
    drop(tray);
    let lane = Arc::new(Lane {
        store,
        shelf,
        cache: cache::Cache::new(settings.cache_entries),
        flights: flights::Flights::default(),
        places: tokio::sync::Semaphore::new(settings.queue),
        queue: settings.queue,
        deadline: settings.deadline,
        archive_secs,
        metrics: metrics::Metrics::new(settings.queue)?,
        desk,
        clock,
    });
    if let Some(address) = port.metrics {
        let told = Arc::clone(&lane);
        let address = crate::admin::serve(address, move || told.metrics())
            .map_err(|source| LiveError::Metrics { address, source })?;
        tracing::info!(%address, "telling metrics");
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let listener = tokio::net::TcpListener::bind(port.listen).await;
        let listener = listener.map_err(|source| LiveError::Listen {
            address: port.listen,
            source,
        })?;
        tracing::info!(address = %listener.local_addr()?, tls = tls.is_some(), "live lane listens");
        tokio::select! {
            () = server::serve(Arc::clone(&lane), listener, tls, server::Limits::default()) => {}
            // Who is revoked would sign on.
            () = ended(&reader) => tracing::error!("signers are not looked for any more; the lane ends, to be started anew"),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // What is being signed still goes out; who asks now finds nobody, and falls back.
        let all = u32::try_from(lane.queue).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(DRAIN, lane.places.acquire_many(all)).await;
        Ok(())
    });
    stop.store(true, Ordering::Relaxed);
    // A reader that panicked has said so.
    let _ = reader.join();
    tracing::info!("stopped");
    served
}

/// Returns when a thread has ended.
async fn ended(thread: &std::thread::JoinHandle<()>) {
    while !thread.is_finished() {
        tokio::time::sleep(WATCH).await;
    }
}

/// Reads all that [`run`] needs; how many issuers it would answer for.
///
/// # Errors
/// As [`run`].
pub fn check<S: Store>(
    office: &Office<S>,
    settings: &LiveSettings,
    port: &Port,
    now: UnixSeconds,
) -> Result<usize, LiveError> {
    port.tls.as_ref().map(tls::acceptor).transpose()?;
    Ok(Book::read(office, settings, &Book::default(), now)?.len())
}

/// Looks for new signers and lists: when a revision was taken, and once a second.
fn keep_reading<S: Store>(
    office: &Office<S>,
    settings: &LiveSettings,
    shelf: &Shelf,
    clock: fn() -> UnixSeconds,
    stop: &AtomicBool,
) {
    let poll = Duration::from_millis(office.settings.poll_millis);
    let mut read_at = clock();
    let mut said = String::new();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(poll);
        let now = clock();
        let before = shelf.newest();
        let revision = office.registry.wait(|store| store.revision());
        if now == read_at && revision.is_ok_and(|revision| revision == before.revision) {
            continue;
        }
        read_at = now;
        match Book::read(office, settings, &before, now) {
            Ok(book) => {
                shelf.put(book);
                said.clear();
            }
            Err(error) => {
                let cause = crate::error::sentence(&error);
                if cause != said {
                    tracing::error!(%cause, "issuers and signers cannot be read; those known go on");
                    said = cause;
                }
            }
        }
    }
}

/// How often it is looked whether signers are still looked for.
const WATCH: Duration = Duration::from_secs(1);
/// What requests in progress get after a signal.
const DRAIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
