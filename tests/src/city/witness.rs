//! Reads and verifies answers and lists as a careful client does: who signed, whether the issuer allowed it, for how long, and
//! whether it is the answer to what was asked.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::truth::clock;
use crate::crl::Crl;
use crate::der::Element;
use crate::pki::{Answer, Basic, Certificate, Single};

/// A client that trusts one authority.
#[derive(Debug)]
pub struct Witness {
    issuer: Certificate,
    issuer_key: Vec<u8>,
    /// Responders that the issuer has named, by certificate.
    responders: RwLock<HashMap<Vec<u8>, Arc<Signer>>>,
}

/// A responder's certificate that has been verified.
#[derive(Debug)]
struct Signer {
    key: Vec<u8>,
    not_before: u64,
    not_after: u64,
}

/// A list that has been verified.
#[derive(Debug)]
pub struct List {
    /// What it says.
    pub crl: Crl,
    /// Its number.
    pub number: u64,
    /// The number of the list it continues, if it is a delta.
    pub base: Option<u64>,
}

impl Witness {
    /// Trusts this authority.
    ///
    /// # Errors
    /// If its certificate cannot be read.
    pub fn new(issuer: &Certificate) -> Result<Self, String> {
        Ok(Self {
            issuer: issuer.clone(),
            issuer_key: issuer.key.clone(),
            responders: RwLock::new(HashMap::new()),
        })
    }

    /// The authority.
    #[must_use]
    pub fn issuer(&self) -> &Certificate {
        &self.issuer
    }

    /// Reads an answer to a question about these certificates, sent at that Unix second.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn read(
        &self,
        octets: &[u8],
        asked: &[&[u8]],
        nonce: Option<&[u8]>,
        sent: u64,
    ) -> Result<Answer, String> {
        // The rig's reader panics at what is no answer.
        let read = catch_unwind(AssertUnwindSafe(|| Answer::read(octets)));
        let answer = read.map_err(|_| "it is no OCSP response".to_owned())?;
        if let Answer::Signed(basic) = &answer {
            self.verify(basic)?;
            if basic.nonce().is_some_and(|got| Some(&*got) != nonce) {
                return Err("it has the nonce of another question".to_owned());
            }
            let answered = basic.singles.iter().map(|single| &*single.cert_id);
            if !answered.eq(asked.iter().copied()) {
                return Err("it is about other certificates".to_owned());
            }
            for single in &basic.singles {
                in_force(single, basic.produced_at, sent)?;
            }
        }
        Ok(answer)
    }

    /// Whether an answer that a client has kept since is still in force at that Unix second.
    ///
    /// # Errors
    /// If it is not.
    pub fn still_in_force(&self, answer: &Answer, sent: u64) -> Result<(), String> {
        match answer {
            Answer::Signed(basic) => basic
                .singles
                .iter()
                .try_for_each(|single| in_force(single, basic.produced_at, sent)),
            Answer::Refused(_) => Err("an error was to be kept".to_owned()),
        }
    }

    fn verify(&self, basic: &Basic) -> Result<(), String> {
        let Some(certificate) = basic.certificates.first() else {
            return Err("its signer's certificate is missing".to_owned());
        };
        let known = self
            .responders
            .read()
            .expect("nobody panics with it")
            .get(certificate)
            .cloned();
        let signer = match known {
            Some(signer) => signer,
            None => {
                let signer = Arc::new(self.responder(certificate)?);
                let mut responders = self.responders.write().expect("nobody panics with it");
                responders.insert(certificate.clone(), Arc::clone(&signer));
                signer
            }
        };
        if basic.produced_at < signer.not_before || basic.produced_at > signer.not_after {
            return Err("its signer's certificate was not valid when it was made".to_owned());
        }
        if basic.algorithm != ECDSA_WITH_SHA256 {
            return Err("it is signed with another algorithm".to_owned());
        }
        verify(&signer.key, &basic.tbs, &basic.signature)
    }

    /// Signed by the issuer itself, for OCSP (RFC 6960 §4.2.2.2).
    fn responder(&self, der: &[u8]) -> Result<Signer, String> {
        let (_, read) =
            X509Certificate::from_der(der).map_err(|_| "its signer's certificate is unreadable")?;
        if read.issuer().as_raw() != self.issuer.subject {
            return Err("its signer was named by somebody else".to_owned());
        }
        verify(
            &self.issuer_key,
            read.tbs_certificate.as_ref(),
            &read.signature_value.data,
        )?;
        let usage = read.extended_key_usage().ok().flatten();
        if !usage.is_some_and(|usage| usage.value.ocsp_signing) {
            return Err("its signer may not sign OCSP".to_owned());
        }
        let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
        Ok(Signer {
            key: read.public_key().subject_public_key.data.to_vec(),
            not_before: seconds(read.validity().not_before.timestamp()),
            not_after: seconds(read.validity().not_after.timestamp()),
        })
    }

    /// Reads a list, fetched at that Unix second.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn list(&self, octets: &[u8], sent: u64) -> Result<List, String> {
        let crl = Crl::read(octets).ok_or("it is no CRL")?;
        let (_, read) = CertificateRevocationList::from_der(octets).map_err(|_| "it is no CRL")?;
        if read.issuer().as_raw() != self.issuer.subject {
            return Err("it is another authority's list".to_owned());
        }
        verify(
            &self.issuer_key,
            read.tbs_cert_list.as_ref(),
            &read.signature_value.data,
        )?;
        if crl.this_update > sent + CLOCKS_DIFFER || crl.next_update.is_none_or(|next| next < sent)
        {
            return Err("its times are not now".to_owned());
        }
        let number = |oid: &[u8]| {
            let mut extensions = read.extensions().iter();
            let found = extensions.find(|extension| extension.oid.as_bytes() == oid)?;
            let digits = Element::only(found.value).content;
            Some(
                digits
                    .iter()
                    .fold(0, |number, digit| number << 8 | u64::from(*digit)),
            )
        };
        Ok(List {
            number: number(CRL_NUMBER).ok_or("it has no number")?,
            base: number(DELTA_INDICATOR),
            crl,
        })
    }
}

/// thisUpdate is recent, nextUpdate has not passed (RFC 6960 §3.2).
fn in_force(single: &Single, produced_at: u64, sent: u64) -> Result<(), String> {
    let Some(next) = single.next_update else {
        return Err("it has no nextUpdate".to_owned());
    };
    if next < sent {
        return Err(format!("its nextUpdate passed {} s before", sent - next));
    }
    if single.this_update > clock() + CLOCKS_DIFFER || produced_at > clock() + CLOCKS_DIFFER {
        return Err("it was made in the future".to_owned());
    }
    Ok(())
}

fn verify(key: &[u8], signed: &[u8], signature: &[u8]) -> Result<(), String> {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
        .verify(signed, signature)
        .map_err(|_| "its signature is wrong".to_owned())
}

/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2, without parameters.
const ECDSA_WITH_SHA256: &[u8] = &[
    0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02,
];
/// 2.5.29.20
const CRL_NUMBER: &[u8] = &[0x55, 0x1D, 0x14];
/// 2.5.29.27
const DELTA_INDICATOR: &[u8] = &[0x55, 0x1D, 0x1B];
/// Both clocks are this machine's.
const CLOCKS_DIFFER: u64 = 1;
