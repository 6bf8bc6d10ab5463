//! How long things are valid and how much is done at once; the `[signing]` table of the configuration file.

use crate::ca::profile::{Profile, ProfileConfig, ProfileError};
use crate::registry::SubjectKind;
use serde::{Deserialize, Serialize};

/// What the file says. Every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct SettingsConfig {
    /// Seconds from a response's thisUpdate to its nextUpdate; responses are signed again at half of it.
    pub response_validity_secs: u64,
    /// Seconds from thisUpdate to nextUpdate of an issuing authority's CRL; written again at half of it, and on revocation.
    pub crl_validity_secs: u64,
    /// The same for roots, whose lists hardly ever change.
    pub root_crl_validity_secs: u64,
    /// Life of a delegated OCSP signer certificate.
    pub ocsp_signer_validity_secs: u64,
    /// After notAfter, a certificate's last status is still signed for so long (RFC 6960 archiveCutoff).
    pub archive_secs: u64,
    /// Base shards of a newly founded or adopted issuer.
    pub shards: u32,
    /// Signing threads; 0: one a core.
    pub threads: usize,
    /// Milliseconds between two looks at the registry's revision while serving.
    pub poll_millis: u64,
    /// organizationName of the authorities founded here.
    pub organisation: String,
    /// Certificates of persons.
    pub person: ProfileConfig,
    /// Certificates of units.
    pub unit: ProfileConfig,
    /// Certificates of devices.
    pub device: ProfileConfig,
}

impl Default for SettingsConfig {
    fn default() -> Self {
        Self {
            response_validity_secs: 24 * 3_600,
            crl_validity_secs: 24 * 3_600,
            root_crl_validity_secs: 30 * 86_400,
            ocsp_signer_validity_secs: 14 * 86_400,
            archive_secs: 30 * 86_400,
            shards: 1,
            threads: 0,
            poll_millis: 100,
            organisation: "Hufu Demonstration".to_owned(),
            person: ProfileConfig::default(),
            unit: ProfileConfig::default(),
            device: ProfileConfig::default(),
        }
    }
}

/// Why settings are refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Too short to be signed again in time.
    #[error("{key} is {value}; it must be at least {least}")]
    TooSmall {
        /// Which key.
        key: &'static str,
        /// What it says.
        value: u64,
        /// The least it may say.
        least: u64,
    },
    /// A pack holds at most so many.
    #[error("shards is {0}; it must lie between 1 and 4096")]
    Shards(u32),
    /// A profile cannot stand.
    #[error("profile of {kind:?}")]
    Profile {
        /// Whose.
        kind: SubjectKind,
        /// Why.
        source: ProfileError,
    },
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Settings {
    config: SettingsConfig,
    person: Profile,
    unit: Profile,
    device: Profile,
}

impl Settings {
    /// Checks what the file says.
    ///
    /// # Errors
    /// [`SettingsError`] names the first key that cannot stand.
    pub fn new(config: SettingsConfig) -> Result<Self, SettingsError> {
        for (key, value, least) in [
            // A client whose clock is a minute off must still find a window it accepts.
            ("response-validity-secs", config.response_validity_secs, 120),
            ("crl-validity-secs", config.crl_validity_secs, 120),
            ("root-crl-validity-secs", config.root_crl_validity_secs, 120),
            // Windows end before their signer does: it must outlive several of them.
            (
                "ocsp-signer-validity-secs",
                config.ocsp_signer_validity_secs,
                4 * config.response_validity_secs,
            ),
            ("poll-millis", config.poll_millis, 1),
        ] {
            if value < least {
                return Err(SettingsError::TooSmall { key, value, least });
            }
        }
        if !(1..=4_096).contains(&config.shards) {
            return Err(SettingsError::Shards(config.shards));
        }
        let profile = |kind, config: &ProfileConfig| {
            Profile::new(kind, config.clone())
                .map_err(|source| SettingsError::Profile { kind, source })
        };
        Ok(Self {
            person: profile(SubjectKind::Person, &config.person)?,
            unit: profile(SubjectKind::Unit, &config.unit)?,
            device: profile(SubjectKind::Device, &config.device)?,
            config,
        })
    }

    /// The profile for a kind of subject.
    #[must_use]
    pub fn profile(&self, kind: SubjectKind) -> &Profile {
        match kind {
            SubjectKind::Person => &self.person,
            SubjectKind::Unit => &self.unit,
            SubjectKind::Device => &self.device,
        }
    }

    /// Signing threads, at least one.
    #[must_use]
    pub fn threads(&self) -> usize {
        match self.config.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            some => some,
        }
    }
}

impl std::ops::Deref for Settings {
    type Target = SettingsConfig;

    fn deref(&self) -> &SettingsConfig {
        &self.config
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(SettingsConfig::default()).expect("the defaults keep their own rules")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ocsp_signer_that_dies_before_its_windows_is_refused() {
        let config = SettingsConfig {
            response_validity_secs: 7 * 86_400,
            ocsp_signer_validity_secs: 14 * 86_400,
            ..SettingsConfig::default()
        };
        let error = Settings::new(config).unwrap_err();
        assert!(matches!(
            error,
            SettingsError::TooSmall {
                key: "ocsp-signer-validity-secs",
                ..
            }
        ));
    }

    #[test]
    fn an_unknown_key_is_not_ignored() {
        assert!(toml::from_str::<SettingsConfig>("response-validity = 1").is_err());
    }
}
