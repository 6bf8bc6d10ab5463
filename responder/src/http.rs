//! HTTP in, HTTP out: which octets of a request are the question, and what status and headers the answer travels under.
//!
//! | request | answer |
//! |---|---|
//! | GET, HEAD `/crl/…`, `/ca/…` | a document of the generation (`documents`), or 404 |
//! | GET, HEAD any other path | the path is the OCSP request (`target`): 200 with an OCSPResponse, or 304 |
//! | POST any other path | the body is the OCSP request, whatever its Content-Type (some clients send none or a wrong one, and the octets tell anyway): 200 |
//! | target over [`MAX_TARGET_OCTETS`] | 414 |
//! | body over 4 KiB, announced or chunked | 413, the rest unread, the connection closed |
//! | any other method | 405 with Allow |
//! | a body where none is expected | the answer, the body unread, the connection closed |
//! | not HTTP | 400, 414 or 431 |
//!
//! Every OCSPResponse is HTTP 200, errors too (RFC 6960 appendix A.2): clients that see a 4xx report a network failure
//! instead of what the responder said. Signed answers carry the headers of RFC 9919 §6; error answers carry `no-store`,
//! because shared caches keep a 200 without Cache-Control on their own account.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap,
    HeaderValue, LAST_MODIFIED,
};
use hyper::{Method, Request, Response, StatusCode};
use wire::request::MAX_REQUEST_OCTETS;

use crate::answer::{Answer, Signed};
use crate::body::Body;
use crate::caching::{ascii, entity_tag, last_modified, max_age, unchanged};
use crate::connection::Connection;
use crate::documents;
use crate::metrics::Event;
use crate::worker::Worker;

/// A longer target is refused: 4 KiB of request make 5,464 of base64, and percent-encoding adds a little.
pub(crate) const MAX_TARGET_OCTETS: usize = 6 * 1024;

/// Answers the requests of one connection.
pub(crate) struct Responder(pub(crate) Rc<Connection>);

impl hyper::service::Service<Request<Incoming>> for Responder {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Reply;

    fn call(&self, request: Request<Incoming>) -> Reply {
        let worker = &*self.0.worker;
        let (parts, body) = request.into_parts();
        let at_once = |mut response: Response<Body>| {
            if !body.is_end_stream() {
                // Nobody reads this body. Closed upon it, the connection would be reset and the answer lost with it.
                self.0.linger();
                close_after(&mut response);
            }
            Reply::Ready(Some(last_if_draining(worker, response)))
        };
        let path = parts.uri.path();
        let is_document = documents::owns(path);
        match parts.method {
            Method::GET | Method::HEAD => {
                let response = if parts.uri.path_and_query().is_some_and(is_too_long) {
                    worker.counters.count(Event::TargetTooLong);
                    refused(StatusCode::URI_TOO_LONG)
                } else if is_document {
                    documents::response(worker, path, &parts.headers)
                } else {
                    worker.counters.count(Event::ByGet);
                    let (answer, octets) = worker.answer_path(path.as_bytes());
                    ocsp_response(worker, &answer, octets, parts.headers, Conditions::Apply)
                };
                at_once(response)
            }
            Method::POST if !is_document => {
                worker.counters.count(Event::ByPost);
                if announced_too_long(&parts.headers) {
                    return at_once(body_too_long(&self.0));
                }
                Reply::Reading(Reading {
                    connection: Rc::clone(&self.0),
                    headers: parts.headers,
                    body,
                    gathered: Bytes::new(),
                })
            }
            _ => {
                worker.counters.count(Event::MethodRefused);
                let mut response = refused(StatusCode::METHOD_NOT_ALLOWED);
                let allowed = if is_document {
                    "GET, HEAD"
                } else {
                    "GET, HEAD, POST"
                };
                response
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static(allowed));
                at_once(response)
            }
        }
    }
}

/// A response, at once or when the body is there.
pub(crate) enum Reply {
    Ready(Option<Response<Body>>),
    Reading(Reading),
}

/// A POST whose body is still coming.
pub(crate) struct Reading {
    connection: Rc<Connection>,
    headers: HeaderMap,
    body: Incoming,
    gathered: Bytes,
}

impl Future for Reply {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match self.get_mut() {
            Self::Ready(response) => response
                .take()
                .expect("hyper polls a reply to its end once"),
            Self::Reading(reading) => {
                let response = ready!(reading.poll(cx));
                last_if_draining(&reading.connection.worker, response)
            }
        };
        Poll::Ready(Ok(response))
    }
}

impl Reading {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        let worker = &*self.connection.worker;
        loop {
            let frame = ready!(hyper::body::Body::poll_frame(Pin::new(&mut self.body), cx));
            match frame {
                None => break,
                Some(Err(_)) => {
                    // Broken chunks or a client that left: whoever is still there has sent no valid HTTP.
                    worker.counters.count(Event::BadHttp);
                    return Poll::Ready(closing(StatusCode::BAD_REQUEST));
                }
                Some(Ok(frame)) => {
                    let Ok(piece) = frame.into_data() else {
                        continue;
                    };
                    if self.gathered.len() + piece.len() > MAX_REQUEST_OCTETS {
                        return Poll::Ready(body_too_long(&self.connection));
                    }
                    // Nearly every request is one piece, and then is not copied.
                    self.gathered = if self.gathered.is_empty() {
                        piece
                    } else {
                        [&self.gathered[..], &piece].concat().into()
                    };
                }
            }
        }
        let (answer, octets) = worker.answer(&self.gathered);
        let headers = std::mem::take(&mut self.headers);
        Poll::Ready(ocsp_response(
            worker,
            &answer,
            octets,
            headers,
            Conditions::Ignore,
        ))
    }
}

/// Whether If-None-Match and If-Modified-Since count: not for POST (RFC 9110 §13.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conditions {
    Apply,
    Ignore,
}

/// Status and headers for an answer. `headers` are the request's; their map becomes the response's, so that neither
/// allocates.
fn ocsp_response(
    worker: &Worker,
    answer: &Answer,
    octets: Bytes,
    mut headers: HeaderMap,
    conditions: Conditions,
) -> Response<Body> {
    let mut status = StatusCode::OK;
    let mut body = Body::from(octets);
    match answer {
        Answer::Signed(signed) => {
            let tag = entity_tag(signed.identity);
            let date = last_modified(signed.this_update, worker.now());
            if conditions == Conditions::Apply && unchanged(&headers, &tag, date) {
                worker.counters.count(Event::NotModified);
                status = StatusCode::NOT_MODIFIED;
                body = Body::EMPTY;
            }
            headers.clear();
            headers.insert(ETAG, ascii(worker.keep(&tag)));
            insert_freshness(worker, signed, &mut headers);
        }
        Answer::Refused(_) => {
            headers.clear();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }
    if status == StatusCode::OK {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/ocsp-response"),
        );
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn insert_freshness(worker: &Worker, signed: &Signed, headers: &mut HeaderMap) {
    let max_age = max_age(worker.policy.max_age_secs, signed.next_update, worker.now());
    let mut cache = worker.freshness.borrow_mut();
    let freshness = cache.of(signed.this_update, signed.next_update, max_age);
    if last_modified(signed.this_update, worker.now()).is_some() {
        headers.insert(LAST_MODIFIED, freshness.last_modified.clone());
    }
    headers.insert(EXPIRES, freshness.expires.clone());
    headers.insert(CACHE_CONTROL, freshness.cache_control.clone());
}

/// A worker that drains says so with its response, so that the client asks elsewhere instead of finding the connection
/// closed.
fn last_if_draining(worker: &Worker, mut response: Response<Body>) -> Response<Body> {
    if worker.connections.is_draining() {
        close_after(&mut response);
    }
    response
}

fn close_after(response: &mut Response<Body>) {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
}

/// A refusal by HTTP status alone.
pub(crate) fn refused(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::EMPTY);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A refusal after which the connection cannot go on.
fn closing(status: StatusCode) -> Response<Body> {
    let mut response = refused(status);
    close_after(&mut response);
    response
}

fn body_too_long(connection: &Connection) -> Response<Body> {
    connection.worker.counters.count(Event::BodyTooLong);
    connection.linger();
    closing(StatusCode::PAYLOAD_TOO_LARGE)
}

fn announced_too_long(headers: &HeaderMap) -> bool {
    // hyper has refused lengths that are no number or contradict one another.
    headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|length| length > MAX_REQUEST_OCTETS as u64)
}

fn is_too_long(target: &hyper::http::uri::PathAndQuery) -> bool {
    target.as_str().len() > MAX_TARGET_OCTETS
}
