//! CRLs and issuer certificates: documents of the generation, sent from its map.
//!
//! They lie under `/crl/` and `/ca/`, which are looked at before OCSP. (No OCSP request in base64 begins so: DER begins
//! with `M`.) A document is never copied to the heap whole: its body holds a handle of the map, which lives on if the
//! generation is replaced while a slow client reads.

use bytes::Bytes;
use hufu_loader::snapshot::Document;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderValue, LAST_MODIFIED,
};
use hyper::{Response, StatusCode};

use crate::body::Body;
use crate::caching::{cache_control, http_date, last_modified, max_age, unchanged};
use crate::http::refused;
use crate::metrics::Event;
use crate::worker::Worker;

/// True for the paths under which documents are looked for.
pub(crate) fn owns(path: &str) -> bool {
    path.starts_with("/crl/") || path.starts_with("/ca/")
}

/// The document at `path`, 304, or 404. `headers` are the request's.
pub(crate) fn response(worker: &Worker, path: &str, headers: &HeaderMap) -> Response<Body> {
    worker.with_snapshot(|snapshot| {
        let Some(snapshot) = snapshot else {
            return refused(StatusCode::SERVICE_UNAVAILABLE);
        };
        match snapshot.document(path) {
            Some(document) => serve(worker, &document, headers),
            None => {
                worker.counters.count(Event::DocumentUnknown);
                refused(StatusCode::NOT_FOUND)
            }
        }
    })
}

fn serve(worker: &Worker, document: &Document<'_>, headers: &HeaderMap) -> Response<Body> {
    worker.counters.count(Event::Document);
    let tag = format!("\"{}\"", document.etag);
    let mut response = Response::new(Body::EMPTY);
    let date = last_modified(document.last_modified, worker.now());
    if unchanged(headers, tag.as_bytes(), date) {
        worker.counters.count(Event::NotModified);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        *response.body_mut() = Body::from(Bytes::from_owner(document.body.clone()));
    }
    let expires = document.expires.unwrap_or(u64::MAX);
    let max_age = max_age(worker.policy.max_age_secs, expires, worker.now());
    let values = response.headers_mut();
    values.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(document.content_type),
    );
    values.insert(
        ETAG,
        HeaderValue::try_from(tag).expect("hex digits make a header value"),
    );
    if let Some(date) = date {
        values.insert(LAST_MODIFIED, http_date(date));
    }
    if let Some(expires) = document.expires {
        values.insert(EXPIRES, http_date(expires));
    }
    values.insert(CACHE_CONTROL, cache_control(max_age));
    response
}
