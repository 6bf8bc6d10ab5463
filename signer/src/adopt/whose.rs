//! Who signed a list, and of an indirect one whose certificates its entries are about.
//!
//! RFC 5280 §5.2.5, §5.3.3: an indirect list is signed for several authorities, and an entry is about a certificate of the
//! issuer named last, at first of the list's own. That one authority lets another sign is the operator's word: he named
//! both certificates when he imported the list.

use super::Refusal;
use wire::crl::{Crl, directory_names};
use wire::serial::Serial;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
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
pub(super) struct Attribution<'n> {
    authority: &'n X509Name<'n>,
    may_name: bool,
    /// Whether the entry at hand is about a certificate of the authority.
    is_ours: bool,
    /// What named the issuer last, and whether that was the authority.
    last: (Vec<u8>, bool),
}

impl<'n> Attribution<'n> {
    // RFC 5280 §5.3.3: until an entry names an issuer, the list's own is meant.
    pub(super) fn begin(crl: &Crl<'_>, authority: &'n X509Name<'n>) -> Self {
        Self {
            authority,
            may_name: is_indirect(crl),
            is_ours: is_name_of(crl.issuer, authority),
            last: (Vec::new(), false),
        }
    }

    /// Whether the next entry is about a certificate of the authority; `names` are those in its certificateIssuer.
    // RFC 5280 §5.3.3: an entry that names no issuer is about the same one's certificates as the entry before it.
    pub(super) fn is_ours(
        &mut self,
        serial: Serial,
        names: Option<&[u8]>,
    ) -> Result<bool, Refusal> {
        let Some(names) = names else {
            return Ok(self.is_ours);
        };
        if !self.may_name {
            return Err(Refusal::Indirect);
        }
        if self.last.0 != names {
            // RFC 5280 §5.3.3: a directory name is always there. Without one nobody knows whose certificate is revoked.
            let found = directory_names(names).unwrap_or_default();
            if found.is_empty() {
                return Err(Refusal::Nameless(serial));
            }
            let is_ours = found.iter().any(|name| is_name_of(name, self.authority));
            self.last = (names.to_vec(), is_ours);
        }
        self.is_ours = self.last.1;
        Ok(self.is_ours)
    }
}

pub(super) fn is_indirect(crl: &Crl<'_>) -> bool {
    let point = crl.extensions.distribution_point;
    point.is_some_and(|point| point.is_indirect)
}

/// Octet for octet, else by RFC 5280 §7.1: same attributes in the same order, string type, case and runs of spaces aside.
pub(super) fn is_name_of(in_list: &[u8], in_certificate: &X509Name<'_>) -> bool {
    if in_list == in_certificate.as_raw() {
        return true;
    }
    let Ok(([], in_list)) = X509Name::from_der(in_list) else {
        return false;
    };
    let folded = |name: &X509Name<'_>| {
        name.iter()
            .map(|rdn| {
                rdn.iter()
                    .map(|attribute| {
                        let text = attribute.as_str().ok()?;
                        let words: Vec<_> =
                            text.split_whitespace().map(str::to_lowercase).collect();
                        Some((attribute.attr_type().to_id_string(), words.join(" ")))
                    })
                    .collect::<Option<Vec<_>>>()
            })
            .collect::<Option<Vec<_>>>()
    };
    match (folded(&in_list), folded(in_certificate)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}
