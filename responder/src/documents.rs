//! CRLs and certificates: documents of the generation, sent from its map.
//!
//! They lie under `/crl/` and `/ca/`, which are looked at before OCSP. (No OCSP request in base64 begins so: DER begins
//! with `M`.) A document is never copied to the heap whole: its body holds a handle of the map, which lives on if the
//! generation is replaced while a slow client reads. Nothing is compressed here: what the loader made when it published is
//! chosen (`negotiation`) and sent, whole or in part (`ranges`); each form has a strong tag of its own.
//!
//! | condition | answer |
//! |---|---|
//! | If-Match, else If-Unmodified-Since, does not hold | 412 |
//! | If-None-Match, else If-Modified-Since, says that the client has it | 304 |
//! | a range of octets that are there, If-Range permitting | 206 |
//! | a range of none that are there | 416 |
//! | no form that the client accepts | 406 |
//! | otherwise | 200 |

use bytes::Bytes;
use hufu_loader::manifest::Encoding;
use hufu_loader::snapshot::{Body as Octets, Document};
use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES,
    HeaderMap, HeaderValue, LAST_MODIFIED, VARY,
};
use hyper::{Method, Response, StatusCode};
use wire::time::UnixSeconds;

use crate::body::Body;
use crate::caching::{cache_control, http_date, is_not_met, last_modified, max_age, unchanged};
use crate::http::refused;
use crate::metrics::Event;
use crate::negotiation::{Choice, choose};
use crate::ranges::{self, Part};
use crate::worker::Worker;

/// True for the paths under which documents are looked for.
pub(crate) fn owns(path: &str) -> bool {
    path.starts_with("/crl/") || path.starts_with("/ca/")
}

/// The document at `path`, or why not. `headers` are the request's; its method is GET or HEAD.
pub(crate) fn response(
    worker: &Worker,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Response<Body> {
    worker.with_snapshot(|snapshot| {
        let Some(snapshot) = snapshot else {
            return refused(StatusCode::SERVICE_UNAVAILABLE);
        };
        match snapshot.document(path) {
            Some(document) => {
                worker.counters.count(Event::Document);
                let served = Served::choose(&document, headers);
                served.map_or_else(
                    || not_acceptable(&document),
                    |served| served.response(worker, method, headers),
                )
            }
            None => {
                worker.counters.count(Event::DocumentUnknown);
                refused(StatusCode::NOT_FOUND)
            }
        }
    })
}

/// A document in the form that suits the client.
struct Served<'s> {
    document: &'s Document<'s>,
    encoding: Option<Encoding>,
    octets: &'s Octets,
    /// With its quotation marks.
    tag: String,
}

impl<'s> Served<'s> {
    fn choose(document: &'s Document<'s>, headers: &HeaderMap) -> Option<Self> {
        let smallest_first = {
            let mut forms: Vec<_> = document.encoded.iter().collect();
            forms.sort_by_key(|form| form.body.as_ref().len());
            forms
        };
        let form = match choose(headers, smallest_first.iter().map(|form| form.encoding)) {
            Choice::Nothing => return None,
            Choice::Identity => None,
            Choice::Encoded(encoding) => {
                let mut forms = smallest_first.into_iter();
                forms.find(|form| form.encoding == encoding)
            }
        };
        // RFC 9110 §8.8.3.3: two encodings of a document need two strong tags.
        let tag = form.map_or(document.etag, |form| &form.etag);
        Some(Self {
            document,
            encoding: form.map(|form| form.encoding),
            octets: form.map_or(document.body, |form| &form.body),
            tag: format!("\"{tag}\""),
        })
    }

    // RFC 9110 §13.2.2: conditions are judged in this order, the range last.
    fn response(&self, worker: &Worker, method: &Method, headers: &HeaderMap) -> Response<Body> {
        let date = last_modified(self.document.last_modified, worker.now());
        if is_not_met(headers, self.tag.as_bytes(), date) {
            return self.without_octets(StatusCode::PRECONDITION_FAILED);
        }
        if unchanged(headers, self.tag.as_bytes(), date) {
            worker.counters.count(Event::NotModified);
            return self.not_modified(worker, date);
        }
        let octets = Bytes::from_owner(self.octets.clone());
        // RFC 9110 §14.2: ranges are defined for GET only; HEAD tells of the whole.
        let part = if method == Method::GET {
            ranges::asked(headers, self.tag.as_bytes(), octets.len())
        } else {
            Part::Whole
        };
        let whole = octets.len();
        let mut response = match part {
            Part::Whole => Response::new(Body::from(octets)),
            Part::Octets(range) => {
                let told = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
                let mut response = Response::new(Body::from(octets.slice(range)));
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                // RFC 9110 §15.3.7.1: a single part MUST be sent with Content-Range.
                response.headers_mut().insert(CONTENT_RANGE, text(told));
                response
            }
            Part::Unsatisfiable => {
                // RFC 9110 §15.5.17: 416 SHOULD tell the length that there is.
                let mut response = self.without_octets(StatusCode::RANGE_NOT_SATISFIABLE);
                let told = text(format!("bytes */{whole}"));
                response.headers_mut().insert(CONTENT_RANGE, told);
                return response;
            }
        };
        let values = response.headers_mut();
        values.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(self.document.content_type),
        );
        if let Some(encoding) = self.encoding {
            values.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.token()));
        }
        values.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        self.tell_caches(worker, date, values);
        response
    }

    // RFC 9110 §15.4.5: 304 MUST repeat ETag, Expires, Cache-Control and Vary of the 200, and SHOULD NOT describe the octets.
    fn not_modified(&self, worker: &Worker, date: Option<UnixSeconds>) -> Response<Body> {
        let mut response = Response::new(Body::EMPTY);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        self.tell_caches(worker, date, response.headers_mut());
        response
    }

    fn tell_caches(&self, worker: &Worker, date: Option<UnixSeconds>, values: &mut HeaderMap) {
        let document = self.document;
        values.insert(ETAG, text(self.tag.clone()));
        if let Some(date) = date {
            values.insert(LAST_MODIFIED, http_date(date));
        }
        if let Some(expires) = document.expires {
            values.insert(EXPIRES, http_date(expires));
        }
        let expires = document.expires.unwrap_or(u64::MAX);
        let max_age = max_age(worker.policy.max_age_secs, expires, worker.now());
        values.insert(CACHE_CONTROL, cache_control(max_age));
        vary(document, values);
    }

    fn without_octets(&self, status: StatusCode) -> Response<Body> {
        let mut response = refused(status);
        vary(self.document, response.headers_mut());
        response
    }
}

// RFC 9110 §12.5.3: with the document refused as it is and in every form there is, nothing is left to send.
fn not_acceptable(document: &Document<'_>) -> Response<Body> {
    let mut response = refused(StatusCode::NOT_ACCEPTABLE);
    vary(document, response.headers_mut());
    response
}

// RFC 9110 §12.5.5: what was chosen by Accept-Encoding says so, or a cache gives one client's form to another.
fn vary(document: &Document<'_>, values: &mut HeaderMap) {
    if !document.encoded.is_empty() {
        values.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

fn text(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("digits and words make a header value")
}
