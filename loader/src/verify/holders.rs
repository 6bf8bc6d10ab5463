//! Certificates that somebody hands in: does each stand on the list it names, and on no other?
//!
//! A record does not say which partition its certificate belongs to; the certificate does, by its cRLDistributionPoints. So
//! this is proved of certificates that are given: what is answered of it is what the list says whose
//! issuingDistributionPoint the certificate names, and no other partition speaks of it.

use std::path::Path;

use serde::Serialize;
use wire::der::{Reader, tag};
use wire::serial::Serial;
use wire::status::CertStatus;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::answers::{Answers, may_follow, same, status_text};
use super::view::View;
use super::{IssuerProof, Proof};
use crate::import::certificate::Certificate;
use crate::import::trust::{WeakPolicy, recognise};

/// A certificate that was handed in.
pub struct Holder {
    file: String,
    serial: Serial,
    certificate: Certificate,
    /// Each distributionPoint of its cRLDistributionPoints, the whole TLV as a list's own would have it.
    points: Vec<Vec<u8>>,
}

/// What was proved of one.
#[derive(Debug, Serialize)]
pub struct HolderProof {
    /// Its file.
    pub file: String,
    /// Its serial, hexadecimal.
    pub serial: String,
    /// The list it names.
    pub list: Option<String>,
    /// What is answered.
    pub status: String,
}

impl Holder {
    /// Reads one, DER or PEM.
    pub fn read(path: &Path) -> Result<Self, String> {
        let file = path.display().to_string();
        let say = |why: &dyn std::fmt::Display| format!("{file}: {why}");
        let octets = std::fs::read(path).map_err(|error| say(&error))?;
        let certificate = Certificate::from_pem_or_der(&octets).map_err(|error| say(&error))?;
        let (_, parsed) =
            X509Certificate::from_der(&certificate.der).map_err(|error| say(&error))?;
        let serial = Serial::from_content(parsed.raw_serial()).map_err(|rule| say(&rule))?;
        let mut points = Vec::new();
        for extension in parsed.extensions() {
            if extension.oid.to_id_string() == CRL_DISTRIBUTION_POINTS {
                points = points_of(extension.value).map_err(|error| say(&error))?;
            }
        }
        Ok(Self {
            serial,
            points,
            file,
            certificate,
        })
    }

    /// Whether this issuer signed it.
    pub(super) fn is_of(&self, issuer: &Certificate) -> bool {
        let (tbs, algorithm, signature) = self.certificate.signed_parts();
        issuer.subject_is(&self.certificate.issuer).is_same()
            && recognise(algorithm)
                .and_then(|algorithm| {
                    issuer
                        .key
                        .verify(algorithm, WeakPolicy::Allow, tbs, signature)
                })
                .is_ok()
    }

    /// Whether this was proved of it.
    pub(super) fn is_told_by(&self, told: &HolderProof) -> bool {
        self.file == told.file
    }

    /// That nothing could be proved of it.
    pub(super) fn nobodys(&self) -> String {
        format!("{}: its issuer has no lists of its own here", self.file)
    }

    /// RFC 5280 §5.2.5: the list whose distribution point is, octet for octet, one the certificate names; else the list of
    /// all, which has none and is named by its address only.
    fn list<'v, 'l>(&self, views: &'v [View<'l>]) -> Option<&'v View<'l>> {
        let point = |view: &View<'_>| {
            let point = view.full.extensions.distribution_point;
            point.and_then(|point| point.name.map(<[u8]>::to_vec))
        };
        let named = views
            .iter()
            .find(|view| point(view).is_some_and(|point| self.points.contains(&point)));
        let is_at = |view: &&View<'_>| {
            let address = format!("/{}", view.name);
            let ends = |point: &Vec<u8>| point.ends_with(address.as_bytes());
            point(view).is_none() && self.points.iter().any(ends)
        };
        named.or_else(|| views.iter().find(is_at))
    }

    /// Holds it against its issuer's lists and answers.
    pub(super) fn prove(
        &self,
        views: &[View<'_>],
        answers: Answers<'_>,
        told: &mut IssuerProof,
        proof: &mut Proof,
    ) {
        let found = answers.find(&self.serial);
        let list = self.list(views);
        told.holders.push(HolderProof {
            file: self.file.clone(),
            serial: self.serial.to_string(),
            list: list.map(|view| view.name.to_owned()),
            status: found.map_or_else(|| "unknown".to_owned(), |(_, status)| status_text(status)),
        });
        let differ = |what: String| format!("{}, serial {}: {what}", self.file, self.serial);
        let Some(list) = list else {
            return proof.differ(differ("it names no list that is published here".to_owned()));
        };
        let Some((pack, status)) = found else {
            return proof.differ(differ("nothing is answered".to_owned()));
        };
        let listed = list.says(&self.serial);
        let agrees = match (listed, status) {
            (None, CertStatus::Revoked { .. }) => {
                list.expired.contains(&self.serial) || list.explains_addition(pack, status)
            }
            (None, _) => true,
            (Some(listed), status) => {
                same(listed, status) || may_follow(listed, status) && list.is_before(pack)
            }
        };
        if !agrees {
            let listed = listed.map_or_else(|| "nothing".to_owned(), status_text);
            let (name, status) = (list.name, status_text(status));
            proof.differ(differ(format!(
                "{name}, which it names, says {listed}, the answer is {status}"
            )));
        }
        let is_partition = |view: &&View<'_>| view.full.extensions.distribution_point.is_some();
        for other in views.iter().filter(is_partition) {
            if other.name != list.name && other.says(&self.serial).is_some() {
                proof.differ(differ(format!(
                    "it stands on {}, and names {}",
                    other.name, list.name
                )));
            }
        }
    }
}

/// The names in a cRLDistributionPoints extension.
fn points_of(value: &[u8]) -> Result<Vec<Vec<u8>>, wire::DecodeError> {
    let mut points = Vec::new();
    let mut list = Reader::new(value).sequence()?;
    while !list.is_empty() {
        let mut point = list.sequence()?;
        if let Some(name) = point.optional(tag::context_constructed(0))? {
            points.push(name.raw.to_vec());
        }
    }
    Ok(points)
}

const CRL_DISTRIBUTION_POINTS: &str = "2.5.29.31";
