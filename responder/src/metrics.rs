//! What is counted, and where.
//!
//! On the hot path a count is an addition to a cell that only this core writes ([`Counters`]); the cells are summed when
//! metrics are scraped (`admin`). Nothing is looked up by label and no cache line is written by two cores.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::answer::{Answer, Refusal};

/// Everything counted per core. The order is that of [`Event::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Event {
    // What OCSP requests came to.
    Good,
    Revoked,
    Malformed,
    UnknownIssuer,
    UnknownSerial,
    SeveralCertIds,
    NotYetValid,
    PastNextUpdate,
    NoGeneration,
    PastValidUntil,
    Internal,
    // How they came.
    ByGet,
    ByPost,
    // The rest of HTTP.
    NotModified,
    Document,
    DocumentUnknown,
    MethodRefused,
    BodyTooLong,
    TargetTooLong,
    BadHttp,
    // Connections.
    Accepted,
    AcceptFailed,
    LimitReached,
    RequestTimeout,
    IdleTimeout,
    Panicked,
}

/// A metric's name, its help, and for each of its events the label value.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) label: &'static str,
    pub(crate) events: &'static [(Event, &'static str)],
}

/// All counters that operators see.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "hufu_ocsp_responses_total",
        help: "OCSP responses by outcome; not_yet_valid must stay at zero, past_next_update too unless another authority's CRL has run out (hufu_issuer_foreign)",
        label: "outcome",
        events: &[
            (Event::Good, "good"),
            (Event::Revoked, "revoked"),
            (Event::Malformed, "malformed"),
            (Event::UnknownIssuer, "unknown_issuer"),
            (Event::UnknownSerial, "unknown_serial"),
            (Event::SeveralCertIds, "several_cert_ids"),
            (Event::NotYetValid, "not_yet_valid"),
            (Event::PastNextUpdate, "past_next_update"),
            (Event::NoGeneration, "no_generation"),
            (Event::PastValidUntil, "past_valid_until"),
            (Event::Internal, "internal"),
        ],
    },
    Family {
        name: "hufu_ocsp_requests_total",
        help: "OCSP requests by HTTP method; HEAD counts as get",
        label: "method",
        events: &[(Event::ByGet, "get"), (Event::ByPost, "post")],
    },
    Family {
        name: "hufu_http_not_modified_total",
        help: "Answers and documents that the client already had (304)",
        label: "",
        events: &[(Event::NotModified, "")],
    },
    Family {
        name: "hufu_documents_total",
        help: "Requests for CRLs and certificates",
        label: "result",
        events: &[
            (Event::Document, "served"),
            (Event::DocumentUnknown, "not_found"),
        ],
    },
    Family {
        name: "hufu_http_refused_total",
        help: "Requests refused before OCSP was looked at",
        label: "reason",
        events: &[
            (Event::MethodRefused, "method"),
            (Event::BodyTooLong, "body_too_long"),
            (Event::TargetTooLong, "target_too_long"),
            (Event::BadHttp, "syntax"),
        ],
    },
    Family {
        name: "hufu_connections_accepted_total",
        help: "Connections accepted",
        label: "",
        events: &[(Event::Accepted, "")],
    },
    Family {
        name: "hufu_accept_errors_total",
        help: "Connections that could not be accepted (file descriptors, memory)",
        label: "",
        events: &[(Event::AcceptFailed, "")],
    },
    Family {
        name: "hufu_connection_limit_reached_total",
        help: "Times a worker stopped accepting because max-connections were open",
        label: "",
        events: &[(Event::LimitReached, "")],
    },
    Family {
        name: "hufu_connection_timeouts_total",
        help: "Connections closed for lack of progress",
        label: "in",
        events: &[
            (Event::RequestTimeout, "request"),
            (Event::IdleTimeout, "idle"),
        ],
    },
    Family {
        name: "hufu_connection_panics_total",
        help: "Connections closed by a defect of the responder: must stay at zero",
        label: "",
        events: &[(Event::Panicked, "")],
    },
];

const EVENTS: usize = Event::Panicked as usize + 1;

/// The cells of one core, on cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Counters {
    cells: [AtomicU64; EVENTS],
    open: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            cells: [const { AtomicU64::new(0) }; EVENTS],
            open: AtomicU64::new(0),
        }
    }
}

impl Counters {
    /// Counts one. Only the owning core may call it: load and store, no locked addition.
    #[inline]
    pub(crate) fn count(&self, event: Event) {
        let cell = &self.cells[event as usize];
        cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// What has been counted.
    pub(crate) fn read(&self, event: Event) -> u64 {
        self.cells[event as usize].load(Ordering::Relaxed)
    }

    /// Notes how many connections are open on this core.
    pub(crate) fn note_open(&self, connections: usize) {
        self.open.store(connections as u64, Ordering::Relaxed);
    }

    /// Connections open on this core.
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
}

impl From<&Answer> for Event {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Signed(signed) if signed.revoked => Self::Revoked,
            Answer::Signed(_) => Self::Good,
            Answer::Refused(refusal) => match refusal {
                Refusal::Malformed => Self::Malformed,
                Refusal::UnknownIssuer => Self::UnknownIssuer,
                Refusal::UnknownSerial => Self::UnknownSerial,
                Refusal::SeveralCertIds => Self::SeveralCertIds,
                Refusal::NotYetValid => Self::NotYetValid,
                Refusal::PastNextUpdate => Self::PastNextUpdate,
                Refusal::NoGeneration => Self::NoGeneration,
                Refusal::PastValidUntil => Self::PastValidUntil,
                Refusal::Internal => Self::Internal,
            },
        }
    }
}
