//! How long things are valid and how much is done at once; the `[signing]` table of the configuration file.

mod algorithms;

pub use algorithms::AlgorithmsError;

use crate::batch::plan::rota::MOST_SHARDS;
use crate::ca::crl::policy::{ListConfig, ListConfigError, ListPolicy, WholeList};
use crate::ca::profile::{Profile, ProfileConfig, ProfileError};
use crate::registry::SubjectKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::CertIdForm;

/// What the file says. Every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct SettingsConfig {
    /// Seconds from a response's thisUpdate to its nextUpdate.
    pub response_validity_secs: u64,
    /// Seconds in which every base shard is signed again once, one after another; 0: half of the validity.
    pub refresh_secs: u64,
    /// No response's thisUpdate shall grow older, in seconds; 0: three quarters of the validity.
    pub age_objective_secs: u64,
    /// Names of the CertID forms that are signed ahead (`sha1`, `sha256`, …); none: what stock clients ask with.
    pub forms: Vec<String>,
    /// What is otherwise for one authority, by its alias.
    pub issuer: BTreeMap<String, IssuerConfig>,
    /// Seconds from thisUpdate to nextUpdate of an issuing authority's CRL; written again at half of it, and on revocation.
    pub crl_validity_secs: u64,
    /// The same for roots, whose lists hardly ever change.
    pub root_crl_validity_secs: u64,
    /// Life of a delegated OCSP signer certificate.
    pub ocsp_signer_validity_secs: u64,
    /// After notAfter, a certificate's last status is still signed for so long (RFC 6960 archiveCutoff).
    pub archive_secs: u64,
    /// Seconds from thisUpdate to nextUpdate of what is said of them then. It is signed again only when it lasts no longer than
    /// what is said of living certificates; not above `response-validity-secs`: signed like that.
    pub expired_validity_secs: u64,
    /// Base shards of an authority; 0: by its size.
    pub shards: u32,
    /// Records of a base shard where their number follows the authority's size.
    pub shard_records: u64,
    /// Statuses in one batch of changes: a revocation waits for so many others at most, however many there are.
    pub delta_records: u32,
    /// Signing threads for what is urgent; 0: one a core.
    pub threads: usize,
    /// Signing threads for base shards whose turn has come; 0: half of the cores.
    pub refresh_threads: usize,
    /// Memory for putting an authority's statuses in order and for what changed since, in MiB.
    pub status_memory_mib: u64,
    /// Seconds between two comparisons of a status file with the database; one more at every start.
    pub status_check_secs: u64,
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

/// What is otherwise for one authority.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct IssuerConfig {
    /// As in `[signing]`.
    pub response_validity_secs: Option<u64>,
    /// As in `[signing]`.
    pub refresh_secs: Option<u64>,
    /// As in `[signing]`.
    pub age_objective_secs: Option<u64>,
    /// As in `[signing]`.
    pub forms: Option<Vec<String>>,
    /// Names of the algorithms (`ecdsa-p256-sha256`, …) that responses are signed with beside the authority's own, for clients
    /// that prefer them (RFC 6960 §4.4.7); each takes an OCSP signer of its own and as many signatures more, of RSA four to eight
    /// times as long as of P-256 and many times as dear. At most three.
    pub ocsp_algorithms: Vec<String>,
}

/// How an authority's responses are signed ahead: the settings that hold for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Seconds from thisUpdate to nextUpdate.
    pub validity: u64,
    /// Seconds in which every base shard has its turn once.
    pub refresh: u64,
    /// No response's thisUpdate shall grow older, in seconds.
    pub age_objective: u64,
    /// What is signed ahead; none: what stock clients ask with.
    pub forms: Option<Vec<CertIdForm>>,
    /// What it is signed with beside the authority's own algorithm, in the order of their codes.
    pub further: Vec<SignatureAlgorithm>,
}

impl Terms {
    /// What responses of an authority of that algorithm are signed with: its own first, which every client that trusts the
    /// authority can verify.
    #[must_use]
    pub fn algorithms(&self, own: SignatureAlgorithm) -> Vec<SignatureAlgorithm> {
        let further = self.further.iter().copied();
        let further = further.filter(|one| !algorithms::are_alike(*one, own));
        std::iter::once(own).chain(further).collect()
    }
}

impl Default for SettingsConfig {
    fn default() -> Self {
        Self {
            // CABF BR §4.9.9: answers last from eight hours to ten days, and are signed anew before half of that.
            response_validity_secs: 24 * 3_600,
            refresh_secs: 0,
            age_objective_secs: 0,
            forms: Vec::new(),
            issuer: BTreeMap::new(),
            // CABF BR §4.9.7: a list is made anew within a day of a revocation and ends within ten days.
            crl_validity_secs: 24 * 3_600,
            root_crl_validity_secs: 30 * 86_400,
            ocsp_signer_validity_secs: 14 * 86_400,
            archive_secs: 30 * 86_400,
            expired_validity_secs: 7 * 86_400,
            shards: 0,
            shard_records: 65_536,
            // A tenth of a second of P-256 on two cores, a second of RSA-2048 on eight.
            delta_records: 4_096,
            threads: 0,
            refresh_threads: 0,
            status_memory_mib: 64,
            status_check_secs: 86_400,
            // CABF BR §4.9.9: an answer is there a quarter of an hour after its certificate at the latest.
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
    /// The lists of an authority cannot stand.
    #[error("crl.{alias}")]
    Lists {
        /// Whose.
        alias: String,
        /// Why.
        source: ListConfigError,
    },
    /// There is no such form.
    #[error("forms names `{name}`; there are {known}")]
    Form {
        /// What it says.
        name: String,
        /// What it may say.
        known: String,
    },
    /// The algorithms beside an authority's own cannot stand.
    #[error("ocsp-algorithms")]
    Algorithms(#[from] AlgorithmsError),
    /// One authority's table cannot stand.
    #[error("issuer.{alias}")]
    Issuer {
        /// Whose.
        alias: String,
        /// Why.
        source: Box<SettingsError>,
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
            ("archive-secs", config.archive_secs, 0, CENTURY_SECS),
            (
                "expired-validity-secs",
                config.expired_validity_secs,
                0,
                CENTURY_SECS,
            ),
            // A revocation must be out within a second.
            ("poll-millis", config.poll_millis, 1, 1_000),
            ("threads", config.threads as u64, 0, 1_024),
            ("refresh-threads", config.refresh_threads as u64, 0, 1_024),
            ("shards", u64::from(config.shards), 0, MOST_SHARDS),
            ("shard-records", config.shard_records, 1, 1 << 24),
            ("delta-records", config.delta_records.into(), 1, 1 << 20),
            (
                "status-memory-mib",
                config.status_memory_mib,
                1,
                MOST_MEMORY_MIB,
            ),
            (
                "status-check-secs",
                config.status_check_secs,
                60,
                CENTURY_SECS,
            ),
        ] {
            within(key, value, least, most)?;
        }
        check_terms(&terms(&config, None)?, &config)?;
        for alias in config.issuer.keys() {
            let terms = terms(&config, Some(alias));
            terms
                .and_then(|terms| check_terms(&terms, &config))
                .map_err(|source| SettingsError::Issuer {
                    alias: alias.clone(),
                    source: Box::new(source),
                })?;
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

    /// What holds for the authority of that alias.
    #[must_use]
    pub fn terms(&self, alias: &str) -> Terms {
        terms(&self.config, Some(alias)).expect("they were checked when the file was read")
    }

    /// Whether what was said of an authority fits its algorithm, which the file does not know.
    ///
    /// # Errors
    /// [`SettingsError::Issuer`].
    pub fn check_for(&self, alias: &str, own: SignatureAlgorithm) -> Result<(), SettingsError> {
        let checked = algorithms::check_beside(&self.terms(alias).further, own);
        checked.map_err(|source| SettingsError::Issuer {
            alias: alias.to_owned(),
            source: Box::new(source.into()),
        })
    }

    /// The longest validity of any authority's responses.
    #[must_use]
    pub fn longest_validity_secs(&self) -> u64 {
        let own = self.config.issuer.values();
        let own = own.filter_map(|own| own.response_validity_secs);
        own.fold(self.config.response_validity_secs, u64::max)
    }

    /// Signing threads for what is urgent, at least one.
    #[must_use]
    pub fn threads(&self) -> usize {
        match self.config.threads {
            0 => cores(),
            some => some,
        }
    }

    /// Signing threads for what has time, at least one.
    #[must_use]
    pub fn refresh_threads(&self) -> usize {
        match self.config.refresh_threads {
            0 => (cores() / 2).max(1),
            some => some,
        }
    }

    /// Statuses held in memory at once while they are put in order.
    #[must_use]
    pub fn status_rows(&self) -> usize {
        let rows = (self.config.status_memory_mib << 20) / STATUS_ROW_OCTETS;
        usize::try_from(rows).unwrap_or(usize::MAX)
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn terms(config: &SettingsConfig, alias: Option<&str>) -> Result<Terms, SettingsError> {
    let own = alias.and_then(|alias| config.issuer.get(alias));
    let of = |key: fn(&IssuerConfig) -> Option<u64>, all| own.and_then(key).unwrap_or(all);
    let validity = of(
        |own| own.response_validity_secs,
        config.response_validity_secs,
    );
    let or = |value, default| if value == 0 { default } else { value };
    let refresh = of(|own| own.refresh_secs, config.refresh_secs);
    let age_objective = of(|own| own.age_objective_secs, config.age_objective_secs);
    let forms = own
        .and_then(|own| own.forms.as_ref())
        .unwrap_or(&config.forms);
    Ok(Terms {
        validity,
        refresh: or(refresh, (validity / 2).min(LONGEST_REFRESH_SECS)),
        age_objective: or(age_objective, validity / 4 * 3),
        forms: match forms.as_slice() {
            [] => None,
            some => Some(
                some.iter()
                    .map(|name| form(name))
                    .collect::<Result<_, _>>()?,
            ),
        },
        further: match own {
            Some(own) => algorithms::read(&own.ocsp_algorithms)?,
            None => Vec::new(),
        },
    })
}

fn form(name: &str) -> Result<CertIdForm, SettingsError> {
    let named = CertIdForm::ALL.into_iter().find(|form| form.name() == name);
    named.ok_or_else(|| SettingsError::Form {
        name: name.to_owned(),
        known: CertIdForm::ALL.map(|form| form.name()).join(", "),
    })
}

fn check_terms(terms: &Terms, config: &SettingsConfig) -> Result<(), SettingsError> {
    algorithms::check(terms)?;
    // A client whose clock is a minute off must still find a window it accepts.
    within("response-validity-secs", terms.validity, 120, CENTURY_SECS)?;
    // Three quarters of a window are the last moment to sign again; a shard must have had its turn by then.
    let longest = (terms.validity / 4 * 3).min(LONGEST_REFRESH_SECS);
    within("refresh-secs", terms.refresh, 30, longest)?;
    within(
        "age-objective-secs",
        terms.age_objective,
        terms.refresh,
        terms.validity,
    )?;
    // Windows end before their signer does: it must outlive several of them.
    within(
        "ocsp-signer-validity-secs",
        config.ocsp_signer_validity_secs,
        terms.validity.saturating_mul(4),
        CENTURY_SECS,
    )
}

fn within(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), SettingsError> {
    if value < least {
        return Err(SettingsError::TooSmall { key, value, least });
    }
    if value > most {
        return Err(SettingsError::TooLarge { key, value, most });
    }
    Ok(())
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

/// No shard goes longer without its turn: deltas keep a window for every publish since the oldest shard was signed, which is
/// one and a half rounds ago at most. Eight tiers take one a second for three days, however they are joined.
const LONGEST_REFRESH_SECS: u64 = 2 * 86_400;
/// More is nobody's memory.
const MOST_MEMORY_MIB: u64 = 1 << 20;
/// What a row takes while it waits to be put in order.
const STATUS_ROW_OCTETS: u64 = 96;
/// No validity is longer.
const CENTURY_SECS: u64 = 100 * 366 * 86_400;

#[cfg(test)]
mod tests;
