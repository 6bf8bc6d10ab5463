//! How long things are valid and how much is done at once; the `[signing]` table of the configuration file.

use crate::ca::crl::policy::{ListConfig, ListConfigError, ListPolicy, WholeList};
use crate::ca::profile::{Profile, ProfileConfig, ProfileError};
use crate::registry::SubjectKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Lists by authority: `[signing.crl.p256]`. Whoever is not named has one full list.
    pub crl: BTreeMap<String, ListConfig>,
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
            crl: BTreeMap::new(),
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
    /// Beyond what anybody means, and what sums of it can hold.
    #[error("{key} is {value}; it must be at most {most}")]
    TooLarge {
        /// Which key.
        key: &'static str,
        /// What it says.
        value: u64,
        /// The most it may say.
        most: u64,
    },
    /// A pack holds at most so many.
    #[error("shards is {0}; it must lie between 1 and 4096")]
    Shards(u32),
    /// The lists of an authority cannot stand.
    #[error("crl.{alias}")]
    Lists {
        /// Whose.
        alias: String,
        /// Why.
        source: ListConfigError,
    },
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
        for (key, value, least, most) in [
            // A client whose clock is a minute off must still find a window it accepts.
            (
                "response-validity-secs",
                config.response_validity_secs,
                120,
                CENTURY_SECS,
            ),
            (
                "crl-validity-secs",
                config.crl_validity_secs,
                120,
                CENTURY_SECS,
            ),
            (
                "root-crl-validity-secs",
                config.root_crl_validity_secs,
                120,
                CENTURY_SECS,
            ),
            // Windows end before their signer does: it must outlive several of them.
            (
                "ocsp-signer-validity-secs",
                config.ocsp_signer_validity_secs,
                config.response_validity_secs.saturating_mul(4),
                CENTURY_SECS,
            ),
            ("archive-secs", config.archive_secs, 0, CENTURY_SECS),
            // A revocation must be out within a second.
            ("poll-millis", config.poll_millis, 1, 1_000),
            ("threads", config.threads as u64, 0, 1_024),
        ] {
            if value < least {
                return Err(SettingsError::TooSmall { key, value, least });
            }
            if value > most {
                return Err(SettingsError::TooLarge { key, value, most });
            }
        }
        if !(1..=4_096).contains(&config.shards) {
            return Err(SettingsError::Shards(config.shards));
        }
        for (alias, lists) in &config.crl {
            lists.check().map_err(|source| SettingsError::Lists {
                alias: alias.clone(),
                source,
            })?;
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

    /// The lists of an authority. A root's certificates are few: its list has no partitions.
    #[must_use]
    pub fn lists(&self, alias: &str, is_root: bool) -> ListPolicy {
        let validity = if is_root {
            self.config.root_crl_validity_secs
        } else {
            self.config.crl_validity_secs
        };
        let default = ListConfig::default();
        let mut policy = self
            .config
            .crl
            .get(alias)
            .unwrap_or(&default)
            .policy(validity);
        if is_root {
            policy.partitions = None;
            policy.whole = WholeList::Always;
        }
        policy
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

/// No validity is longer.
const CENTURY_SECS: u64 = 100 * 366 * 86_400;

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
    fn a_value_overflows_or_a_revocation_waits_for_minutes() {
        let refused = |config| {
            let error = Settings::new(config).unwrap_err();
            assert!(matches!(error, SettingsError::TooLarge { .. }), "{error}");
        };
        let default = SettingsConfig::default;
        refused(SettingsConfig {
            response_validity_secs: u64::MAX,
            ..default()
        });
        refused(SettingsConfig {
            archive_secs: u64::MAX,
            ..default()
        });
        refused(SettingsConfig {
            poll_millis: 1_001,
            ..default()
        });
    }

    #[test]
    fn an_unknown_key_is_not_ignored() {
        assert!(toml::from_str::<SettingsConfig>("response-validity = 1").is_err());
    }
}
