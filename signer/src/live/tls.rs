//! Mutual TLS for a lane that others reach (rustls, ring): only who shows a certificate of the clients' authority may ask.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::LiveError;
use super::settings::TlsFiles;

pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, LiveError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut clients = RootCertStore::empty();
    for authority in certificates(&files.clients)? {
        clients.add(authority)?;
    }
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(clients), Arc::clone(&provider))
            .build()?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|source| pem(&files.key, "a private key", source))?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&files.certificate)?, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LiveError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|source| pem(path, "certificates", source))
}

fn pem(path: &Path, kind: &'static str, source: rustls::pki_types::pem::Error) -> LiveError {
    LiveError::Pem {
        path: path.to_owned(),
        kind,
        source,
    }
}
