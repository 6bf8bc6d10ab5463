//! What an OCSP answer travels under: its status and header fields, defined here once for both ways out, hyper's (`http`)
//! and the express lane's (`lane`).
//!
//! | answer | status | fields |
//! |---|---|---|
//! | signed | 200 | ETag, Last-Modified unless it is of this second, Expires, Cache-Control, Content-Type |
//! | signed, and the client has it already | 304 | the same but Content-Type |
//! | an OCSP error | 200 | Cache-Control: no-store, Content-Type |

use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HeaderName, HeaderValue, LAST_MODIFIED,
};
use wire::time::UnixSeconds;

use crate::answer::Answer;
use crate::caching::{entity_tag, last_modified, max_age};
use crate::metrics::Event;
use crate::worker::Worker;

/// Where the fields of an answer go: hyper's map, or the express lane's octets.
pub(crate) trait Fields {
    /// One more field; in the order of the table above.
    fn put(&mut self, name: HeaderName, value: Value<'_>);
}

/// The value of a field.
pub(crate) enum Value<'a> {
    /// The worker keeps it: to share it costs no copy.
    Kept(&'a HeaderValue),
    /// Made for this answer; printable ASCII.
    Made(&'a [u8]),
}

/// Whether caches may keep an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// So long, under this name.
    Until {
        identity: (u64, u64),
        this_update: UnixSeconds,
        next_update: UnixSeconds,
        /// It says `revoked`: a copy that says `good` must not pass for it.
        revoked: bool,
    },
    /// Not at all.
    No,
}

impl Keep {
    pub(crate) fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Signed(signed) => Self::Until {
                identity: signed.identity,
                this_update: signed.this_update,
                next_update: signed.next_update,
                revoked: signed.revoked,
            },
            // RFC 9919 §7.2: an answer that is not authoritative SHOULD say no-store.
            Answer::Refused(_) => Self::No,
        }
    }
}

/// Whether the client has the answer already, and what it is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Telling {
    /// 200, fields and octets.
    Whole,
    /// 304, fields only.
    NotModified,
}

impl Telling {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Whole => StatusCode::OK,
            Self::NotModified => StatusCode::NOT_MODIFIED,
        }
    }

    /// What to tell; counts the 304. `has` says of a tag and a date whether they are of the copy that the client has.
    pub(crate) fn of(
        worker: &Worker,
        keep: Keep,
        has: impl FnOnce(&[u8], Option<UnixSeconds>) -> bool,
    ) -> Self {
        let Keep::Until {
            identity,
            this_update,
            revoked,
            ..
        } = keep
        else {
            return Self::Whole;
        };
        // A certificate can be called good and revoked within one second, and then both answers have this date: by it
        // alone nobody learns that a copy which says good will do.
        let date = last_modified(this_update, worker.now()).filter(|_| !revoked);
        if !has(&entity_tag(identity), date) {
            return Self::Whole;
        }
        worker.counters.count(Event::NotModified);
        Self::NotModified
    }
}

/// Puts the fields of an answer.
pub(crate) fn put_fields(worker: &Worker, keep: Keep, telling: Telling, fields: &mut impl Fields) {
    match keep {
        // RFC 9919 §6: a cacheable answer carries Content-Type, Content-Length, Last-Modified, ETag, Expires, Cache-Control and Date.
        Keep::Until {
            identity,
            this_update,
            next_update,
            ..
        } => {
            fields.put(ETAG, Value::Made(&entity_tag(identity)));
            put_freshness(worker, this_update, next_update, fields);
        }
        Keep::No => fields.put(CACHE_CONTROL, Value::Kept(&NO_STORE)),
    }
    if telling == Telling::Whole {
        // RFC 6960 §A.2: the answer's media type is application/ocsp-response.
        fields.put(CONTENT_TYPE, Value::Kept(&OCSP_RESPONSE));
    }
}

fn put_freshness(
    worker: &Worker,
    this_update: UnixSeconds,
    next_update: UnixSeconds,
    fields: &mut impl Fields,
) {
    let max_age = max_age(worker.policy.max_age_secs, next_update, worker.now());
    let mut cache = worker.freshness.borrow_mut();
    let freshness = cache.of(this_update, next_update, max_age);
    if last_modified(this_update, worker.now()).is_some() {
        fields.put(LAST_MODIFIED, Value::Kept(&freshness.last_modified));
    }
    fields.put(EXPIRES, Value::Kept(&freshness.expires));
    fields.put(CACHE_CONTROL, Value::Kept(&freshness.cache_control));
}

static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
static OCSP_RESPONSE: HeaderValue = HeaderValue::from_static("application/ocsp-response");
