//! A responder over a generation with a list worth compressing, on the plain port and behind TLS.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::judge::openssl;
use crate::office::{Office, Responder, serial_octets};
use crate::pki::{Certificate, Hash, Parameters, cert_id, request};
use crate::process::{Ran, free_address, run};
use crate::shared_folder;

/// What several tests ask of.
#[derive(Debug)]
pub struct Served {
    /// Where all of it lies.
    pub folder: PathBuf,
    /// Its P-256 authority has [`REVOKED`] revoked certificates.
    pub office: Office,
    /// On the plain port, with defaults.
    pub responder: Responder,
    /// The same program behind TLS.
    pub tls: SocketAddr,
    /// The TLS certificate, PEM, its own root.
    pub tls_certificate: PathBuf,
    /// Of the P-256 authority.
    pub issuer: Certificate,
    /// Serials of certificates that are good, as INTEGER content.
    pub good: Vec<Vec<u8>>,
    /// One that is revoked.
    pub revoked: Vec<u8>,
}

/// So many entries make a list that is worth compressing.
pub const REVOKED: usize = 45;

impl Served {
    /// The one that all tests of this process share. Nobody stops or changes it.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Served> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&shared_folder("served")))
    }

    fn start(folder: &Path) -> Self {
        let office = Office::found(&folder.join("data"));
        let mut serials = office.enrol("p256", "person");
        if serials.len() < REVOKED + 5 {
            serials = office.enrol("p256", "device");
        }
        for serial in &serials[..REVOKED] {
            office.revoke("p256", serial);
        }
        let _ = office.signer(&["crl"]).ok();
        office.publish();
        let edge = folder.join("edge");
        let _ = office.follow(&office.store(), &edge).ok();
        let (tls_certificate, key) = tls_files(folder, "first");
        let tls = free_address();
        let flags = [
            "--tls",
            &tls.to_string(),
            "--tls-certificate",
            &tls_certificate.display().to_string(),
            "--tls-key",
            &key.display().to_string(),
        ];
        let responder = office.responder_with(&edge, &flags);
        let octets = |serial: &String| serial_octets(serial);
        Self {
            folder: folder.to_owned(),
            responder,
            tls,
            tls_certificate,
            issuer: office.certificate("p256", "issuer"),
            good: serials[REVOKED..].iter().map(octets).collect(),
            revoked: octets(&serials[0]),
            office,
        }
    }

    /// Another responder over the same generation.
    #[must_use]
    pub fn another(&self, flags: &[&str]) -> Responder {
        self.office.responder_with(&self.folder.join("edge"), flags)
    }

    /// A question about a certificate of the P-256 authority.
    #[must_use]
    pub fn question(&self, serial: &[u8]) -> Vec<u8> {
        let id = cert_id(Hash::Sha1, Parameters::Null, &self.issuer, serial);
        request(&[&id], None)
    }

    /// The same as the target of a GET: base64, percent-encoded.
    #[must_use]
    pub fn target(&self, serial: &[u8]) -> String {
        let text = STANDARD.encode(self.question(serial));
        let encoded = text
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        format!("/{encoded}")
    }

    /// The path of the P-256 authority's own list, taken from the generation.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn list(&self) -> String {
        let inspected = self.office.loader(&["inspect", "--json"]).ok();
        let generation: serde_json::Value = serde_json::from_str(&inspected.stdout).expect("JSON");
        let documents = generation["documents"].as_array().expect("a list");
        let largest = documents
            .iter()
            .filter(|document| {
                document["path"]
                    .as_str()
                    .is_some_and(|path| path.starts_with("/crl/"))
            })
            .max_by_key(|document| document["octets"].as_u64());
        let path = largest.expect("a CRL")["path"].as_str();
        path.expect("a path").to_owned()
    }
}

/// A self-signed certificate for 127.0.0.1 and its key, made by OpenSSL under that name: their paths.
///
/// # Panics
/// If OpenSSL cannot.
#[must_use]
pub fn tls_files(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    fs::create_dir_all(folder).expect("a folder can be made");
    let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
    let arguments = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "30",
        "-subj",
        &format!("/CN={name}"),
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-out",
        &certificate,
        "-keyout",
        &key,
    ];
    let _ = openssl(folder, arguments).ok();
    (folder.join(certificate), folder.join(key))
}

/// Runs `curl` quietly with these arguments in this folder.
#[track_caller]
pub fn curl<S: AsRef<std::ffi::OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Ran {
    run(Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60"])
        .args(arguments)
        .current_dir(folder))
}
