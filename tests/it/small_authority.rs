//! Another authority, as small as it can be: a key and its self-signed certificate, on the spot.

use std::fs;
use std::path::PathBuf;

use hufu_tests::pki::Certificate;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// It signs whatever list a test wants.
pub(crate) struct Authority {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: Certificate,
}

impl Authority {
    /// One of this name, its certificate and key in its folder for programs of others.
    pub(crate) fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("issuer.pem"), certificate.pem()).unwrap();
        fs::write(folder.path().join("issuer.key"), key.serialize_pem()).unwrap();
        Self {
            folder,
            certificate: Certificate::read(certificate.der()),
            issuer: Issuer::new(parameters, key),
        }
    }

    pub(crate) fn issuer_file(&self) -> PathBuf {
        self.folder.path().join("issuer.pem")
    }
}
