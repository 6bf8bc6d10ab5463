//! The one place where the signer's errors become what the outside sees: a sentence and an exit code.

use std::path::PathBuf;

use crate::ca::CaError;
use crate::key::KeyError;
use crate::live::LiveError;
use crate::live::settings::LiveRefused;
use crate::ra::rule::SubmissionRefused;
use crate::registry::RegistryError;
use crate::serve::ServeError;
use crate::settings::SettingsError;

/// What ends a verb. Each says whose it is; `source()` tells the rest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// There is no registry here.
    #[error("{} holds no founded signer; `hufu signer found --help` shows how", .0.display())]
    NotFounded(PathBuf),
    /// A submission nothing of which was taken.
    #[error("refused (不予受理)")]
    Submission(#[from] SubmissionRefused),
    /// The registry refused or failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The authority failed.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// A key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The live lane failed.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// Serving failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The configuration was refused.
    #[error("the configuration {} was refused", path.display())]
    Config {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: ConfigRefused,
    },
    /// The configuration says of an authority what that cannot be or do.
    #[error("the configuration does not fit the authorities of this registry")]
    Settings(#[from] SettingsError),
    /// A file could not be read or written.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No certificate fits what was asked for.
    #[error("no certificate fits (没有符合条件的证书)")]
    NoCertificate,
    /// Several certificates fit where one was meant.
    #[error("{} certificates fit; name one by --ca and --serial: {}", .0.len(), .0.join(", "))]
    SeveralCertificates(Vec<String>),
    /// One of our own certificates, which are never suspended.
    #[error(
        "certificate {serial} is our own ({kind}), which is never held; `revoke` is for a key that went bad"
    )]
    NotHeld {
        /// Its serial, hexadecimal.
        serial: String,
        /// What it is.
        kind: &'static str,
    },
    /// The process could not be set up.
    #[error("setting up the process")]
    Process(#[source] std::io::Error),
    /// Nobody can be told metrics there.
    #[error("cannot listen for scrapers on {address}")]
    Metrics {
        /// Where.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The parent named by `--exit-with-parent` is not there.
    #[error("process {0} is not our parent, or has ended")]
    NoParent(i32),
}

/// Why a configuration file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigRefused {
    /// Not TOML, or a key this program does not know.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// Values that cannot stand together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Values the live lane cannot work with.
    #[error(transparent)]
    Live(#[from] LiveRefused),
}

/// An error and its sources in one line, each told once: `transparent` errors repeat what they hold.
#[must_use]
pub fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}
