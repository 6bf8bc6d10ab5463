//! Who signs the answers in a batch, and may they?
//!
//! For the signer's own registry each responder certificate is the issuer's delegate (RFC 6960 §4.2.2.2): signed by the
//! issuer's key, marked id-kp-OCSPSigning. For another CA's CRL it is a local responder (§2.2): clients trust it because
//! they were told to, and here it must at least be self-signed and whole.

use ring::digest;
use sm3::Digest as _;
use wire::batch::{Header, Source};
use wire::cert_id::{CertIdHash, cert_id_prefix};
use wire::time::UnixSeconds;

use super::certificate::{Certificate, CertificateError};
use super::trust::{PublicKey, TrustError, WeakPolicy, recognise};

/// The responders of a batch, each with its key; group by group.
#[derive(Debug)]
pub struct Responders {
    slots: usize,
    all: Vec<TrustedResponder>,
    /// The CertID prefix of each variant.
    pub prefixes: Vec<Vec<u8>>,
}

/// One responder whose certificate was judged.
#[derive(Debug)]
pub struct TrustedResponder {
    /// SHA-1 of its public key: the responderID.
    pub key_hash: [u8; 20],
    /// Its key.
    pub key: PublicKey,
}

/// What is wrong between issuer, responders, windows and variants of a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResponderFault {
    /// The issuer certificate.
    #[error("the issuer certificate: {0}")]
    Issuer(CertificateError),
    /// The id is not that of the certificate.
    #[error("the header names issuer {header}, its issuer certificate is of {certificate}")]
    OtherIssuer {
        /// The header's id.
        header: String,
        /// The certificate's.
        certificate: String,
    },
    /// A responder certificate cannot be read.
    #[error("responder {number}: {why}")]
    Certificate {
        /// Number in the table, from 0.
        number: usize,
        /// Why.
        why: CertificateError,
    },
    /// What the table says of a responder differs from its certificate.
    #[error("responder {number}: its {what} differs from its certificate's")]
    Differs {
        /// Number in the table, from 0.
        number: usize,
        /// Which field.
        what: &'static str,
    },
    /// No id-kp-OCSPSigning.
    #[error(
        "responder {number}: its certificate is not marked id-kp-OCSPSigning (RFC 6960 §4.2.2.2)"
    )]
    NotMarked {
        /// Number in the table, from 0.
        number: usize,
    },
    /// It names another issuer than the one that signed it.
    #[error("responder {number}: its certificate does not name {by} as its issuer")]
    OtherName {
        /// Number in the table, from 0.
        number: usize,
        /// Whom it should name.
        by: &'static str,
    },
    /// Not signed by the issuer, or a local one not by itself.
    #[error("responder {number}: its certificate is not signed by {by}: {why}")]
    NotSigned {
        /// Number in the table, from 0.
        number: usize,
        /// By whom it should be.
        by: &'static str,
        /// Why.
        why: TrustError,
    },
    /// A window outside its responders' validity, or upside down.
    #[error("window {number}: {what}")]
    Window {
        /// Number in the table, from 0.
        number: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A variant's hashes or responder.
    #[error("variant {number}: {what}")]
    Variant {
        /// Number in the table, from 0.
        number: usize,
        /// What is wrong.
        what: &'static str,
    },
}

impl Responders {
    /// Judges everything a header says about who signs.
    pub fn judge(header: &Header) -> Result<(Self, Certificate), ResponderFault> {
        let issuer =
            Certificate::from_der(&header.issuer_certificate).map_err(ResponderFault::Issuer)?;
        if issuer.id() != header.issuer_id {
            return Err(ResponderFault::OtherIssuer {
                header: header.issuer_id.to_string(),
                certificate: issuer.id().to_string(),
            });
        }
        let mut all = Vec::with_capacity(header.responders.len());
        for number in 0..header.responders.len() {
            all.push(judge_one(header, number, &issuer)?);
        }
        let responders = Self {
            slots: usize::from(header.slots),
            all,
            prefixes: prefixes(header, &issuer)?,
        };
        responders.check_windows(header)?;
        Ok((responders, issuer))
    }

    /// The responder of a window's group that signs a variant. Both were checked by `judge`.
    pub fn of(&self, group: u16, slot: u16) -> &TrustedResponder {
        &self.all[usize::from(group) * self.slots + usize::from(slot)]
    }

    /// No window outlives its responder certificate's notAfter or predates its notBefore.
    fn check_windows(&self, header: &Header) -> Result<(), ResponderFault> {
        for (number, window) in header.windows.iter().enumerate() {
            let fault = |what| ResponderFault::Window { number, what };
            if window.next_update < window.this_update {
                return Err(fault("nextUpdate lies before thisUpdate"));
            }
            if window.produced_at < window.this_update {
                return Err(fault("producedAt lies before thisUpdate"));
            }
            let first = usize::from(window.group) * self.slots;
            let group = header.responders.get(first..first + self.slots);
            let group = group.ok_or(fault("it names a group of responders that is not there"))?;
            for responder in group {
                if window.this_update < responder.not_before
                    || window.next_update > responder.not_after
                {
                    return Err(fault(
                        "it does not lie within the validity of its responder's certificate",
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The soonest end and the latest begin of all windows, to hold against a CRL's nextUpdate.
pub fn latest_end(header: &Header) -> Option<UnixSeconds> {
    header.windows.iter().map(|window| window.next_update).max()
}

fn judge_one(
    header: &Header,
    number: usize,
    issuer: &Certificate,
) -> Result<TrustedResponder, ResponderFault> {
    let row = &header.responders[number];
    let certificate = Certificate::from_der(&row.certificate)
        .map_err(|why| ResponderFault::Certificate { number, why })?;
    for (same, what) in [
        (certificate.key_sha1 == row.key_hash, "key hash"),
        (certificate.not_before == row.not_before, "notBefore"),
        (certificate.not_after == row.not_after, "notAfter"),
    ] {
        if !same {
            return Err(ResponderFault::Differs { number, what });
        }
    }
    if !certificate.ocsp_signing {
        return Err(ResponderFault::NotMarked { number });
    }
    let (by, signer) = match header.source {
        Source::Registry => ("the issuer", issuer),
        Source::ForeignCrl { .. } => ("itself", &certificate),
    };
    if !signer.subject_is(&certificate.issuer).is_same() {
        return Err(ResponderFault::OtherName { number, by });
    }
    let (tbs, algorithm, signature) = certificate.signed_parts();
    let algorithm = recognise(algorithm);
    // What we sign ourselves is never weak.
    algorithm
        .and_then(|algorithm| {
            signer
                .key
                .verify(algorithm, WeakPolicy::Refuse, tbs, signature)
        })
        .map_err(|why| ResponderFault::NotSigned { number, by, why })?;
    Ok(TrustedResponder {
        key_hash: row.key_hash,
        key: certificate.key,
    })
}

/// The CertID prefixes of all variants; the header's hashes must be those of the issuer certificate.
fn prefixes(header: &Header, issuer: &Certificate) -> Result<Vec<Vec<u8>>, ResponderFault> {
    let mut prefixes = Vec::with_capacity(header.variants.len());
    for (number, variant) in header.variants.iter().enumerate() {
        let fault = |what| ResponderFault::Variant { number, what };
        if usize::from(variant.slot) >= usize::from(header.slots) {
            return Err(fault("it names a responder that its groups do not have"));
        }
        let of_slot = header
            .responders
            .iter()
            .skip(usize::from(variant.slot))
            .step_by(usize::from(header.slots));
        if of_slot
            .into_iter()
            .any(|responder| responder.algorithm != variant.algorithm)
        {
            return Err(fault("its responder signs with another algorithm"));
        }
        let (name_hash, key_hash) = issuer.hashes(variant.form.hash);
        if variant.name_hash != name_hash || variant.key_hash != key_hash {
            return Err(fault(
                "its hashes are not those of the issuer's name and key",
            ));
        }
        let prefix = cert_id_prefix(variant.form, &name_hash, &key_hash);
        prefixes.push(prefix.map_err(|_| fault("its hashes have another length than its form's"))?);
    }
    Ok(prefixes)
}

impl Certificate {
    /// issuerNameHash and issuerKeyHash (RFC 6960 §4.1.1): over the Name, and over the public key's bits.
    pub fn hashes(&self, hash: CertIdHash) -> (Vec<u8>, Vec<u8>) {
        let of = |octets: &[u8]| match hash {
            CertIdHash::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets)
                .as_ref()
                .to_vec(),
            CertIdHash::Sha256 => digest::digest(&digest::SHA256, octets).as_ref().to_vec(),
            CertIdHash::Sm3 => sm3::Sm3::digest(octets).to_vec(),
        };
        (of(&self.subject), of(&self.key_bits))
    }
}
