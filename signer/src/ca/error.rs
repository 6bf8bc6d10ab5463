//! What can go wrong while certificates and lists are made.

use super::lint::LintError;
use super::profile::ProfileError;
use crate::key::KeyError;
use crate::key::verify::VerifyError;
use crate::registry::RegistryError;
use std::{io, path::PathBuf};

/// Failures of the authority.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// The registry refused or failed.
    #[error("registry")]
    Registry(#[from] RegistryError),
    /// A key failed.
    #[error("key")]
    Key(#[from] KeyError),
    /// A profile cannot stand.
    #[error("profile")]
    Profile(#[from] ProfileError),
    /// An artefact broke a rule and did not leave.
    #[error("{artefact} breaks a rule")]
    Lint {
        /// Which artefact.
        artefact: String,
        /// Which rule.
        source: LintError,
    },
    /// Our own signature does not verify: a broken key or backend.
    #[error("our signature on {artefact} does not verify")]
    SelfCheck {
        /// Which artefact.
        artefact: String,
        /// Why.
        source: VerifyError,
    },
    /// A value does not fit into DER.
    #[error("encoding {what}")]
    Encode {
        /// Which value.
        what: &'static str,
        /// Why.
        source: der::Error,
    },
    /// The certificate builder refused.
    #[error("the certificate builder refused: {0}")]
    Builder(x509_cert::builder::Error),
    /// The database holds something this program cannot read.
    #[error("the registry's {what} of authority {alias} cannot be read")]
    Stored {
        /// Which authority.
        alias: String,
        /// What of it.
        what: &'static str,
    },
    /// There is no such authority.
    #[error("there is no authority {0:?}; is this registry founded?")]
    NoAuthority(String),
    /// An authority that must not certify any more.
    #[error("the certificate of authority {0} is revoked; it issues nothing")]
    Revoked(String),
    /// Founding twice.
    #[error("this registry is founded already")]
    Founded,
    /// A public URL that cannot stand in certificates.
    #[error("public-url {0:?} must begin with http:// or https:// and be ASCII without spaces")]
    PublicUrl(String),
    /// A file cannot be written.
    #[error("writing {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// PKCS#12 packing failed.
    #[error("packing PKCS#12: {0}")]
    Pkcs12(String),
}

impl CaError {
    /// For `map_err`: the value that would not encode.
    pub(crate) fn encode(what: &'static str) -> impl FnOnce(der::Error) -> Self {
        move |source| Self::Encode { what, source }
    }
}

impl From<x509_cert::builder::Error> for CaError {
    fn from(error: x509_cert::builder::Error) -> Self {
        Self::Builder(error)
    }
}
