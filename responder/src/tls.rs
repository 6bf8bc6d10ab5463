//! TLS, where it is switched on: a listener of its own, a certificate that is read again when its files change.
//!
//! OCSP and CRLs need no TLS: what they carry is signed, and RFC 5280 §8 warns of fetching status over what needs status
//! itself. It is there for networks whose rules want every octet encrypted. The key here proves a host's name to a
//! client, nothing else: it is no PKI key, signs no status, and whoever steals it can read along but not lie about a
//! certificate.
//!
//! Handshakes run on the serving threads and count as connections; one must be done within `request-secs`.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::net::{SocketFlags, accept_with};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use crate::deadlines::{Order, Phase};
use crate::h2::Share;
use crate::metrics::Event;
use crate::reload::with_causes;
use crate::session::{Open, Session};
use crate::worker::Worker;

/// The certificate and key of the TLS listener, as their files said last.
pub(crate) struct Credentials {
    chain: PathBuf,
    key: PathBuf,
    current: ArcSwap<ServerConfig>,
}

/// Why a certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} is not PEM", path.display())]
    Pem {
        path: PathBuf,
        source: rustls::pki_types::pem::Error,
    },
    #[error("{} and {} do not make a TLS server: the key must be that of the first certificate", chain.display(), key.display())]
    Unfit {
        chain: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
}

impl Credentials {
    /// Reads both files.
    pub(crate) fn load(chain: &Path, key: &Path) -> Result<Self, CredentialsError> {
        Ok(Self {
            chain: chain.to_owned(),
            key: key.to_owned(),
            current: ArcSwap::new(Arc::new(read(chain, key)?)),
        })
    }

    /// Looks once a second whether the files have changed, until `stop` closes. Connections that are open keep what they
    /// began with; what cannot be used is told once, and the old certificate goes on.
    pub(crate) fn watch(&self, stop: &Receiver<()>) {
        let mut seen = self.stamp();
        while stop.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let stamp = self.stamp();
            if stamp == seen {
                continue;
            }
            seen = stamp;
            match read(&self.chain, &self.key) {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    tracing::info!(certificate = %self.chain.display(), "TLS certificate read again");
                }
                Err(error) => {
                    let reason = with_causes(&error);
                    tracing::error!(%reason, "new TLS certificate refused, the old one goes on");
                }
            }
        }
    }

    /// Changes when either file does: its time, its length, or which file it is.
    fn stamp(&self) -> [Option<(i64, i64, u64, u64)>; 2] {
        [&self.chain, &self.key].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            let time = (metadata.mtime(), metadata.mtime_nsec());
            Some((time.0, time.1, metadata.size(), metadata.ino()))
        })
    }
}

fn read(chain: &Path, key: &Path) -> Result<ServerConfig, CredentialsError> {
    let octets = |path: &Path| {
        fs::read(path).map_err(|source| CredentialsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let pem = |path: &Path, source| CredentialsError::Pem {
        path: path.to_owned(),
        source,
    };
    let certificates = CertificateDer::pem_slice_iter(&octets(chain)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| pem(chain, source))?;
    if certificates.is_empty() {
        return Err(CredentialsError::NoCertificate(chain.to_owned()));
    }
    let private =
        PrivateKeyDer::from_pem_slice(&octets(key)?).map_err(|source| pem(key, source))?;
    let unfit = |source| CredentialsError::Unfit {
        chain: chain.to_owned(),
        key: key.to_owned(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(unfit)?;
    config.alpn_protocols = [HTTP_2, HTTP_1, HTTP_1_0].map(<[u8]>::to_vec).to_vec();
    // Clients open a connection a question: the second time without a signature.
    config.ticketer = ring::Ticketer::new().map_err(unfit)?;
    Ok(config)
}

/// One worker's TLS listener.
pub(crate) struct Listener {
    socket: tokio::net::TcpListener,
    credentials: Arc<Credentials>,
}

impl Listener {
    /// Within the worker's runtime.
    pub(crate) fn new(socket: TcpListener, credentials: Arc<Credentials>) -> io::Result<Self> {
        let socket = tokio::net::TcpListener::from_std(socket)?;
        Ok(Self {
            socket,
            credentials,
        })
    }

    /// Accepts for ever.
    pub(crate) async fn accept(&self, worker: &Rc<Worker>) {
        let limit = worker.policy.max_connections;
        loop {
            if worker.connections.len() >= limit {
                worker.counters.count(Event::LimitReached);
                std::future::poll_fn(|cx| worker.connections.poll_room(limit, cx)).await;
            }
            match self.socket.accept().await {
                Ok((socket, _)) => self.converse(worker, socket),
                Err(_) => {
                    // As on the plain port: trying at once would burn the core that has to free what is short.
                    worker.counters.count(Event::AcceptFailed);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Takes the connections that the kernel has already accepted for us, before the listener closes.
    pub(crate) fn take_waiting(&self, worker: &Rc<Worker>) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        while let Ok(socket) = accept_with(&self.socket, flags) {
            match TcpStream::from_std(socket.into()) {
                Ok(socket) => self.converse(worker, socket),
                Err(_) => worker.counters.count(Event::AcceptFailed),
            }
        }
    }

    fn converse(&self, worker: &Rc<Worker>, socket: TcpStream) {
        worker.counters.count(Event::Accepted);
        let config = self.credentials.current.load_full();
        spawn_local(converse(Open::new(worker), socket, config));
    }
}

/// Handshake, then HTTP by what was agreed on.
async fn converse(open: Open, socket: TcpStream, config: Arc<ServerConfig>) {
    let counters = Arc::clone(&open.worker.counters);
    let tick = open.worker.connections.tick();
    open.watch.wait(Phase::Receiving, tick);
    let mut handshake = std::pin::pin!(TlsAcceptor::from(config).accept_with(socket, |session| {
        session.set_buffer_limit(Some(MAX_BUFFER_OCTETS));
    }));
    let outcome = std::future::poll_fn(|cx| {
        open.watch.remember(cx);
        if open.watch.order() == Order::Close {
            return Poll::Ready(None);
        }
        handshake.as_mut().poll(cx).map(Some)
    });
    let Some(Ok(stream)) = outcome.await else {
        counters.count(Event::HandshakeFailed);
        return;
    };
    counters.count(Event::Handshake);
    if stream.get_ref().1.alpn_protocol() == Some(HTTP_2) {
        if let Some(share) = Share::take(&open.worker) {
            Session::new(open, stream, Some(share)).await;
        }
    } else {
        // RFC 7301 §3.2: a client that offers nothing we know is refused in the handshake; one that offers nothing at all
        // speaks HTTP/1.
        Session::new(open, stream, None).await;
    }
}

const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";
/// `curl --http1.0` offers this and nothing else.
const HTTP_1_0: &[u8] = b"http/1.0";

/// Octets that a connection may hold to be encrypted, and as many encrypted to be sent.
const MAX_BUFFER_OCTETS: usize = 16 * 1024;

/// A certificate lives for weeks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
