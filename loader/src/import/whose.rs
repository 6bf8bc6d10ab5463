//! Who signed a list, and whose certificates its entries are about.
//!
//! Most lists are signed by the CA whose certificates they are about. An indirect list is not (RFC 5280 §5.2.5): somebody
//! signs for several CAs, and each entry is about a certificate of the issuer that was named last, at first the list's own.
//! Which CA lets whom sign for it stands in the CA's certificates, which nobody has here: the operator says so by naming
//! both, and is believed.

use std::collections::VecDeque;

use wire::crl::{Crl, CrlEntry, directory_names};
use wire::name::{NameMatch, PreparedName};
use wire::serial::Serial;

use super::certificate::{Authority, Certificate, CrlSigning};
use super::check::EntryFault;
use super::refusal::CrlRefusal;

/// The CA whose certificates are asked about, and who signs lists about them.
#[derive(Debug, Clone, Copy)]
pub struct Parties<'a> {
    /// Issued the certificates.
    pub issuer: &'a Certificate,
    /// Signs indirect lists about them; none if the CA signs all of its lists.
    pub crl_issuer: Option<&'a Certificate>,
}

impl<'a> Parties<'a> {
    /// A CA that signs its own lists.
    pub fn alone(issuer: &'a Certificate) -> Self {
        Self {
            issuer,
            crl_issuer: None,
        }
    }

    /// Who should have signed a list that bears this issuer's Name.
    pub fn signer_of(&self, name: &[u8]) -> &'a Certificate {
        self.delegate(name).unwrap_or(self.issuer)
    }

    /// The other one, if it is that one's list.
    fn delegate(&self, name: &[u8]) -> Option<&'a Certificate> {
        self.crl_issuer
            .filter(|other| other.subject_is(name).is_same())
    }

    /// Judges whether a list's issuer may sign it; the issuer of a list of the CA's own is judged where its name is.
    pub(super) fn check_delegate(
        &self,
        crl: &Crl<'_>,
        odd: &mut Vec<String>,
    ) -> Result<(), CrlRefusal> {
        let is_indirect = is_indirect(crl);
        if is_indirect {
            odd.push(
                "it is an indirect list, about certificates of several issuers: not on the list is not good"
                    .to_owned(),
            );
        }
        let Some(delegate) = self.delegate(crl.issuer) else {
            return Ok(());
        };
        // RFC 5280 §6.3.3: (b)(1), a list of another issuer than the certificate's counts if it is indirect.
        if !is_indirect && !self.issuer.subject_is(&delegate.subject).is_same() {
            return Err(CrlRefusal::NotIndirect);
        }
        // RFC 5280 §6.3.3: (f), it need not be a CA; who is none must have been given the right by name.
        match (delegate.crl_signing, delegate.authority) {
            (CrlSigning::Named, Authority::EndEntity) if !is_indirect => {
                return Err(CrlRefusal::NotACa);
            }
            (CrlSigning::Named, _) | (CrlSigning::Unrestricted, Authority::Ca) => {}
            (CrlSigning::Forbidden | CrlSigning::Unrestricted, _) => {
                return Err(CrlRefusal::MayNotSignCrls);
            }
        }
        odd.push(format!(
            "{} signs it, and is believed about this issuer's certificates because it was named (--crl-issuer)",
            delegate.subject_text
        ));
        Ok(())
    }

    /// Whether a list is signed by another than the CA.
    pub(super) fn is_delegated(&self, crl: &Crl<'_>) -> bool {
        self.delegate(crl.issuer).is_some()
    }
}

/// Whether its entries may be about certificates of other issuers.
pub(super) fn is_indirect(crl: &Crl<'_>) -> bool {
    let point = crl.extensions.distribution_point;
    point.is_some_and(|point| point.is_indirect)
}

/// Whose certificate an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The CA's that is asked about.
    Ours,
    /// Another one's.
    Others,
    /// Nobody can tell: to leave such an entry out might be to leave out a revocation.
    Unclear,
}

/// Goes along the entries of a list from the first one on.
pub(super) struct Attribution {
    issuer: PreparedName,
    now: Whose,
    /// The names that were judged last, and what became of them: lists repeat them.
    judged: VecDeque<(Vec<u8>, Whose)>,
    /// The first entry that names an issuer.
    named: Option<(usize, Serial)>,
}

impl Attribution {
    /// Of a list that bears this issuer's Name.
    // RFC 5280 §5.3.3: until an entry names an issuer, the list's own is meant.
    pub(super) fn begin(parties: &Parties<'_>, list_issuer: &[u8]) -> Self {
        let mut begun = Self {
            issuer: PreparedName::of(&parties.issuer.subject),
            now: Whose::Unclear,
            judged: VecDeque::with_capacity(MOST_JUDGED),
            named: None,
        };
        begun.now = begun.whose(list_issuer);
        begun
    }

    /// Of entries that name nobody: whose the one before them is.
    #[inline]
    pub(super) fn goes_on(&self) -> Whose {
        self.now
    }

    /// Whose the next entry is; `number` is its number, from 1.
    // RFC 5280 §5.3.3: an entry that names no issuer is about the same one's certificates as the entry before it.
    // RFC 5280 §5.3.3: a directory name is always there. Without one nobody knows whose certificate is revoked.
    pub(super) fn of(&mut self, entry: &CrlEntry<'_>, number: usize) -> Result<Whose, EntryFault> {
        let serial = entry.serial;
        if let Some(names) = entry.certificate_issuer {
            self.named.get_or_insert((number, serial));
            self.now = self.judged_before(names);
        }
        match self.now {
            Whose::Unclear => Err(EntryFault::Nameless { number, serial }),
            clear => Ok(clear),
        }
    }

    fn judged_before(&mut self, names: &[u8]) -> Whose {
        let known = self.judged.iter().find(|(judged, _)| judged == names);
        if let Some((_, whose)) = known {
            return *whose;
        }
        let whose = self.judge(names);
        if self.judged.len() == MOST_JUDGED {
            self.judged.pop_front();
        }
        self.judged.push_back((names.to_vec(), whose));
        whose
    }

    fn judge(&self, names: &[u8]) -> Whose {
        let names = directory_names(names).unwrap_or_default();
        if names.is_empty() || names.len() > MOST_NAMES {
            return Whose::Unclear;
        }
        let mut all = names.iter().map(|name| self.whose(name));
        let first = all.next().unwrap_or(Whose::Unclear);
        all.fold(first, |so_far, next| match (so_far, next) {
            (Whose::Ours, _) | (_, Whose::Ours) => Whose::Ours,
            (Whose::Others, Whose::Others) => Whose::Others,
            _ => Whose::Unclear,
        })
    }

    fn whose(&self, name: &[u8]) -> Whose {
        match self.issuer.compare(name) {
            NameMatch::Identical | NameMatch::Equivalent => Whose::Ours,
            NameMatch::Different => Whose::Others,
            NameMatch::Unknown => Whose::Unclear,
        }
    }

    /// What is wrong with a list that is not indirect and whose entries name issuers.
    pub(super) fn fault_if_direct(&self) -> Option<EntryFault> {
        self.named
            .map(|(number, serial)| EntryFault::OtherIssuer { number, serial })
    }
}

/// Lists are about a few CAs, and name them by turns.
const MOST_JUDGED: usize = 8;
/// Directory names of one issuer: its name, and a few that it is known by as well.
const MOST_NAMES: usize = 16;
