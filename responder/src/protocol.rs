//! hyper in either version of HTTP, as we need it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::h2::{self, OnThisThread, Share};
use crate::http::Responder;
use crate::metrics::Event;

/// hyper at work on what comes and goes by `I`.
pub(crate) enum Http<I> {
    One(Box<http1::Connection<TokioIo<I>, Responder>>),
    Two {
        http: Pin<Box<http2::Connection<TokioIo<I>, Responder, OnThisThread>>>,
        /// Given back with the connection.
        _share: Share,
    },
}

impl<I: AsyncRead + AsyncWrite + Unpin + 'static> Http<I> {
    /// HTTP/1.0 and 1.1. Deadlines are `deadlines`, gathering is `connection`.
    pub(crate) fn one(link: I, responder: Responder) -> Self {
        let mut settings = http1::Builder::new();
        settings
            .max_buf_size(MAX_BUFFER_OCTETS)
            .header_read_timeout(None)
            .half_close(true);
        let http = settings.serve_connection(TokioIo::new(link), responder);
        Self::One(Box::new(http))
    }

    /// HTTP/2, as one of the connections that may.
    pub(crate) fn two(link: I, responder: Responder, share: Share) -> Self {
        let http = share
            .settings()
            .serve_connection(TokioIo::new(link), responder);
        Self::Two {
            http: Box::pin(http),
            _share: share,
        }
    }

    /// What is in progress is to be the last.
    pub(crate) fn end_gracefully(&mut self) {
        match self {
            Self::One(http) => Pin::new(&mut **http).graceful_shutdown(),
            Self::Two { http, .. } => http.as_mut().graceful_shutdown(),
        }
    }

    /// Reads, answers and writes, until the end: then says what the client did wrong, if it ended for that. A client that
    /// has simply gone did not.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let offence = match self {
            Self::One(http) => {
                let outcome = ready!(Pin::new(&mut **http).poll(cx));
                let is_parse = outcome.is_err_and(|error| error.is_parse());
                is_parse.then_some(Event::BadHttp)
            }
            Self::Two { http, .. } => {
                let outcome = ready!(http.as_mut().poll(cx));
                let is_offence = outcome.is_err_and(|error| h2::is_offence(&error));
                is_offence.then_some(Event::BadHttp2)
            }
        };
        Poll::Ready(offence)
    }
}

/// hyper's smallest.
const MAX_BUFFER_OCTETS: usize = 8 * 1024;
