//! Distinguished names as our profiles write them: C, O, OU, CN in this order, one attribute in each RDN.
//!
//! GM/T 0015 §5.2.3.4: countryName is a `PrintableString`, everything else a `UTF8String`.

use der::asn1::{Any, PrintableStringRef, SetOfVec, Utf8StringRef};
use der::{Decode, Encode, oid::ObjectIdentifier};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

/// The parts of a name; empty parts are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameParts<'a> {
    /// Two letters.
    pub country: &'a str,
    /// Organisation.
    pub organisation: &'a str,
    /// Department, or the like.
    pub unit: &'a str,
    /// What or who.
    pub common_name: &'a str,
}

impl NameParts<'_> {
    /// The name as the certificate builder wants it.
    ///
    /// # Errors
    /// If the country is not printable or a part is longer than DER can say.
    pub fn build(&self) -> der::Result<Name> {
        let mut sequence = RdnSequence::default();
        if !self.country.is_empty() {
            let value = Any::encode_from(&PrintableStringRef::new(self.country)?)?;
            sequence.push(rdn(COUNTRY, value)?);
        }
        for (oid, text) in [
            (ORGANISATION, self.organisation),
            (ORGANISATIONAL_UNIT, self.unit),
            (COMMON_NAME, self.common_name),
        ] {
            if !text.is_empty() {
                sequence.push(rdn(oid, Any::encode_from(&Utf8StringRef::new(text)?)?)?);
            }
        }
        Name::from_der(&sequence.to_der()?)
    }

    /// The name's DER.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn to_der(&self) -> der::Result<Vec<u8>> {
        self.build()?.to_der()
    }
}

fn rdn(oid: ObjectIdentifier, value: Any) -> der::Result<RelativeDistinguishedName> {
    let mut set = SetOfVec::new();
    set.insert(AttributeTypeAndValue { oid, value })?;
    RelativeDistinguishedName::try_from(set.into_vec())
}

const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
const ORGANISATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const ORGANISATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// RFC 5280 Appendix A: ub-common-name, ub-organization-name, ub-organizational-unit-name, in characters.
pub const UPPER_BOUND_CHARACTERS: usize = 64;
