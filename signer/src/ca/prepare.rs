//! From facts to what will be signed: subject, extensions, serial → TBSCertificate.
//!
//! No private key is needed here. The result goes to the linter, which is the only way on.

use super::crl::policy::ListPolicy;
use super::extension::{self, Weight};
use super::{CaError, Issuer};
use crate::key::certify::IssuerFace;
use crate::registry::{ListScope, Reserved};
use der::{Decode, Encode};
use spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use std::time::Duration;
use wire::algorithm::SignatureAlgorithm;
use wire::serial::Serial;
use wire::time::UnixSeconds;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::KeyUsages;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

/// All a certificate will say, apart from its issuer and serial.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Who or what it names.
    pub subject: Name,
    /// Its key, SubjectPublicKeyInfo DER.
    pub public_key_der: Vec<u8>,
    /// notBefore.
    pub not_before: UnixSeconds,
    /// notAfter.
    pub not_after: UnixSeconds,
    /// Extensions after the two key identifiers, which are added for every certificate.
    pub extensions: Vec<Extension>,
    /// Which list it names.
    pub list: ListScope,
}

/// A TBSCertificate that no rule has looked at yet.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(super) serial: Serial,
    pub(super) tbs: Vec<u8>,
    pub(super) not_before: UnixSeconds,
    pub(super) not_after: UnixSeconds,
    pub(super) list: ListScope,
}

impl Prepared {
    /// What a crash left: it goes through the linter again.
    #[must_use]
    pub fn from_reserved(reserved: &Reserved) -> Self {
        let reservation = &reserved.reservation;
        Self {
            serial: reservation.serial,
            tbs: reservation.tbs.clone(),
            not_before: reservation.not_before,
            not_after: reservation.not_after,
            list: reservation
                .crl_partition
                .map_or(ListScope::Whole, ListScope::Partition),
        }
    }
}

/// Builds what `issuer` will sign.
///
/// # Errors
/// [`CaError::Builder`] or [`CaError::Encode`] if a part does not encode.
pub fn prepare(issuer: &Issuer, draft: &Draft) -> Result<Prepared, CaError> {
    let name = Name::from_der(&issuer.name_der).map_err(CaError::encode("issuer name"))?;
    let face = IssuerFace {
        algorithm: issuer.algorithm,
        public_key_der: &issuer.public_key_der,
    };
    build(&face, name, Some(&issuer.key_identifier), draft)
}

/// Builds what a root will sign about itself.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_root(algorithm: SignatureAlgorithm, draft: &Draft) -> Result<Prepared, CaError> {
    let face = IssuerFace {
        algorithm,
        public_key_der: &draft.public_key_der,
    };
    build(&face, draft.subject.clone(), None, draft)
}

fn build(
    face: &IssuerFace<'_>,
    issuer: Name,
    issuer_key: Option<&[u8; 20]>,
    draft: &Draft,
) -> Result<Prepared, CaError> {
    let serial = random_serial()?;
    let mut extensions = Vec::with_capacity(draft.extensions.len() + 2);
    if let Some(identifier) = issuer_key {
        extensions.push(
            extension::authority_key(identifier)
                .map_err(CaError::encode("authority key identifier"))?,
        );
    }
    extensions.push(
        extension::key_identifier(&draft.public_key_der)
            .and_then(|identifier| extension::subject_key(&identifier))
            .map_err(CaError::encode("subject key identifier"))?,
    );
    extensions.extend(draft.extensions.iter().cloned());
    let key = SubjectPublicKeyInfoOwned::from_der(&draft.public_key_der)
        .map_err(CaError::encode("public key"))?;
    let number = SerialNumber::new(serial.content()).map_err(CaError::encode("serial"))?;
    let plan = Plan {
        issuer,
        subject: draft.subject.clone(),
        extensions,
    };
    let validity = Validity::new(time(draft.not_before)?, time(draft.not_after)?);
    let mut builder = CertificateBuilder::new(plan, number, validity, key)?;
    let tbs = builder.finalize(face)?;
    Ok(Prepared {
        serial,
        tbs,
        not_before: draft.not_before,
        not_after: draft.not_after,
        list: draft.list,
    })
}

/// x509-cert asks for a profile object; ours has decided everything already.
struct Plan {
    issuer: Name,
    subject: Name,
    extensions: Vec<Extension>,
}

impl BuilderProfile for Plan {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        _tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        Ok(self.extensions.clone())
    }
}

/// RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime after; the builder rewrites accordingly.
fn time(seconds: UnixSeconds) -> Result<Time, CaError> {
    let time = der::asn1::GeneralizedTime::from_unix_duration(Duration::from_secs(seconds))
        .map_err(CaError::encode("time"))?;
    Ok(Time::from(time))
}

/// A serial nobody can guess: 16 octets, 126 of their bits random, positive, and of one length, so that packs are narrow.
fn random_serial() -> Result<Serial, CaError> {
    let mut octets = [0_u8; SERIAL_OCTETS];
    getrandom::fill(&mut octets).map_err(|_| crate::key::KeyError::Random)?;
    octets[0] = (octets[0] & 0x3F) | 0x40;
    Ok(Serial::from_content(&octets)
        .expect("sixteen octets that begin with 01 are a minimal integer"))
}

/// Extensions of an authority below a root: GM/T 0015 Annex A, RFC 5280 §4.2.1.
///
/// # Errors
/// [`CaError::Encode`].
pub fn authority_extensions(path_length: u8) -> Result<Vec<Extension>, CaError> {
    let encode = || CaError::encode("authority extensions");
    Ok(vec![
        extension::authority(path_length).map_err(encode())?,
        extension::key_usage(
            KeyUsages::KeyCertSign | KeyUsages::CRLSign,
            Weight::Critical,
        )
        .map_err(encode())?,
    ])
}

/// The list that a certificate issued now names: one of the issuer's partitions by chance, or the list of all.
///
/// # Errors
/// [`CaError::Key`] if the system has no random octets.
pub fn choose_list(lists: &ListPolicy) -> Result<ListScope, CaError> {
    let Some(partitions) = lists.partitions else {
        return Ok(ListScope::Whole);
    };
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).map_err(|_| crate::key::KeyError::Random)?;
    // Sixty-four bits over at most a few thousand partitions: their unevenness is below 2^-51.
    let chance = u64::from_le_bytes(octets) % u64::from(partitions.get());
    let number = u32::try_from(chance).expect("a remainder of a u32 is one") + 1;
    Ok(ListScope::Partition(number))
}

/// Where to find the issuer's certificate, its list, and (for authorities that have one) its OCSP responder.
///
/// # Errors
/// [`CaError::Encode`].
pub fn location_extensions(issuer: &Issuer, list: ListScope) -> Result<[Extension; 2], CaError> {
    let base = issuer.base_url();
    let ocsp = format!("{base}/");
    let encode = || CaError::encode("URLs");
    Ok([
        // Roots have no OCSP responder: their handful of certificates is covered by their CRL.
        extension::access(
            (!issuer.is_root()).then_some(ocsp.as_str()),
            &format!("{base}/ca/{}", issuer.certificate_name()),
        )
        .map_err(encode())?,
        extension::distribution_point(&issuer.list_uri(list)).map_err(encode())?,
    ])
}

/// notBefore: a little back, for clients whose clocks run late.
pub(crate) fn start(now: UnixSeconds) -> UnixSeconds {
    now.saturating_sub(BACKDATE_SECS)
}

/// Encodes a name for comparison with an issuer's.
pub(super) fn name_der(name: &Name) -> Result<Vec<u8>, CaError> {
    name.to_der().map_err(CaError::encode("name"))
}

const SERIAL_OCTETS: usize = 16;
/// The largest clock error clients are forgiven.
const BACKDATE_SECS: u64 = 300;
