//! Certificate extensions: RFC 5280's through x509-cert's types, GM/T 0015's by hand.

use aws_lc_rs::digest;
use der::asn1::{Any, Ia5String, OctetString, PrintableStringRef, Utf8StringRef};
use der::flagset::FlagSet;
use der::oid::{AssociatedOid, ObjectIdentifier};
use der::{Encode, Tag, TagNumber};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::certpolicy::PolicyInformation;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints,
    CertificatePolicies, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    SubjectAltName, SubjectKeyIdentifier,
};

/// How an extension stands in a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A verifier that does not know it must refuse the certificate.
    Critical,
    /// A verifier may ignore it.
    NonCritical,
}

/// SHA-1 of the public key's BIT STRING content: GM/T 0015 §5.2.4.2.1, RFC 5280 §4.2.1.2 (1), and RFC 6960's byKey.
///
/// # Errors
/// If the octets are no `SubjectPublicKeyInfo`.
pub fn key_identifier(public_key_der: &[u8]) -> der::Result<[u8; 20]> {
    let key = SubjectPublicKeyInfoRef::try_from(public_key_der)
        .map_err(|_| der::ErrorKind::Value { tag: Tag::Sequence })?;
    let hash = digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        key.subject_public_key.raw_bytes(),
    );
    let mut out = [0; 20];
    out.copy_from_slice(hash.as_ref());
    Ok(out)
}

/// subjectKeyIdentifier.
pub fn subject_key(identifier: &[u8; 20]) -> der::Result<Extension> {
    extension(
        &SubjectKeyIdentifier(OctetString::new(identifier.as_slice())?),
        Weight::NonCritical,
    )
}

/// authorityKeyIdentifier: keyIdentifier only.
pub fn authority_key(identifier: &[u8; 20]) -> der::Result<Extension> {
    let value = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(identifier.as_slice())?),
        ..AuthorityKeyIdentifier::default()
    };
    extension(&value, Weight::NonCritical)
}

/// basicConstraints of an authority.
pub fn authority(path_length: u8) -> der::Result<Extension> {
    let value = BasicConstraints {
        ca: true,
        path_len_constraint: Some(path_length),
    };
    extension(&value, Weight::Critical)
}

/// keyUsage.
pub fn key_usage(usages: impl Into<FlagSet<KeyUsages>>, weight: Weight) -> der::Result<Extension> {
    extension(&KeyUsage(usages.into()), weight)
}

/// extKeyUsage.
pub fn extended_key_usage(purposes: &[ObjectIdentifier]) -> der::Result<Extension> {
    extension(&ExtendedKeyUsage(purposes.to_vec()), Weight::NonCritical)
}

/// certificatePolicies without qualifiers.
pub fn policies(oids: &[ObjectIdentifier]) -> der::Result<Extension> {
    let policy = |oid: &ObjectIdentifier| PolicyInformation {
        policy_identifier: *oid,
        policy_qualifiers: None,
    };
    extension(
        &CertificatePolicies(oids.iter().map(policy).collect()),
        Weight::NonCritical,
    )
}

/// authorityInfoAccess: OCSP (if any), then caIssuers.
pub fn access(ocsp: Option<&str>, ca_issuers: &str) -> der::Result<Extension> {
    let mut list = Vec::new();
    if let Some(url) = ocsp {
        list.push(AccessDescription {
            access_method: AD_OCSP,
            access_location: uri(url)?,
        });
    }
    list.push(AccessDescription {
        access_method: AD_CA_ISSUERS,
        access_location: uri(ca_issuers)?,
    });
    extension(&AuthorityInfoAccessSyntax(list), Weight::NonCritical)
}

/// cRLDistributionPoints: one full list.
pub fn distribution_point(url: &str) -> der::Result<Extension> {
    let point = DistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![uri(url)?])),
        reasons: None,
        crl_issuer: None,
    };
    extension(&CrlDistributionPoints(vec![point]), Weight::NonCritical)
}

/// freshestCRL: where the deltas of the certificate's list are. RFC 5280 §4.2.1.15: not critical, and of the same syntax
/// as cRLDistributionPoints.
pub fn freshest_crl(url: &str) -> der::Result<Extension> {
    let point = distribution_point(url)?;
    by_hand(FRESHEST_CRL, point.extn_value.into_bytes().into())
}

/// subjectAltName.
pub fn alternative_names(names: Vec<GeneralName>) -> der::Result<Extension> {
    extension(&SubjectAltName(names), Weight::NonCritical)
}

/// id-pkix-ocsp-nocheck, RFC 6960 §4.2.2.2.1: NULL, non-critical.
pub fn ocsp_nocheck() -> der::Result<Extension> {
    by_hand(OCSP_NOCHECK, Any::null().to_der()?)
}

/// Whose number an `IdentifyCode` carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// 居民身份证.
    ResidentCard,
    /// 军官证.
    MilitaryOfficerCard,
    /// 护照.
    Passport,
}

/// How the alternatives of `IdentifyCode` are tagged. GM/T 0015's module names no tagging mode, which means EXPLICIT
/// (X.680 §13.2), yet readers of both kinds exist: configuration decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tagging {
    /// X.680's default.
    #[default]
    Explicit,
    /// What some vendors write.
    Implicit,
}

/// `IdentifyCode` 个人身份标识码, GM/T 0015 §5.2.4.2.14:
/// `CHOICE { residenterCardNumber [0] PrintableString, militaryOfficerCardNumber [1] UTF8String, passportNumber [2] PrintableString }`.
pub fn identify_code(identity: Identity, number: &str, tagging: Tagging) -> der::Result<Extension> {
    let value = match identity {
        Identity::MilitaryOfficerCard => Any::encode_from(&Utf8StringRef::new(number)?)?,
        Identity::ResidentCard | Identity::Passport => {
            Any::encode_from(&PrintableStringRef::new(number)?)?
        }
    };
    let number = match identity {
        Identity::ResidentCard => TagNumber(0),
        Identity::MilitaryOfficerCard => TagNumber(1),
        Identity::Passport => TagNumber(2),
    };
    let tagged = match tagging {
        Tagging::Explicit => Any::new(
            Tag::ContextSpecific {
                constructed: true,
                number,
            },
            value.to_der()?,
        )?,
        Tagging::Implicit => Any::new(
            Tag::ContextSpecific {
                constructed: false,
                number,
            },
            value.value(),
        )?,
    };
    by_hand(IDENTIFY_CODE, tagged.to_der()?)
}

/// The four other extensions of GM/T 0015 §5.2.4.2.15–18, and configured ones: a `PrintableString`.
pub fn printable(oid: ObjectIdentifier, text: &str) -> der::Result<Extension> {
    by_hand(oid, PrintableStringRef::new(text)?.to_der()?)
}

fn extension<T: AssociatedOid + Encode>(value: &T, weight: Weight) -> der::Result<Extension> {
    Ok(Extension {
        extn_id: T::OID,
        critical: weight == Weight::Critical,
        extn_value: OctetString::new(value.to_der()?)?,
    })
}

fn by_hand(oid: ObjectIdentifier, der: Vec<u8>) -> der::Result<Extension> {
    Ok(Extension {
        extn_id: oid,
        critical: false,
        extn_value: OctetString::new(der)?,
    })
}

fn uri(url: &str) -> der::Result<GeneralName> {
    Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(url)?))
}

/// `1.2.156.10260.4.1.1`, GM/T 0015.
pub const IDENTIFY_CODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10260.4.1.1");
/// 个人社会保险号 `InsuranceNumber`.
pub const INSURANCE_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10260.4.1.2");
/// 企业工商注册号 `ICRegistrationNumber`.
pub const IC_REGISTRATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10260.4.1.3");
/// 企业组织机构代码 `OrganizationCode`.
pub const ORGANISATION_CODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10260.4.1.4");
/// 企业税号 `TaxationNumber`.
pub const TAXATION_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10260.4.1.5");

/// anyPolicy, for issuing authorities.
pub const ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32.0");

/// id-kp-serverAuth.
pub const KP_SERVER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
/// id-kp-clientAuth.
pub const KP_CLIENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
/// id-kp-emailProtection.
pub const KP_EMAIL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
/// id-kp-OCSPSigning.
pub const KP_OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
/// freshestCRL.
pub const FRESHEST_CRL: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.46");
/// id-pkix-ocsp-nocheck.
pub const OCSP_NOCHECK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.5");

const AD_OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
const AD_CA_ISSUERS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_number_is_not_tagged_otherwise_than_configured() {
        let explicit = identify_code(
            Identity::ResidentCard,
            "11010519491231002X",
            Tagging::Explicit,
        );
        let octets = explicit.unwrap().extn_value.into_bytes();
        assert_eq!(&octets[..4], [0xA0, 20, 0x13, 18]);
        let implicit = identify_code(Identity::Passport, "E12345678", Tagging::Implicit);
        assert_eq!(&implicit.unwrap().extn_value.into_bytes()[..2], [0x82, 9]);
    }

    #[test]
    fn a_tax_number_does_not_stand_under_the_organisation_codes_arc() {
        let made = printable(TAXATION_NUMBER, "91370200MA3C0RJX2U").unwrap();
        assert_eq!(made.extn_id.to_string(), "1.2.156.10260.4.1.5");
        assert!(!made.critical);
    }
}
