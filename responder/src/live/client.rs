//! Connections to the lane: HTTP/1.1, one request at a time on each, kept open between requests.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use super::settings::{Live, Tls};
use crate::answer::MAX_ANSWER_OCTETS;
use crate::metrics::Event;

/// Why there is no answer from the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It has no room.
    Full,
    /// It did not answer before the deadline.
    Late,
    /// It cannot be reached, or broke off.
    Away,
    /// It answered from before what the packs show.
    OldRevision,
    /// It answered something else than was asked.
    Unfit,
    /// It knows no answer: `unauthorized`.
    Refused,
}

impl Failure {
    pub(super) fn event(self) -> Event {
        match self {
            Self::Full => Event::LiveFull,
            Self::Late => Event::LiveTimeout,
            Self::Away => Event::LiveUnreachable,
            Self::OldRevision | Self::Unfit => Event::LiveDiscarded,
            Self::Refused => Event::LiveRefused,
        }
    }
}

/// What the lane said.
pub(super) struct Reply {
    /// An `OCSPResponse`, if it is one.
    pub(super) octets: Bytes,
    /// The registry's revision at which it looked.
    pub(super) revision: u64,
    /// It was signed for somebody else before, at that same revision.
    pub(super) was_kept: bool,
}

/// The connections of one worker.
pub(super) struct Client {
    address: SocketAddr,
    host: HeaderValue,
    tls: Option<Arc<Tls>>,
    resting: RefCell<Vec<SendRequest<Full<Bytes>>>>,
    /// More than this do not rest: as many as may be in use at once.
    places: usize,
}

impl Client {
    pub(super) fn new(settings: &Live, places: usize) -> Self {
        let host = settings.address.to_string();
        Self {
            address: settings.address,
            host: HeaderValue::try_from(host).expect("an address is printable ASCII"),
            tls: settings.tls.clone(),
            resting: RefCell::default(),
            places,
        }
    }

    /// One request, one reply.
    pub(super) async fn exchange(&self, request: Bytes) -> Result<Reply, Failure> {
        // A connection that rested may have been closed by the other side meanwhile: then nobody has seen the request.
        while let Some(mut connection) = self.take_resting() {
            match connection
                .try_send_request(self.request(request.clone()))
                .await
            {
                Ok(response) => return self.read(response, connection).await,
                Err(mut error) => {
                    if error.take_message().is_none() {
                        return Err(Failure::Away);
                    }
                }
            }
        }
        let mut connection = self.connect().await.map_err(|_| Failure::Away)?;
        let response = connection.send_request(self.request(request)).await;
        let response = response.map_err(|_| Failure::Away)?;
        self.read(response, connection).await
    }

    /// Reads a response to its end; then its connection may rest.
    async fn read(
        &self,
        response: Response<hyper::body::Incoming>,
        connection: SendRequest<Full<Bytes>>,
    ) -> Result<Reply, Failure> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER_OCTETS);
        let octets = body.collect().await.map_err(|_| Failure::Unfit)?.to_bytes();
        if !connection.is_closed() && self.resting.borrow().len() < self.places {
            self.resting.borrow_mut().push(connection);
        }
        match head.status {
            StatusCode::OK => {}
            StatusCode::SERVICE_UNAVAILABLE => return Err(Failure::Full),
            _ => return Err(Failure::Unfit),
        }
        let revision = head.headers.get(REVISION);
        let revision = revision.and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Reply {
            octets,
            revision: revision.ok_or(Failure::Unfit)?,
            was_kept: head.headers.contains_key(KEPT),
        })
    }

    fn take_resting(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut resting = self.resting.borrow_mut();
        loop {
            let connection = resting.pop()?;
            // One that has not finished what came before is left to finish it alone.
            if connection.is_ready() {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> std::io::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => begin(stream).await,
            Some(tls) => begin(tls.connect(stream).await?).await,
        }
    }

    fn request(&self, octets: Bytes) -> Request<Full<Bytes>> {
        let length = octets.len();
        let mut request = Request::new(Full::new(octets));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static("/ocsp");
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/ocsp-request"),
        );
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        request
    }
}

/// Speaks HTTP on a stream; it ends with its last handle.
async fn begin(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
) -> std::io::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    spawn_local(async move {
        // Whoever waits for an answer on it learns of its end.
        let _ = connection.await;
        Ok::<_, Infallible>(())
    });
    Ok(sender)
}

/// The header in which the lane says at which revision it looked.
const REVISION: &str = "hufu-revision";

/// The header in which it says that it had signed this before.
const KEPT: &str = "hufu-kept";
