//! `issuingDistributionPoint`: which certificates a list is about.
//!
//! ```asn1
//! IssuingDistributionPoint ::= SEQUENCE {                          -- RFC 5280 §5.2.5
//!     distributionPoint          [0] DistributionPointName OPTIONAL,
//!     onlyContainsUserCerts      [1] BOOLEAN DEFAULT FALSE,
//!     onlyContainsCACerts        [2] BOOLEAN DEFAULT FALSE,
//!     onlySomeReasons            [3] ReasonFlags OPTIONAL,
//!     indirectCRL                [4] BOOLEAN DEFAULT FALSE,
//!     onlyContainsAttributeCerts [5] BOOLEAN DEFAULT FALSE }
//! ```

use alloc::vec::Vec;

use crate::der::{Reader, push_tlv, tag};
use crate::{DecodeError, Rule};

/// Which kind of certificates a list is restricted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// No restriction of kind.
    #[default]
    All,
    /// End entities only.
    UserCertificates,
    /// Authorities only.
    CaCertificates,
    /// Attribute certificates only.
    AttributeCertificates,
}

/// What a list is about, borrowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IssuingDistributionPoint<'a> {
    /// The whole TLV of `distributionPoint`, tag `[0]`, if there is one: the list may be one partition of several.
    pub name: Option<&'a [u8]>,
    /// The kind of certificates.
    pub scope: Scope,
    /// The content of `onlySomeReasons`, count of unused bits first.
    pub only_some_reasons: Option<&'a [u8]>,
    /// True if entries may speak of other issuers' certificates.
    pub is_indirect: bool,
}

impl<'a> IssuingDistributionPoint<'a> {
    /// True if a certificate that is not listed may still be revoked elsewhere.
    pub fn is_restricting(&self) -> bool {
        self.name.is_some()
            || self.scope != Scope::All
            || self.only_some_reasons.is_some()
            || self.is_indirect
    }

    pub(super) fn read(value: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut fields = value.sequence()?;
        let name = fields
            .optional(tag::context_constructed(0))?
            .map(|name| name.raw);
        let users = flag(&mut fields, 1)?;
        let authorities = flag(&mut fields, 2)?;
        let only_some_reasons = fields
            .optional(tag::context(3))?
            .map(|reasons| reasons.content);
        let is_indirect = flag(&mut fields, 4)?;
        let attributes = flag(&mut fields, 5)?;
        fields.finish()?;
        let scope = match (users, authorities, attributes) {
            (false, false, false) => Scope::All,
            (true, false, false) => Scope::UserCertificates,
            (false, true, false) => Scope::CaCertificates,
            (false, false, true) => Scope::AttributeCertificates,
            // RFC 5280 §5.2.5: at most one of the three.
            _ => return Err(fields.error(Rule::FieldRange)),
        };
        Ok(Self {
            name,
            scope,
            only_some_reasons,
            is_indirect,
        })
    }

    /// The whole TLV.
    pub fn encode(&self) -> Vec<u8> {
        const TRUE: &[u8] = &[0xff];
        let mut fields = Vec::from(self.name.unwrap_or_default());
        match self.scope {
            Scope::UserCertificates => push_tlv(&mut fields, tag::context(1), TRUE),
            Scope::CaCertificates => push_tlv(&mut fields, tag::context(2), TRUE),
            Scope::All | Scope::AttributeCertificates => {}
        }
        if let Some(reasons) = self.only_some_reasons {
            push_tlv(&mut fields, tag::context(3), reasons);
        }
        if self.is_indirect {
            push_tlv(&mut fields, tag::context(4), TRUE);
        }
        if self.scope == Scope::AttributeCertificates {
            push_tlv(&mut fields, tag::context(5), TRUE);
        }
        let mut whole = Vec::new();
        push_tlv(&mut whole, tag::SEQUENCE, &fields);
        whole
    }

    /// The TLV of `distributionPoint` that names one URI: `[0] { fullName [0] { uniformResourceIdentifier [6] } }`.
    pub fn name_of_uri(uri: &str) -> Vec<u8> {
        let mut general_name = Vec::new();
        push_tlv(&mut general_name, tag::context(6), uri.as_bytes());
        let mut full_name = Vec::new();
        push_tlv(&mut full_name, tag::context_constructed(0), &general_name);
        let mut name = Vec::new();
        push_tlv(&mut name, tag::context_constructed(0), &full_name);
        name
    }
}

impl<'a> IssuingDistributionPoint<'a> {
    /// The first URI that [`name`](Self::name) gives, if it gives one that is text: for people.
    pub fn uri(&self) -> Option<&'a str> {
        let mut point = Reader::new(self.name?).any().ok()?.reader();
        let mut names = point.optional(tag::context_constructed(0)).ok()??.reader();
        while !names.is_empty() {
            let name = names.any().ok()?;
            if name.tag == tag::context(6) {
                return core::str::from_utf8(name.content).ok();
            }
        }
        None
    }
}

/// An implicitly tagged BOOLEAN. An explicit FALSE breaks X.690 §11.5 and is taken: it is validly signed out there and
/// says the same.
fn flag(fields: &mut Reader<'_>, number: u8) -> Result<bool, DecodeError> {
    match fields.optional(tag::context(number))? {
        None => Ok(false),
        Some(value) => match value.content {
            [0x00] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(value.error(Rule::BooleanNotCanonical)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_shown_by_another_address_than_its_own() {
        let uri = "http://crl.example/1.crl";
        let name = IssuingDistributionPoint::name_of_uri(uri);
        let point = |name| IssuingDistributionPoint {
            name: Some(name),
            ..IssuingDistributionPoint::default()
        };
        assert_eq!(point(&name).uri(), Some(uri));
        // Behind a directoryName; none at all; relative to the issuer; no text; cut off.
        let second = [
            0xa0, 0x0b, 0xa0, 0x09, 0xa4, 0x02, 0x30, 0x00, 0x86, 0x03, b'x', b':', b'y',
        ];
        assert_eq!(point(&second).uri(), Some("x:y"));
        for nameless in [&second[..], &[0xa0, 0x02, 0xa1, 0x00], &[0xa0, 0x00]] {
            assert_eq!(point(&nameless[..nameless.len().min(8)]).uri(), None);
        }
        assert_eq!(
            point(&[0xa0, 0x05, 0xa0, 0x03, 0x86, 0x01, 0xff]).uri(),
            None
        );
        assert_eq!(IssuingDistributionPoint::default().uri(), None);
    }
}
