//! What is sent after the headers: octets, in pieces small enough that a connection's write buffer stays small.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// A body of known length. An answer is one piece; a CRL of many megabytes, mapped from its file, is handed out in
/// pieces of [`PIECE_OCTETS`], the next only once the connection has room, so that it is never copied whole.
pub(crate) struct Body(Bytes);

impl Body {
    pub(crate) const EMPTY: Self = Self(Bytes::new());
}

impl From<Bytes> for Body {
    fn from(octets: Bytes) -> Self {
        Self(octets)
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = if self.0.len() > PIECE_OCTETS {
            self.0.split_to(PIECE_OCTETS)
        } else {
            std::mem::take(&mut self.0)
        };
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// Large enough that a CRL goes out in few system calls, small enough to hold for each of thousands of connections.
const PIECE_OCTETS: usize = 16 * 1024;
