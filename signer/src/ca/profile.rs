//! What a certificate may contain: `ProfileConfig` (what the file says) → [`Profile`] (checked).
//!
//! Reading of GM/T 0015 §5.2.4.2.3 and Annexes A and C, the clause behind [`Profile::key_usage`]:
//! - a *pair* has a signing certificate (digitalSignature, nonRepudiation) and an encryption certificate
//!   (keyEncipherment, dataEncipherment, keyAgreement); keyUsage is **critical** in both;
//! - a *single* certificate is signed with, so it says digitalSignature and nonRepudiation; keyUsage is **non-critical**.
//!   One certificate for both uses is "not suggested" by the standard and not offered here;
//! - a device's single certificate serves TLS: digitalSignature, and keyAgreement (EC) or keyEncipherment (RSA).

use super::extension::{self, Tagging, Weight};
use crate::registry::SubjectKind;
use der::flagset::FlagSet;
use der::oid::ObjectIdentifier;
use serde::{Deserialize, Serialize};
use x509_cert::ext::pkix::KeyUsages;

/// Whether a certificate stands alone or is half of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pairing {
    /// One key, one certificate. What is issued until the key management centre delivers encryption keys.
    #[default]
    Single,
    /// The signing half.
    PairSigning,
    /// The encryption half.
    PairEncryption,
}

/// Whether the subject's identity number goes into the certificate, which everyone can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityNumber {
    /// As GM/T 0015 foresees (extension `IdentifyCode`).
    #[default]
    Included,
    /// Left out.
    Omitted,
}

/// Whether freshestCRL (RFC 5280 §4.2.1.15) goes into the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreshestCrl {
    /// Left out: GM/T 0015 does not ask for it, and the full list says the same.
    #[default]
    Omitted,
    /// Written.
    Included,
}

/// One profile as the configuration file says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ProfileConfig {
    /// Days from notBefore to notAfter.
    pub validity_days: u32,
    /// Alone or half of a pair.
    pub pairing: Pairing,
    /// certificatePolicies; at least one. The default lies in the arc reserved for documentation (RFC 5612): replace it.
    pub policies: Vec<String>,
    /// countryName of subjects.
    pub country: String,
    /// Tagging inside `IdentifyCode`.
    pub identity_tagging: Tagging,
    /// Whether persons' numbers are published.
    pub identity_number: IdentityNumber,
    /// Whether certificates say where the deltas of their list are, if their issuer has deltas. Full lists always say it.
    pub freshest_crl: FreshestCrl,
    /// OID of the extension that carries the unified social credit code. GM/T 0015-2023 defines one, but its value could
    /// not be verified from a public text, so none is set.
    pub uscc_oid: Option<String>,
}

impl Default for ProfileConfig {
    fn default() -> Self {
        Self {
            validity_days: 365,
            pairing: Pairing::Single,
            policies: vec!["1.3.6.1.4.1.32473.1.1".to_owned()],
            country: "CN".to_owned(),
            identity_tagging: Tagging::Explicit,
            identity_number: IdentityNumber::Included,
            freshest_crl: FreshestCrl::Omitted,
            uscc_oid: None,
        }
    }
}

/// Why a profile is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Outside one day to five years.
    #[error("validity-days is {0}; it must lie between 1 and {MAX_VALIDITY_DAYS}")]
    Validity(u32),
    /// GM/T 0015 makes certificatePolicies mandatory.
    #[error("policies is empty; GM/T 0015 wants at least one")]
    NoPolicy,
    /// Not dotted decimal.
    #[error("{0:?} is not an object identifier")]
    Oid(String),
    /// Not ISO 3166.
    #[error("country is {0:?}; it must be two capital letters")]
    Country(String),
}

/// A checked profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    kind: SubjectKind,
    config: ProfileConfig,
    policies: Vec<ObjectIdentifier>,
    uscc: Option<ObjectIdentifier>,
}

impl Profile {
    /// Checks what the file says.
    ///
    /// # Errors
    /// [`ProfileError`] names the first key that cannot stand.
    pub fn new(kind: SubjectKind, config: ProfileConfig) -> Result<Self, ProfileError> {
        if !(1..=MAX_VALIDITY_DAYS).contains(&config.validity_days) {
            return Err(ProfileError::Validity(config.validity_days));
        }
        if config.policies.is_empty() {
            return Err(ProfileError::NoPolicy);
        }
        if config.country.len() != 2 || !config.country.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(ProfileError::Country(config.country));
        }
        let policies = config
            .policies
            .iter()
            .map(|text| oid(text))
            .collect::<Result<_, _>>()?;
        let uscc = config.uscc_oid.as_deref().map(oid).transpose()?;
        Ok(Self {
            kind,
            config,
            policies,
            uscc,
        })
    }

    /// Person, unit or device.
    #[must_use]
    pub fn kind(&self) -> SubjectKind {
        self.kind
    }

    /// Seconds from notBefore to notAfter.
    #[must_use]
    pub fn validity_secs(&self) -> u64 {
        u64::from(self.config.validity_days) * 86_400
    }

    /// countryName.
    #[must_use]
    pub fn country(&self) -> &str {
        &self.config.country
    }

    /// certificatePolicies.
    #[must_use]
    pub fn policies(&self) -> &[ObjectIdentifier] {
        &self.policies
    }

    /// Extension for the unified social credit code, if configured.
    #[must_use]
    pub fn uscc_extension(&self) -> Option<ObjectIdentifier> {
        self.uscc
    }

    /// Whether freshestCRL is written where there are deltas.
    #[must_use]
    pub fn freshest_crl(&self) -> FreshestCrl {
        self.config.freshest_crl
    }

    /// Whether and how `IdentifyCode` is written.
    #[must_use]
    pub fn identify_code(&self) -> Option<Tagging> {
        (self.config.identity_number == IdentityNumber::Included)
            .then_some(self.config.identity_tagging)
    }

    /// keyUsage and its criticality; the clause is at the head of this file.
    #[must_use]
    pub fn key_usage(&self, key: KeyFamily) -> (FlagSet<KeyUsages>, Weight) {
        let signing = KeyUsages::DigitalSignature | KeyUsages::NonRepudiation;
        match (self.config.pairing, self.kind) {
            (Pairing::PairSigning, _) => (signing, Weight::Critical),
            (Pairing::PairEncryption, _) => {
                let usages = KeyUsages::KeyEncipherment
                    | KeyUsages::DataEncipherment
                    | KeyUsages::KeyAgreement;
                (usages, Weight::Critical)
            }
            (Pairing::Single, SubjectKind::Person | SubjectKind::Unit) => {
                (signing, Weight::NonCritical)
            }
            (Pairing::Single, SubjectKind::Device) => {
                // RFC 8813 §3: keyEncipherment must not stand beside an elliptic-curve key.
                let exchange = match key {
                    KeyFamily::Rsa => KeyUsages::KeyEncipherment,
                    KeyFamily::EllipticCurve => KeyUsages::KeyAgreement,
                    KeyFamily::Edwards => KeyUsages::DigitalSignature,
                };
                (KeyUsages::DigitalSignature | exchange, Weight::NonCritical)
            }
        }
    }

    /// extKeyUsage.
    #[must_use]
    pub fn purposes(&self) -> &'static [ObjectIdentifier] {
        match self.kind {
            SubjectKind::Person => &[extension::KP_CLIENT, extension::KP_EMAIL],
            SubjectKind::Unit => &[extension::KP_CLIENT],
            SubjectKind::Device => &[extension::KP_SERVER, extension::KP_CLIENT],
        }
    }
}

/// What a subject's key can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFamily {
    /// Signs and deciphers.
    Rsa,
    /// Signs and agrees: ECDSA and SM2 curves.
    EllipticCurve,
    /// Signs only: Ed25519.
    Edwards,
}

fn oid(text: &str) -> Result<ObjectIdentifier, ProfileError> {
    ObjectIdentifier::new(text).map_err(|_| ProfileError::Oid(text.to_owned()))
}

/// Five years: nothing in the regulations reaches further.
const MAX_VALIDITY_DAYS: u32 = 5 * 366;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut ProfileConfig)) -> ProfileError {
        let mut config = ProfileConfig::default();
        change(&mut config);
        Profile::new(SubjectKind::Person, config).unwrap_err()
    }

    #[test]
    fn a_profile_that_breaks_its_standard_is_refused() {
        assert_eq!(refused(|c| c.validity_days = 0), ProfileError::Validity(0));
        assert_eq!(refused(|c| c.policies.clear()), ProfileError::NoPolicy);
        assert_eq!(
            refused(|c| c.country = "cn".into()),
            ProfileError::Country("cn".into())
        );
        assert_eq!(
            refused(|c| c.uscc_oid = Some("x".into())),
            ProfileError::Oid("x".into())
        );
    }

    #[test]
    fn a_pairs_key_usage_is_not_left_non_critical_nor_a_singles_critical() {
        let profile = |pairing| {
            let config = ProfileConfig {
                pairing,
                ..ProfileConfig::default()
            };
            Profile::new(SubjectKind::Person, config).unwrap()
        };
        let ec = KeyFamily::EllipticCurve;
        assert_eq!(
            profile(Pairing::PairSigning).key_usage(ec).1,
            Weight::Critical
        );
        assert_eq!(
            profile(Pairing::PairEncryption).key_usage(ec).1,
            Weight::Critical
        );
        assert_eq!(
            profile(Pairing::Single).key_usage(ec).1,
            Weight::NonCritical
        );
        let signs = KeyUsages::DigitalSignature;
        assert!(
            !profile(Pairing::PairEncryption)
                .key_usage(ec)
                .0
                .contains(signs)
        );
    }

    // RFC 8813 §3: keyEncipherment must not stand beside an elliptic-curve key.
    #[test]
    fn a_device_with_an_elliptic_curve_key_may_encipher_keys() {
        let profile = Profile::new(SubjectKind::Device, ProfileConfig::default()).unwrap();
        let usages = |key| profile.key_usage(key).0;
        assert!(usages(KeyFamily::Rsa).contains(KeyUsages::KeyEncipherment));
        for key in [KeyFamily::EllipticCurve, KeyFamily::Edwards] {
            assert!(!usages(key).contains(KeyUsages::KeyEncipherment));
        }
        assert!(usages(KeyFamily::EllipticCurve).contains(KeyUsages::KeyAgreement));
    }
}
