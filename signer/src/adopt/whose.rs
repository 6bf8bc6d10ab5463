//! Who signed a list, and of an indirect one whose certificates its entries are about.
//!
//! RFC 5280 §5.2.5, §5.3.3: an indirect list is signed for several authorities, and an entry is about a certificate of the
//! issuer named last, at first of the list's own. That one authority lets another sign is the operator's word: he named
//! both certificates when he imported the list.

use super::Refusal;
use std::collections::VecDeque;
use wire::crl::{Crl, directory_names};
use wire::name::{NameMatch, PreparedName, compare_names};
use wire::serial::Serial;
use x509_parser::certificate::X509Certificate;
use x509_parser::x509::X509Name;

/// The authority, and who signs indirect lists about its certificates, if somebody does.
#[derive(Clone, Copy)]
pub(super) struct Parties<'p, 'c> {
    pub(super) issuer: &'p X509Certificate<'c>,
    pub(super) delegate: Option<&'p X509Certificate<'c>>,
}

impl<'p, 'c> Parties<'p, 'c> {
    /// Whose key must have signed this list.
    ///
    /// # Errors
    /// [`Refusal`] if it is a list of neither, or that one may not sign it.
    pub(super) fn signer_of(&self, crl: &Crl<'_>) -> Result<&'p X509Certificate<'c>, Refusal> {
        let named = self
            .delegate
            .filter(|delegate| is_name_of(crl.issuer, delegate.subject()));
        let Some(delegate) = named else {
            if !is_name_of(crl.issuer, self.issuer.subject()) {
                return Err(Refusal::Name);
            }
            may_sign(self.issuer)?;
            return Ok(self.issuer);
        };
        let is_namesake = is_name_of(delegate.subject().as_raw(), self.issuer.subject());
        match (is_indirect(crl), is_namesake) {
            (true, _) => may_sign_for_others(delegate)?,
            // Another key under the authority's own name.
            (false, true) => may_sign(delegate)?,
            // RFC 5280 §6.3.3: (b)(1), a list of another issuer than the certificate's counts if it is indirect.
            (false, false) => return Err(Refusal::NotIndirect),
        }
        Ok(delegate)
    }
}

/// RFC 5280 §6.3.3: (f), the extensions of whoever signed the list must allow it.
/// Old authorities have neither keyUsage nor basicConstraints.
fn may_sign(issuer: &X509Certificate<'_>) -> Result<(), Refusal> {
    let (is_ca, signs_lists) = rights(issuer)?;
    if is_ca == Some(false) || signs_lists == Some(false) {
        return Err(Refusal::MayNotSign);
    }
    Ok(())
}

/// The same of somebody who need be no authority, but is then given the right by name.
fn may_sign_for_others(delegate: &X509Certificate<'_>) -> Result<(), Refusal> {
    match rights(delegate)? {
        (_, Some(true)) | (Some(true), None) => Ok(()),
        _ => Err(Refusal::MayNotSign),
    }
}

/// cA and cRLSign, where the certificate speaks of them.
fn rights(certificate: &X509Certificate<'_>) -> Result<(Option<bool>, Option<bool>), Refusal> {
    let constraints = certificate
        .basic_constraints()
        .map_err(|_| Refusal::IssuerUnreadable)?;
    let usage = certificate
        .key_usage()
        .map_err(|_| Refusal::IssuerUnreadable)?;
    Ok((
        constraints.map(|found| found.value.ca),
        usage.map(|found| found.value.crl_sign()),
    ))
}

/// Goes along the entries of one list.
pub(super) struct Attribution {
    authority: PreparedName,
    may_name: bool,
    /// Whose certificate the entry at hand is; none where nobody can tell.
    is_ours: Option<bool>,
    /// What named issuers lately, and what became of it.
    judged: VecDeque<(Vec<u8>, Option<bool>)>,
}

impl Attribution {
    // RFC 5280 §5.3.3: until an entry names an issuer, the list's own is meant.
    pub(super) fn begin(crl: &Crl<'_>, authority: &X509Name<'_>) -> Self {
        let mut begun = Self {
            authority: PreparedName::of(authority.as_raw()),
            may_name: is_indirect(crl),
            is_ours: None,
            judged: VecDeque::with_capacity(MOST_JUDGED),
        };
        begun.is_ours = begun.tell(crl.issuer);
        begun
    }

    /// Whether the next entry is about a certificate of the authority; `names` are those in its certificateIssuer.
    // RFC 5280 §5.3.3: an entry that names no issuer is about the same one's certificates as the entry before it.
    // RFC 5280 §5.3.3: a directory name is always there. Without one nobody knows whose certificate is revoked.
    pub(super) fn is_ours(
        &mut self,
        serial: Serial,
        names: Option<&[u8]>,
    ) -> Result<bool, Refusal> {
        if let Some(names) = names {
            if !self.may_name {
                return Err(Refusal::Indirect);
            }
            self.is_ours = self.judge(names);
        }
        // To leave out what nobody can tell might be to leave out a revocation.
        self.is_ours.ok_or(Refusal::Nameless(serial))
    }

    fn judge(&mut self, names: &[u8]) -> Option<bool> {
        if let Some((_, told)) = self.judged.iter().find(|(judged, _)| judged == names) {
            return *told;
        }
        let found = directory_names(names).unwrap_or_default();
        let told = if found.is_empty() || found.len() > MOST_NAMES {
            None
        } else {
            let told: Vec<_> = found.iter().map(|name| self.tell(name)).collect();
            match told.contains(&Some(true)) {
                true => Some(true),
                false if told.contains(&None) => None,
                false => Some(false),
            }
        };
        if self.judged.len() == MOST_JUDGED {
            self.judged.pop_front();
        }
        self.judged.push_back((names.to_vec(), told));
        told
    }

    fn tell(&self, name: &[u8]) -> Option<bool> {
        match self.authority.compare(name) {
            NameMatch::Identical | NameMatch::Equivalent => Some(true),
            NameMatch::Different => Some(false),
            NameMatch::Unknown => None,
        }
    }
}

pub(super) fn is_indirect(crl: &Crl<'_>) -> bool {
    let point = crl.extensions.distribution_point;
    point.is_some_and(|point| point.is_indirect)
}

/// What a list is about: its issuingDistributionPoint, and of an indirect one who issued it. Several may sign for one
/// authority under the same bare point, and each counts its own lists.
// RFC 5280 §5.2.3: numbers are those of one issuer's lists of one scope.
pub(super) fn scope_of(crl: &Crl<'_>) -> Vec<u8> {
    let point = crl.extensions.distribution_point;
    let mut scope = point.map(|point| point.encode()).unwrap_or_default();
    if is_indirect(crl) {
        // However its name is spelt.
        scope.extend_from_slice(&PreparedName::of(crl.issuer).key());
    }
    scope
}

/// A name that cannot be compared is not this one.
fn is_name_of(in_list: &[u8], in_certificate: &X509Name<'_>) -> bool {
    compare_names(in_certificate.as_raw(), in_list).is_same()
}

/// Lists are about a few authorities, and name them by turns.
const MOST_JUDGED: usize = 8;
/// Directory names of one issuer: its name, and a few that it is known by as well.
const MOST_NAMES: usize = 16;
