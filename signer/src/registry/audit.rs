//! Who did what when. The hash chain over these rows belongs to the registry issue; the rows are here now.

use wire::time::UnixSeconds;

use super::Revision;

/// In whose name and at what time a change is made. Time is an argument; only main loops read the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By<'a> {
    /// Clerk, officer, or the program itself (`signer`).
    pub who: &'a str,
    /// When.
    pub at: UnixSeconds,
}

impl<'a> By<'a> {
    /// An act of a person. Blanks around a name are nobody's.
    #[must_use]
    pub fn person(who: &'a str, at: UnixSeconds) -> Self {
        Self {
            who: who.trim(),
            at,
        }
    }

    /// Whether a name on record means the same person: case and the width of blanks make no second officer.
    #[must_use]
    pub fn is(&self, other: &str) -> bool {
        same_person(self.who, other)
    }

    /// An act of the signer itself: finishing what a crash left, expiring, rolling over OCSP signers.
    #[must_use]
    pub fn signer(at: UnixSeconds) -> By<'static> {
        By { who: SIGNER, at }
    }
}

/// The program's own name in the audit trail; no person may bear it.
pub const SIGNER: &str = "signer";

/// Whether two names on record mean the same person.
#[must_use]
pub fn same_person(one: &str, other: &str) -> bool {
    let plain = |name: &str| {
        let words: Vec<_> = name.split_whitespace().map(str::to_lowercase).collect();
        words.join(" ")
    };
    plain(one) == plain(other)
}

/// One act, as recorded in the transaction that did it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AuditEntry {
    /// Rises by one an entry.
    pub number: u64,
    /// When.
    pub at: UnixSeconds,
    /// In whose name.
    pub who: String,
    /// Verb: `found`, `submit`, `approve`, `reserve`, `issue`, `revoke`, `expire`, `crl`, `adopt`, `set`, `advance`,
    /// `rename`, `refuse`, `return`, `withdraw`.
    pub act: String,
    /// What it was done to: `submission 7`, `certificate p256/0a1b…`.
    pub object: String,
    /// JSON with the particulars.
    pub detail: String,
    /// The revision taken, if the act changed a status.
    pub revision: Option<Revision>,
}
