//! From a checked row of a form to a draft: names, numbers, uses.
//!
//! Which numbers stand in which certificate (GM/T 0015 §5.2.4.2.14–18; our reading, as the regulations leave the forms out):
//! a person's identity number in `IdentifyCode`, unless the profile omits it; of a unit's (or a device owner's) code the nine
//! characters of GB 11714 in `OrganizationCode`, which a unified social credit code holds at places 9 to 17; a unified social
//! credit code also in `TaxationNumber` for units (one code since 2015) and, if the profile names an OID, in that extension.

use super::crl::policy::Deltas;
use super::extension::{self, Identity as Document};
use super::lint::family;
use super::name::NameParts;
use super::prepare::{self, Draft};
use super::profile::{FreshestCrl, KeyFamily, Profile};
use super::{CaError, Issuer};
use crate::office::Office;
use crate::ra::approval::ApprovedItem;
use crate::ra::row::{Device, Identity, Person, Row, Unit};
use crate::ra::unit_code::UnitCode;
use crate::registry::ListScope;
use der::asn1::Ia5String;
use wire::time::UnixSeconds;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;

/// What the certificate of an approved item will say.
///
/// # Errors
/// [`CaError::Encode`] if a value does not fit its type; the linter judges the rest.
pub(super) fn draft<S>(
    office: &Office<S>,
    issuer: &Issuer,
    item: &ApprovedItem,
    public_key_der: Vec<u8>,
    now: UnixSeconds,
) -> Result<Draft, CaError> {
    let profile = office.settings.profile(item.row().kind());
    // A key the linter will refuse; any family does until then.
    let key = family(&public_key_der).map_or(KeyFamily::EllipticCurve, |(family, _)| family);
    let lists = office.settings.lists(issuer.alias(), issuer.is_root());
    let list = prepare::choose_list(&lists)?;
    let mut extensions = common(issuer, profile, key, list)?;
    // RFC 5280 §4.2.1.15: a certificate may say where the deltas of its list are.
    if lists.deltas != Deltas::None && profile.freshest_crl() == FreshestCrl::Included {
        extensions.push(
            extension::freshest_crl(&issuer.delta_uri(list))
                .map_err(CaError::encode("freshestCRL"))?,
        );
    }
    let names = match item.row() {
        Row::Person(person) => {
            extensions.extend(of_person(profile, person)?);
            NameParts {
                country: profile.country(),
                organisation: &item.filing_unit().name,
                unit: &person.department,
                common_name: &person.name,
            }
        }
        Row::Unit(unit) => {
            extensions.extend(of_unit(profile, unit)?);
            NameParts {
                country: profile.country(),
                organisation: &unit.name,
                unit: "",
                common_name: &unit.name,
            }
        }
        Row::Device(device) => {
            extensions.extend(of_device(device)?);
            NameParts {
                country: profile.country(),
                organisation: &device.owner,
                unit: &device.device_kind,
                common_name: &device.name,
            }
        }
    };
    let not_before = prepare::start(now);
    Ok(Draft {
        subject: names.build().map_err(CaError::encode("subject"))?,
        public_key_der,
        not_before,
        not_after: (not_before + profile.validity_secs()).min(issuer.not_after),
        extensions,
        list,
    })
}

fn common(
    issuer: &Issuer,
    profile: &Profile,
    key: KeyFamily,
    list: ListScope,
) -> Result<Vec<Extension>, CaError> {
    let encode = || CaError::encode("extensions");
    let (usages, weight) = profile.key_usage(key);
    let mut extensions = vec![
        extension::key_usage(usages, weight).map_err(encode())?,
        extension::extended_key_usage(profile.purposes()).map_err(encode())?,
        extension::policies(profile.policies()).map_err(encode())?,
    ];
    extensions.extend(prepare::location_extensions(issuer, list)?);
    Ok(extensions)
}

fn of_person(profile: &Profile, person: &Person) -> Result<Vec<Extension>, CaError> {
    let mut extensions = Vec::new();
    if let Some(tagging) = profile.identify_code() {
        let document = match &person.identity {
            Identity::IdentityCard(_) => Document::ResidentCard,
            Identity::OfficerCard(_) => Document::MilitaryOfficerCard,
            Identity::Passport(_) => Document::Passport,
        };
        extensions.push(
            extension::identify_code(document, person.identity.number(), tagging)
                .map_err(CaError::encode("identity number"))?,
        );
    }
    if let Some(email) = &person.email {
        let address = Ia5String::new(email).map_err(CaError::encode("email"))?;
        extensions.push(
            extension::alternative_names(vec![GeneralName::Rfc822Name(address)])
                .map_err(CaError::encode("email"))?,
        );
    }
    Ok(extensions)
}

fn of_unit(profile: &Profile, unit: &Unit) -> Result<Vec<Extension>, CaError> {
    let mut extensions = vec![organisation_code(&unit.code)?];
    if unit.code.is_credit_code() {
        for oid in [Some(extension::TAXATION_NUMBER), profile.uscc_extension()] {
            let Some(oid) = oid else { continue };
            extensions.push(
                extension::printable(oid, unit.code.as_str())
                    .map_err(CaError::encode("unit code"))?,
            );
        }
    }
    Ok(extensions)
}

fn of_device(device: &Device) -> Result<Vec<Extension>, CaError> {
    let mut names = Vec::new();
    if let Some(name) = &device.dns_name {
        names.push(GeneralName::DnsName(
            Ia5String::new(name).map_err(CaError::encode("domain"))?,
        ));
    }
    if let Some(address) = device.ip {
        names.push(GeneralName::from(address));
    }
    Ok(vec![
        extension::alternative_names(names).map_err(CaError::encode("device names"))?,
        organisation_code(&device.owner_code)?,
    ])
}

fn organisation_code(code: &UnitCode) -> Result<Extension, CaError> {
    extension::printable(extension::ORGANISATION_CODE, code.organisation())
        .map_err(CaError::encode("organisation code"))
}
