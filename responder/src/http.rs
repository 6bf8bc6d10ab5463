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
//! because shared caches keep a 200 without Cache-Control on their own account. Which fields those are says `reply`; most
//! requests are answered with them before hyper sees the connection (`lane`).
//!
//! What HTTP/1.1 wants of a server and this one does not insist on: a Host. Nothing here depends on it, and stock clients
//! of old send none. HTTP/2 (`h2`) and TLS (`tls`) bring their requests to the same [`Responder`].

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue,
};
use hyper::{Method, Request, Response, StatusCode, Version};
use wire::request::MAX_REQUEST_OCTETS;

use crate::answer::Answer;
use crate::body::Body;
use crate::caching::{ascii, unchanged};
use crate::deadlines::Watch;
use crate::documents;
use crate::live::{self, Told};
use crate::metrics::Event;
use crate::reply::{Fields, Keep, Telling, Value, put_fields};
use crate::worker::Worker;

/// A longer target is refused: 4 KiB of request make 5,464 of base64, and percent-encoding adds a little.
pub(crate) const MAX_TARGET_OCTETS: usize = 6 * 1024;

/// Answers the requests of one connection, whatever carries it.
pub(crate) struct Responder {
    worker: Rc<Worker>,
    watch: Rc<Watch>,
}

impl Responder {
    pub(crate) fn new(worker: &Rc<Worker>, watch: &Rc<Watch>) -> Self {
        Self {
            worker: Rc::clone(worker),
            watch: Rc::clone(watch),
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for Responder {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Reply;

    fn call(&self, request: Request<Incoming>) -> Reply {
        let worker = &self.worker;
        let (parts, body) = request.into_parts();
        let framing = Framing::of(parts.version);
        let at_once = |mut response: Response<Body>| {
            if framing == Framing::Octets && !body.is_end_stream() {
                // Nobody reads this body. Closed upon it, the connection would be reset and the answer lost with it.
                self.watch.linger();
                close_after(&mut response);
            }
            Reply::Ready(Some(framing.last_if_draining(worker, response)))
        };
        // RFC 9112 §3.2: a request with two Hosts is answered 400.
        // The lane leaves those to us.
        if parts.headers.get_all(HOST).iter().nth(1).is_some() {
            return at_once(refused(StatusCode::BAD_REQUEST));
        }
        // RFC 9112 §3.2.2: a server MUST accept an absolute-form target.
        let path = parts.uri.path();
        let is_document = documents::owns(path);
        match parts.method {
            // RFC 9110 §9.3.2: HEAD is GET without the body.
            Method::GET | Method::HEAD => {
                let response = if parts.uri.path_and_query().is_some_and(is_too_long) {
                    worker.counters.count(Event::TargetTooLong);
                    // RFC 9110 §15.5.15: a target longer than any question needs is refused.
                    refused(StatusCode::URI_TOO_LONG)
                } else if is_document {
                    documents::response(worker, &parts.method, path, &parts.headers)
                } else {
                    worker.counters.count(Event::ByGet);
                    match worker.answer_path(path.as_bytes()) {
                        Ok((answer, octets)) => {
                            ocsp_response(worker, &answer, octets, parts.headers, Conditions::Apply)
                        }
                        Err(request) => {
                            let asked = ask_live(
                                worker,
                                framing,
                                request,
                                parts.headers,
                                Conditions::Apply,
                            );
                            return Reply::Live(Box::pin(asked));
                        }
                    }
                };
                at_once(response)
            }
            // RFC 9919 §6: the responder answers over HTTP, GET and POST.
            Method::POST if !is_document => {
                // RFC 6960 §A.1: a POST carries the DER of the request as its body.
                worker.counters.count(Event::ByPost);
                if announced_too_long(&parts.headers) {
                    return at_once(framing.body_too_long(worker, &self.watch));
                }
                // None of them counts any more, and a body may be long in coming.
                let headers = emptied(parts.headers);
                // RFC 9112 §7.1: a recipient MUST be able to read the chunked coding.
                Reply::Reading(Reading {
                    upload: Upload::begin(worker, &self.watch, framing),
                    worker: Rc::clone(&self.worker),
                    framing,
                    headers,
                    body,
                    gathered: Bytes::new(),
                })
            }
            _ => {
                worker.counters.count(Event::MethodRefused);
                // RFC 9110 §15.5.6: 405 MUST say in Allow which methods there are.
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
    /// Being asked of the live lane; ends by itself within its deadline.
    Live(Pin<Box<dyn Future<Output = Response<Body>>>>),
}

/// The way of what is not signed ahead.
fn ask_live(
    worker: &Rc<Worker>,
    framing: Framing,
    request: Bytes,
    headers: HeaderMap,
    conditions: Conditions,
) -> impl Future<Output = Response<Body>> + use<> {
    let worker = Rc::clone(worker);
    async move {
        let response = match live::ask(&worker, request).await {
            Told::ByPacks(answer, octets) => {
                ocsp_response(&worker, &answer, octets, headers, conditions)
            }
            Told::Live(fresh, octets) => {
                respond(&worker, fresh.keep(), octets, headers, conditions)
            }
        };
        framing.last_if_draining(&worker, response)
    }
}

/// A POST whose body is still coming.
pub(crate) struct Reading {
    upload: Upload,
    worker: Rc<Worker>,
    framing: Framing,
    /// Empty: the map of the request, to become that of the response.
    headers: HeaderMap,
    body: Incoming,
    gathered: Bytes,
}

impl Future for Reply {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = self.get_mut();
        let response = match reply {
            Self::Ready(response) => response
                .take()
                .expect("hyper polls a reply to its end once"),
            Self::Reading(reading) => match ready!(reading.poll(cx)) {
                Read::Answered(response) => {
                    reading.framing.last_if_draining(&reading.worker, response)
                }
                Read::ForLive(request) => {
                    let Reading {
                        worker,
                        framing,
                        headers,
                        ..
                    } = reading;
                    let headers = std::mem::take(headers);
                    let asked = ask_live(worker, *framing, request, headers, Conditions::Ignore);
                    *reply = Self::Live(Box::pin(asked));
                    return Pin::new(reply).poll(cx);
                }
            },
            Self::Live(asked) => ready!(asked.as_mut().poll(cx)),
        };
        Poll::Ready(Ok(response))
    }
}

/// What a body that was read to its end comes to.
enum Read {
    Answered(Response<Body>),
    ForLive(Bytes),
}

impl Reading {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        let worker = &*self.worker;
        loop {
            let frame = ready!(hyper::body::Body::poll_frame(Pin::new(&mut self.body), cx));
            match frame {
                None => break,
                Some(Err(_)) => {
                    // Broken chunks or a client that left: whoever is still there has sent no valid HTTP.
                    worker.counters.count(Event::BadHttp);
                    let response = self.framing.closing(StatusCode::BAD_REQUEST);
                    return Poll::Ready(Read::Answered(response));
                }
                Some(Ok(frame)) => {
                    let Ok(piece) = frame.into_data() else {
                        continue;
                    };
                    if self.gathered.len() + piece.len() > MAX_REQUEST_OCTETS {
                        let response = self.framing.body_too_long(worker, self.upload.watch());
                        return Poll::Ready(Read::Answered(response));
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
        let Some((answer, octets)) = worker.answer(&self.gathered) else {
            return Poll::Ready(Read::ForLive(std::mem::take(&mut self.gathered)));
        };
        let headers = std::mem::take(&mut self.headers);
        Poll::Ready(Read::Answered(ocsp_response(
            worker,
            &answer,
            octets,
            headers,
            Conditions::Ignore,
        )))
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
    headers: HeaderMap,
    conditions: Conditions,
) -> Response<Body> {
    respond(worker, Keep::of(answer), octets, headers, conditions)
}

fn respond(
    worker: &Worker,
    keep: Keep,
    octets: Bytes,
    headers: HeaderMap,
    conditions: Conditions,
) -> Response<Body> {
    let telling = Telling::of(worker, keep, |tag, date| {
        conditions == Conditions::Apply && unchanged(&headers, tag, date)
    });
    let mut into = Map(emptied(headers));
    put_fields(worker, keep, telling, &mut into);
    let mut response = Response::new(match telling {
        Telling::Whole => Body::from(octets),
        Telling::NotModified => Body::EMPTY,
    });
    *response.status_mut() = telling.status();
    *response.headers_mut() = into.0;
    response
}

/// The same map without its fields; a new one if it has grown large, for it may wait with its answer for a client that does
/// not read.
fn emptied(mut headers: HeaderMap) -> HeaderMap {
    if headers.capacity() > MAX_FIELDS_KEPT {
        return HeaderMap::new();
    }
    headers.clear();
    headers
}

/// The fields of an answer on hyper's way.
struct Map(HeaderMap);

impl Fields for Map {
    fn put(&mut self, name: HeaderName, value: Value<'_>) {
        let value = match value {
            Value::Kept(value) => value.clone(),
            Value::Made(octets) => ascii(Bytes::copy_from_slice(octets)),
        };
        self.0.insert(name, value);
    }
}

/// How requests follow one another on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// HTTP/1: octet after octet. What is not read of one request stands before the next.
    Octets,
    /// HTTP/2: each request is a stream of its own, and the connection says by itself that it ends.
    Streams,
}

impl Framing {
    fn of(version: Version) -> Self {
        if version == Version::HTTP_2 {
            Self::Streams
        } else {
            Self::Octets
        }
    }

    /// A worker that drains says so with its response, so that the client asks elsewhere instead of finding the
    /// connection closed.
    fn last_if_draining(self, worker: &Worker, mut response: Response<Body>) -> Response<Body> {
        // RFC 9113 §8.2.2: HTTP/2 has no Connection header; GOAWAY says it there.
        if self == Self::Octets && worker.connections.is_draining() {
            close_after(&mut response);
        }
        response
    }

    /// A refusal after which the connection cannot go on.
    fn closing(self, status: StatusCode) -> Response<Body> {
        let mut response = refused(status);
        if self == Self::Octets {
            close_after(&mut response);
        }
        response
    }

    fn body_too_long(self, worker: &Worker, watch: &Watch) -> Response<Body> {
        // RFC 9113 §8.1: who has answered early MAY ask the client to stop, by RST_STREAM with NO_ERROR.
        // A body that is dropped unread asks so.
        worker.counters.count(Event::BodyTooLong);
        if self == Self::Octets {
            watch.linger();
        }
        // RFC 9110 §15.5.14: a body longer than is taken is refused, and the connection may be closed.
        self.closing(StatusCode::PAYLOAD_TOO_LARGE)
    }
}

/// A body on its way, as the sweep sees it. Over HTTP/1 the connection itself knows when a request is incomplete; over
/// HTTP/2 only the streams do.
struct Upload {
    worker: Rc<Worker>,
    watch: Rc<Watch>,
    framing: Framing,
}

impl Upload {
    fn begin(worker: &Rc<Worker>, watch: &Rc<Watch>, framing: Framing) -> Self {
        if framing == Framing::Streams {
            watch.begin_upload(worker.connections.tick());
        }
        Self {
            worker: Rc::clone(worker),
            watch: Rc::clone(watch),
            framing,
        }
    }

    fn watch(&self) -> &Watch {
        &self.watch
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.framing == Framing::Streams {
            self.watch.end_upload(self.worker.connections.tick());
        }
    }
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

/// Room for fields that is handed on from a request to its answer: that of an ordinary request.
const MAX_FIELDS_KEPT: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_holds_the_room_of_hundreds_of_fields() {
        let filled = |fields: u32| {
            let name = |number| HeaderName::try_from(format!("x{number}")).unwrap();
            let value = || HeaderValue::from_static("y");
            let filled = (0..fields).map(|number| (name(number), value()));
            filled.collect::<HeaderMap>()
        };
        let few = filled(10);
        let room = few.capacity();
        assert_eq!(emptied(few).capacity(), room, "made anew for nothing");
        let many = emptied(filled(240));
        assert!(many.is_empty() && many.capacity() < 100);
    }
}
