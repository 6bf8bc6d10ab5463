//! Which lists an authority has: what the file says ([`ListConfig`]) → [`ListPolicy`] (checked).
//!
//! ```toml
//! [signing.crl.p256]
//! partitions = 16     # certificates issued from now on name one of sixteen lists
//! delta = true        # a revocation goes out in a small list; full ones are written on schedule
//! ```

use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// The lists of one authority as the configuration file says it; table `[signing.crl.<alias>]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ListConfig {
    /// Partitions that certificates issued from now on are spread over; 0: all name the list of all. Certificates keep the
    /// list they name: fewer partitions, or none, later do not end those that are named.
    pub partitions: u32,
    /// Whether there are delta lists. A revocation then goes out in a delta, and full lists are written on schedule only.
    /// Turned off, full lists stop naming them at once, and deltas end with the last list out there that does. Certificates
    /// that name deltas (freshestCRL of a profile) do so for their life; without one, the full list is what counts.
    pub delta: bool,
    /// Whether there is a list of all beside partitions, also when no certificate names it.
    pub whole: bool,
    /// Seconds from thisUpdate to nextUpdate of full lists; absent: `crl-validity-secs` (`root-crl-validity-secs`).
    pub validity_secs: Option<u64>,
    /// The same of delta lists.
    pub delta_validity_secs: u64,
}

impl Default for ListConfig {
    fn default() -> Self {
        Self {
            partitions: 0,
            delta: false,
            whole: true,
            validity_secs: None,
            delta_validity_secs: 6 * 3_600,
        }
    }
}

/// Why the lists of an authority are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListConfigError {
    /// More lists than anybody serves.
    #[error("partitions is {0}; it must be at most {MOST_PARTITIONS}")]
    Partitions(u32),
    /// A list that cannot be renewed in time.
    #[error("{key} is {value}; it must lie between {LEAST_SECS} and {MOST_SECS}")]
    Validity {
        /// Which key.
        key: &'static str,
        /// What it says.
        value: u64,
    },
}

/// Whether there are delta lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deltas {
    /// There are none: each revocation is followed by a new full list.
    None,
    /// There are, and full lists say where.
    Written,
}

/// When there is a list of all certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WholeList {
    /// Always.
    Always,
    /// As long as a certificate names it.
    WhileNamed,
}

/// The lists of one authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListPolicy {
    /// Partitions that new certificates are spread over.
    pub partitions: Option<NonZeroU32>,
    /// Delta lists.
    pub deltas: Deltas,
    /// The list of all.
    pub whole: WholeList,
    /// Seconds from thisUpdate to nextUpdate of full lists.
    pub validity_secs: u64,
    /// The same of delta lists; also of the last ones, once there shall be none.
    pub delta_validity_secs: u64,
}

impl ListConfig {
    /// Checks what the file says.
    ///
    /// # Errors
    /// [`ListConfigError`] names the first key that cannot stand.
    pub fn check(&self) -> Result<(), ListConfigError> {
        if self.partitions > MOST_PARTITIONS {
            return Err(ListConfigError::Partitions(self.partitions));
        }
        for (key, value) in [
            ("validity-secs", self.validity_secs.unwrap_or(LEAST_SECS)),
            ("delta-validity-secs", self.delta_validity_secs),
        ] {
            if !(LEAST_SECS..=MOST_SECS).contains(&value) {
                return Err(ListConfigError::Validity { key, value });
            }
        }
        Ok(())
    }

    /// What it means where full lists are valid for `validity_secs` unless it says otherwise.
    #[must_use]
    pub fn policy(&self, validity_secs: u64) -> ListPolicy {
        ListPolicy {
            partitions: NonZeroU32::new(self.partitions),
            deltas: if self.delta {
                Deltas::Written
            } else {
                Deltas::None
            },
            whole: if self.whole || self.partitions == 0 {
                WholeList::Always
            } else {
                WholeList::WhileNamed
            },
            validity_secs: self.validity_secs.unwrap_or(validity_secs),
            delta_validity_secs: self.delta_validity_secs,
        }
    }
}

/// Each partition is a file that is written, sealed and served.
const MOST_PARTITIONS: u32 = 4_096;
/// A client whose clock is a minute off must still find a list it accepts.
const LEAST_SECS: u64 = 120;
/// A year: RFC 5280 sets no limit, and no relying party wants one older.
const MOST_SECS: u64 = 366 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_nobody_could_serve_or_renew_are_taken() {
        let config = |partitions, delta_validity_secs| ListConfig {
            partitions,
            delta_validity_secs,
            ..ListConfig::default()
        };
        assert_eq!(config(4_096, 120).check(), Ok(()));
        assert_eq!(
            config(4_097, 120).check(),
            Err(ListConfigError::Partitions(4_097))
        );
        assert!(config(1, 119).check().is_err());
    }

    #[test]
    fn an_authority_without_partitions_has_no_list_at_all() {
        let config = ListConfig {
            whole: false,
            ..ListConfig::default()
        };
        assert_eq!(config.policy(60).whole, WholeList::Always);
    }
}
