//! A lane in this process whose answers wait until somebody attends to its desk.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use wire::request::build_request;
use wire::serial::Serial;
use wire::time::UnixSeconds;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::{prefix_of, read};
use crate::adopt::tests::{adopt, elsewhere, stage};
use crate::ca::tests::{founded, now};
use crate::live::book::{Book, Shelf};
use crate::live::cache::Cache;
use crate::live::desk::{Desk, Tray};
use crate::live::flights::Flights;
use crate::live::lane::Lane;
use crate::live::metrics::Metrics;
use crate::office::Office;
use crate::registry::{Blocking, SqliteStore};
use crate::serve::Shift;

/// Long enough on any machine; whoever waits for it has failed.
pub(super) const LONG: Duration = Duration::from_secs(3_600);
/// What a machine may take that has other things to do.
pub(super) const GENEROUS: Duration = Duration::from_secs(60);
pub(super) const ARCHIVE_SECS: u64 = 86_400;

/// A lane with so many places that answers by this book, and what lies on its desk. Nothing is kept.
pub(super) fn lane(
    store: SqliteStore,
    book: Book,
    queue: usize,
    clock: fn() -> UnixSeconds,
) -> (Lane<SqliteStore>, Tray) {
    let (desk, tray) = Desk::new(queue);
    let lane = Lane {
        store,
        shelf: Shelf::new(book),
        cache: Cache::new(0),
        flights: Flights::default(),
        places: Semaphore::new(queue),
        queue,
        deadline: LONG,
        archive_secs: ARCHIVE_SECS,
        metrics: Metrics::new(queue).unwrap(),
        desk,
        clock,
    };
    (lane, tray)
}

/// A lane that answers for nobody.
pub(super) fn empty_lane() -> (TempDir, Lane<SqliteStore>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let registry = Blocking::open(|| async move { SqliteStore::open(&path).await }).unwrap();
    let (lane, _) = lane(registry.store().clone(), Book::default(), 1, now);
    (folder, lane)
}

/// An office that adopted another authority's list. No question about it waits for anything but the desk: polled once, a
/// request is as far as it gets.
pub(super) struct Adopted {
    _there: TempDir,
    _here: TempDir,
    office: Office<SqliteStore>,
    prefix: Vec<u8>,
    pub(super) list: Vec<u8>,
    pub(super) revoked: Serial,
}

impl Adopted {
    pub(super) fn new() -> Self {
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (issuer, list, serials) = elsewhere(there.path(), "p256", 1);
        let office = founded(here.path());
        let _ = stage(here.path(), &issuer, &list, None);
        let (_, certificate) = X509Certificate::from_der(&issuer).unwrap();
        let mut shift = Shift::begin(&office).unwrap();
        let _ = adopt(&mut shift, now());
        drop(shift);
        Self {
            _there: there,
            _here: here,
            office,
            prefix: prefix_of(
                certificate.subject().as_raw(),
                &certificate.public_key().subject_public_key.data,
            ),
            list,
            revoked: serials[0],
        }
    }

    pub(super) fn lane(&self, queue: usize) -> (Lane<SqliteStore>, Tray) {
        let book = read(&self.office, &Book::default(), now());
        lane(self.office.registry.store().clone(), book, queue, now)
    }

    /// A question about the revoked certificate.
    pub(super) fn question(&self, nonce: Option<&[u8]>) -> Vec<u8> {
        self.question_about(&self.revoked, nonce)
    }

    pub(super) fn question_about(&self, serial: &Serial, nonce: Option<&[u8]>) -> Vec<u8> {
        build_request(&self.prefix, serial.content(), nonce)
    }
}

pub(in crate::live) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// What a future comes to. One that never ends fails its test; nobody has to find out which one hangs.
pub(in crate::live) fn within<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    let limited = runtime.block_on(async { tokio::time::timeout(GENEROUS, future).await });
    limited.expect("it waits for ever")
}

/// What a future comes to when it is asked once.
pub(super) fn once<F: Future>(future: Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
