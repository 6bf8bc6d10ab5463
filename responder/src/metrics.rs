//! What is counted, and where.
//!
//! On the hot path a count is an addition to a cell that only this core writes ([`Counters`]); the cells are summed when
//! metrics are scraped (`exposition`). Nothing is looked up by label and no cache line is written by two cores. What all
//! of it costs an answer is measured in `benches/benches/metrics.rs`.
//!
//! A new counter is two lines: an `Event`, and its place in `FAMILIES`; `docs/METRICS.md` says what it means.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::CertIdForm;
use wire::request::OcspRequest;

use crate::answer::{Answer, Refusal, Variant};
use crate::histogram::Histogram;

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
    LiveAway,
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
    BadHttp2,
    Http2LimitReached,
    // The live lane.
    LiveAnswered,
    LiveCached,
    LiveFull,
    LiveTimeout,
    LiveUnreachable,
    LiveDiscarded,
    LiveRefused,
    LiveFellBack,
    LiveTryLater,
    // Connections.
    Accepted,
    Http2,
    Handshake,
    HandshakeFailed,
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
            (Event::LiveAway, "live_away"),
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
            (Event::BadHttp2, "http2"),
            (Event::Http2LimitReached, "http2_limit"),
        ],
    },
    Family {
        name: "hufu_live_requests_total",
        help: "Requests that are the live lane's, by what became of them there",
        label: "outcome",
        events: &[
            (Event::LiveAnswered, "answered"),
            (Event::LiveCached, "cached"),
            (Event::LiveFull, "full"),
            (Event::LiveTimeout, "timeout"),
            (Event::LiveUnreachable, "unreachable"),
            (Event::LiveDiscarded, "discarded"),
            (Event::LiveRefused, "refused"),
        ],
    },
    Family {
        name: "hufu_live_fallbacks_total",
        help: "Requests the live lane did not answer, by what was answered instead",
        label: "to",
        events: &[
            (Event::LiveFellBack, "pre_signed"),
            (Event::LiveTryLater, "try_later"),
        ],
    },
    Family {
        name: "hufu_connections_accepted_total",
        help: "Connections accepted",
        label: "",
        events: &[(Event::Accepted, "")],
    },
    Family {
        name: "hufu_http2_connections_total",
        help: "Connections that speak HTTP/2",
        label: "",
        events: &[(Event::Http2, "")],
    },
    Family {
        name: "hufu_tls_handshakes_total",
        help: "TLS handshakes; scanners and clients that do not trust the certificate make failed ones",
        label: "result",
        events: &[
            (Event::Handshake, "done"),
            (Event::HandshakeFailed, "failed"),
        ],
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
pub struct Counters {
    cells: [AtomicU64; EVENTS],
    /// Signed answers: [`FORMS`] by [`ALGORITHMS`].
    variants: [AtomicU64; FORMS * ALGORITHMS],
    /// Well-formed questions that got no signed answer, by form; the last one counts forms we do not know.
    refused_forms: [AtomicU64; FORMS + 1],
    durations: Histogram,
    exchanges: Histogram,
    open: AtomicU64,
    live: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            cells: [const { AtomicU64::new(0) }; EVENTS],
            variants: [const { AtomicU64::new(0) }; FORMS * ALGORITHMS],
            refused_forms: [const { AtomicU64::new(0) }; FORMS + 1],
            durations: Histogram::new(DURATION_BOUNDS),
            exchanges: Histogram::new(EXCHANGE_BOUNDS),
            open: AtomicU64::new(0),
            live: AtomicU64::new(0),
        }
    }
}

impl Counters {
    /// Notes an answer: its outcome, its variant or at least the form of its `CertID`, and how long it took since `began`.
    /// Only the owning core may call it.
    #[inline]
    pub fn note(&self, answer: &Answer, request: &[u8], began: Instant) {
        self.count(Event::from(answer));
        match answer {
            // RFC 9919 §3.2.1: which CertID hash clients use is noted, so that SHA-1 can be retired one day.
            Answer::Signed(signed) => add_one(&self.variants[index(signed.variant)]),
            Answer::Refused(Refusal::Malformed) => {}
            Answer::Refused(_) => self.note_refused_form(request),
        }
        self.durations.observe(began.elapsed());
    }

    /// A refused question is read once more: it is not the common case, and the hot path hands on nothing for it.
    fn note_refused_form(&self, request: &[u8]) {
        if let Ok(asked) = OcspRequest::parse(request) {
            let form = CertIdForm::of_prefix(asked.first.prefix);
            let place = form.map_or(FORMS, form_index);
            add_one(&self.refused_forms[place]);
        }
    }

    /// Signed answers in this variant.
    pub(crate) fn answers(&self, variant: Variant) -> u64 {
        self.variants[index(variant)].load(Ordering::Relaxed)
    }

    /// Well-formed questions whose `CertID` has this form, or none of those we know.
    pub(crate) fn questions(&self, form: Option<CertIdForm>) -> u64 {
        let refused = self.refused_forms[form.map_or(FORMS, form_index)].load(Ordering::Relaxed);
        let answered = form.into_iter().flat_map(|form| {
            SignatureAlgorithm::ALL.map(|algorithm| self.answers(Variant { form, algorithm }))
        });
        refused + answered.sum::<u64>()
    }

    /// How long answers took.
    pub(crate) fn durations(&self) -> &Histogram {
        &self.durations
    }

    /// Notes how long the live lane was waited for, whatever came of it. Only the owning core may call it.
    pub(crate) fn note_exchange(&self, time: Duration) {
        self.exchanges.observe(time);
    }

    /// How long the live lane was waited for.
    pub(crate) fn exchanges(&self) -> &Histogram {
        &self.exchanges
    }

    /// Counts one. Only the owning core may call it: load and store, no locked addition.
    #[inline]
    pub(crate) fn count(&self, event: Event) {
        add_one(&self.cells[event as usize]);
    }

    /// What has been counted.
    pub(crate) fn read(&self, event: Event) -> u64 {
        self.cells[event as usize].load(Ordering::Relaxed)
    }

    /// Notes how many connections are open on this core.
    pub(crate) fn note_open(&self, connections: usize) {
        self.open.store(connections as u64, Ordering::Relaxed);
    }

    /// Notes how many requests wait for the live lane on this core.
    pub(crate) fn note_live(&self, requests: usize) {
        self.live.store(requests as u64, Ordering::Relaxed);
    }

    /// Requests that wait for the live lane on this core.
    pub(crate) fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
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
                Refusal::LiveAway => Self::LiveAway,
                Refusal::Internal => Self::Internal,
            },
        }
    }
}

/// One more, in a cell that nobody else writes: load and store, no locked addition.
#[inline]
fn add_one(cell: &AtomicU64) {
    cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[inline]
fn index(variant: Variant) -> usize {
    form_index(variant.form) * ALGORITHMS + usize::from(variant.algorithm.code()) - 1
}

/// Codes begin with one.
#[inline]
fn form_index(form: CertIdForm) -> usize {
    usize::from(form.code()) - 1
}

const FORMS: usize = CertIdForm::ALL.len();
const ALGORITHMS: usize = SignatureAlgorithm::ALL.len();

/// Upper bounds of the latency histogram, nanoseconds: from an answer out of warm memory to a client that waits.
const DURATION_BOUNDS: &[u64] = &[
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
    25_000_000,
    100_000_000,
    1_000_000_000,
];

/// Upper bounds of the time of an exchange with the live lane, nanoseconds: from one signature to the longest deadline.
const EXCHANGE_BOUNDS: &[u64] = &[
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    10_000_000_000,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_a_new_form_or_algorithm_falls_outside_of_its_cells() {
        let mut seen = std::collections::HashSet::new();
        for form in CertIdForm::ALL {
            for algorithm in SignatureAlgorithm::ALL {
                let place = index(Variant { form, algorithm });
                assert!(
                    place < FORMS * ALGORITHMS && seen.insert(place),
                    "{form:?} {algorithm:?}"
                );
            }
        }
    }
}
