//! Mutual TLS towards a lane on another machine (rustls, ring).

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What the responder shows and whom it believes.
#[derive(Debug)]
pub struct Tls {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM, or nothing of the kind in it.
    #[error("{path}: {kind} expected, as PEM")]
    Pem {
        /// Which file.
        path: String,
        /// What should be in it.
        kind: &'static str,
        /// What was found instead.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate, key and authority do not fit together.
    #[error("the certificate, key or authority for the live lane cannot be used")]
    Unusable(#[from] rustls::Error),
    /// Neither an address nor a DNS name.
    #[error("`live-name = {0:?}` is no DNS name and no address")]
    Name(String),
}

impl Tls {
    /// Reads the files: whom to believe, what to show, and the name that the lane's certificate must bear.
    pub(super) fn read(
        authority: &Path,
        certificate: &Path,
        key: &Path,
        name: &str,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for root in certificates(authority)? {
            roots.add(root)?;
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(pem(key, "a private key"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(certificate)?, key)?;
        let name =
            ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
        Ok(Self {
            name,
            config: Arc::new(config),
        })
    }

    /// Shakes hands on a connection.
    pub(super) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(self.name.clone(), stream).await
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(pem(path, "certificates"))
}

fn pem(path: &Path, kind: &'static str) -> impl FnOnce(rustls::pki_types::pem::Error) -> TlsError {
    let path = path.display().to_string();
    move |source| TlsError::Pem { path, kind, source }
}
