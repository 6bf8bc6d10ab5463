//! The certification authority: what turns approved applications into certificates, and registry states into CRLs.
//!
//! The way of a certificate, each arrow a type (RFC 5280 §4):
//! `prepare.rs` (facts + profile → [`prepare::Prepared`]) → `lint/` (→ [`lint::Linted`]) → `issue.rs` (reserve: serial and
//! to-be-signed octets are in the database → sign → store). No certificate of an authority is signed that is not reserved,
//! none reserved that is not linted. A crash leaves a reservation, which `issue::resume` finishes. What certifies itself,
//! roots and the local responder, is linted and signed, and known once it is stored.
//!
//! `found.rs` makes roots and issuing authorities, `ocsp_signer.rs` their delegated responders, `crl.rs` their lists;
//! `profile.rs` says what certificates contain, `extension.rs` and `name.rs` write it, `delivery.rs` packs demonstration keys.

pub mod crl;
pub mod delivery;
pub mod error;
pub mod extension;
pub mod found;
pub mod issue;
pub mod lint;
pub mod name;
pub mod ocsp_signer;
pub mod prepare;
pub mod profile;
pub(crate) mod sign;
mod subject;

pub use error::CaError;

#[cfg(test)]
pub(crate) mod tests;

use crate::key::{KeyError, Keyring, Signer};
use crate::registry::{Authority, AuthorityId, IssuerId, ListScope};
use der::{Decode, Encode};
use wire::algorithm::SignatureAlgorithm;
use x509_cert::Certificate;

/// An authority without its private key: all that certificates, lists and batches need to know of it.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Its row.
    pub row: Authority,
    /// What it signs with.
    pub algorithm: SignatureAlgorithm,
    /// Its Name, DER.
    pub name_der: Vec<u8>,
    /// Its SubjectPublicKeyInfo, DER.
    pub public_key_der: Vec<u8>,
    /// SHA-1 of its public key.
    pub key_identifier: [u8; 20],
    /// End of its certificate's validity.
    pub not_after: u64,
}

impl Issuer {
    /// Reads what the registry stores.
    ///
    /// # Errors
    /// [`CaError::Stored`] if the stored certificate or algorithm cannot be read.
    pub fn from_row(row: Authority) -> Result<Self, CaError> {
        let stored = |what| CaError::Stored {
            alias: row.alias.clone(),
            what,
        };
        let algorithm =
            SignatureAlgorithm::from_code(row.algorithm).ok_or_else(|| stored("algorithm"))?;
        let certificate =
            Certificate::from_der(&row.certificate).map_err(|_| stored("certificate"))?;
        let tbs = certificate.tbs_certificate();
        let public_key_der = tbs
            .subject_public_key_info()
            .to_der()
            .map_err(|_| stored("public key"))?;
        Ok(Self {
            algorithm,
            name_der: tbs.subject().to_der().map_err(|_| stored("name"))?,
            key_identifier: extension::key_identifier(&public_key_der)
                .map_err(|_| stored("public key"))?,
            not_after: tbs.validity().not_after.to_unix_duration().as_secs(),
            public_key_der,
            row,
        })
    }

    /// What an operator types.
    #[must_use]
    pub fn alias(&self) -> &str {
        &self.row.alias
    }

    /// Its row number.
    #[must_use]
    pub fn id(&self) -> AuthorityId {
        self.row.id
    }

    /// Issuer name and key, hashed.
    #[must_use]
    pub fn issuer_id(&self) -> IssuerId {
        self.row.issuer_id
    }

    /// Whether it certified itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.row.parent.is_none()
    }

    /// File name of its list of all certificates, under `/crl/`.
    #[must_use]
    pub fn crl_name(&self) -> String {
        self.list_name(ListScope::Whole)
    }

    /// File name of its certificate and those above it, under `/ca/`.
    #[must_use]
    pub fn bundle_name(&self) -> String {
        format!("{}.p7c", self.alias())
    }

    /// What the URLs in its certificates and lists begin with, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.row.public_url.trim_end_matches('/')
    }

    /// File name of its certificate, under `/ca/`.
    #[must_use]
    pub fn certificate_name(&self) -> String {
        format!("{}.cer", self.alias())
    }

    /// Opens its private key; drop it as soon as possible.
    ///
    /// # Errors
    /// As [`Keyring::signer`].
    pub fn open_key(&self, keyring: &Keyring) -> Result<Box<dyn Signer>, KeyError> {
        keyring.signer(&self.row.key_file, self.algorithm)
    }
}
