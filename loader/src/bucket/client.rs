//! What speaks HTTP to a bucket, with what the library leaves open shut: no redirect is followed, and no answer is read
//! beyond what it said it had.
//!
//! A bucket is not believed, and it must not be able to do more than be wrong: send an edge to an address that only its
//! network reaches, or fill its memory with the text of an error.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use reqwest::header::{CACHE_CONTROL, HeaderValue};
use reqwest::redirect::Policy;

/// What a read asks of the caches on its way; goes with the request, among its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caches {
    /// They may give out what they keep.
    MayAnswer,
    /// What they gave out was wrong: they must ask the bucket whether it still has that.
    MustAsk,
}

/// Makes the clients that the library asks for.
#[derive(Debug)]
pub(super) struct Connector {
    /// How long one request may take.
    pub(super) timeout: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // The library allows plain HTTP to the credentials of a container, whatever was said of the bucket.
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp);
        let client = reqwest::Client::builder()
            .user_agent(concat!("hufu-loader/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .https_only(allow_http.as_deref() != Some("true"))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(self.timeout)
            .build()
            .map_err(|error| object_store::Error::Generic {
                store: "HTTP",
                source: Box::new(error),
            })?;
        Ok(HttpClient::new(Bounded(client)))
    }
}

/// A client whose answers end.
#[derive(Debug)]
struct Bounded(reqwest::Client);

type Answer<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Bounded {
    fn call<'s, 'a>(&'s self, mut request: HttpRequest) -> Answer<'a>
    where
        's: 'a,
        Self: 'a,
    {
        if request.extensions().get() == Some(&Caches::MustAsk) {
            // RFC 9111 §5.2.1.4: no cache may answer a request that says no-cache without asking the store.
            let ask = HeaderValue::from_static("no-cache");
            request.headers_mut().insert(CACHE_CONTROL, ask);
        }
        Box::pin(async move {
            let response = self.0.call(request).await?;
            let most = most_octets(&response);
            Ok(response.map(|body| HttpResponseBody::new(Limited::new(body, most).map_err(own))))
        })
    }
}

/// What an answer may have: what it says, which whoever asked has yet to judge.
fn most_octets(response: &HttpResponse) -> usize {
    if !response.status().is_success() {
        return MOST_ERROR_OCTETS;
    }
    let said = response.headers().get("content-length");
    let said = said.and_then(|said| said.to_str().ok()?.parse().ok());
    said.unwrap_or(MOST_UNSAID_OCTETS)
}

/// The client's own error as it was; one octet too many as an answer that cannot be read.
fn own(error: Box<dyn Error + Send + Sync>) -> HttpError {
    match error.downcast() {
        Ok(own) => *own,
        Err(other) => HttpError::new_boxed(HttpErrorKind::Decode, other),
    }
}

/// No bucket is farther than this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An error says which in the first hundred.
const MOST_ERROR_OCTETS: usize = 64 << 10;
/// An answer without a length is a list of a thousand names, or what became of a thousand removals.
const MOST_UNSAID_OCTETS: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::super::{Access, Bucket, Place};
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};

    /// Answers every connection with these octets, then with `more` a thousand times.
    fn answering(octets: String, more: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let octets = octets.clone();
                std::thread::spawn(move || {
                    let _ = stream.read(&mut [0; 4096]);
                    let _ = stream.write_all(octets.as_bytes());
                    for _ in 0..1000 {
                        if stream.write_all(more).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        address
    }

    fn read_pointer(address: SocketAddr) -> String {
        let access = Access {
            allow_http: true,
            ..Access::default()
        };
        let place: Place = format!("http://{address}/city").parse().unwrap();
        let bucket = Bucket::open(&place, &access).unwrap();
        let read = bucket.get(&bucket.pointer_key(), None, 128);
        read.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_bucket_sends_its_reader_somewhere_else() {
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = elsewhere.local_addr().unwrap();
        let address = answering(
            format!(
                "HTTP/1.1 302 Found\r\nLocation: http://{there}/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            ),
            b"",
        );
        let refused = read_pointer(address);
        assert!(refused.contains("302 Found"), "{refused}");
        assert!(refused.contains("redirects are not followed"), "{refused}");
        // Whoever followed had come before the answer did.
        elsewhere.set_nonblocking(true).unwrap();
        assert!(elsewhere.accept().is_err(), "it went where it was sent");
    }

    #[test]
    fn an_error_without_end_is_read_until_memory_is() {
        let head = "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n".to_owned();
        let refused = read_pointer(answering(head, &[b'x'; 65_536]));
        assert!(refused.contains("length limit exceeded"), "{refused}");
    }
}
