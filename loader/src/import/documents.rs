//! The lists and certificates of a batch: read once before they are served as they are.

use wire::batch::{Document, DocumentKind};
use wire::crl::Crl;

use super::batch::BatchRefusal;
use super::certificate::{Authority, Certificate, CrlSigning};
use super::trust::{WeakPolicy, recognise};
use super::whose::is_indirect;
use crate::expired;
use crate::manifest::{DocumentNote, ListMark, is_plain_name};

/// A CRL must verify, a certificate must be one.
pub(super) fn check_documents(
    documents: Vec<Document>,
    issuer: &Certificate,
) -> Result<Vec<(Document, DocumentNote)>, BatchRefusal> {
    let is_one_certificate = |document: &&Document| {
        matches!(
            document.kind,
            DocumentKind::IssuerCertificate | DocumentKind::OtherCertificate
        )
    };
    let certificates: Vec<Certificate> = documents
        .iter()
        .filter(is_one_certificate)
        .filter_map(|document| Certificate::from_der(&document.octets).ok())
        .collect();
    let mut checked = Vec::with_capacity(documents.len());
    for document in documents {
        let refuse = |why: String| BatchRefusal::Document {
            name: document.name.clone(),
            why,
        };
        if !is_plain_name(&document.name) {
            return Err(refuse(
                "its name is not plain letters, digits, '.', '_' and '-'".to_owned(),
            ));
        }
        let note = match document.kind {
            DocumentKind::Crl => check_crl(
                &document.octets,
                std::iter::once(issuer).chain(&certificates),
            )
            .map_err(refuse)?,
            DocumentKind::IssuerCertificate | DocumentKind::OtherCertificate => {
                let certificate = Certificate::from_der(&document.octets)
                    .map_err(|error| refuse(error.to_string()))?;
                DocumentNote {
                    last_modified: certificate.not_before,
                    expires: None,
                    encodings: Vec::new(),
                    list: None,
                }
            }
            DocumentKind::CertificateBundle => check_bundle(&document.octets).map_err(refuse)?,
        };
        let list = document.list.as_ref().map(|list| {
            Box::new(ListMark {
                revision: list.revision,
                expired: expired::mark(&list.expired),
            })
        });
        checked.push((document, DocumentNote { list, ..note }));
    }
    Ok(checked)
}

/// Certificates only, each of them readable; as old as the youngest.
fn check_bundle(octets: &[u8]) -> Result<DocumentNote, String> {
    let mut last_modified = 0;
    for der in wire::certs_only::parse(octets).map_err(|error| error.to_string())? {
        let certificate = Certificate::from_der(der).map_err(|error| error.to_string())?;
        last_modified = certificate.not_before.max(last_modified);
    }
    Ok(DocumentNote {
        last_modified,
        expires: None,
        encodings: Vec::new(),
        list: None,
    })
}

fn check_crl<'a>(
    octets: &[u8],
    certificates: impl Iterator<Item = &'a Certificate>,
) -> Result<DocumentNote, String> {
    let crl = Crl::parse(octets).map_err(|error| error.to_string())?;
    let algorithm = recognise(crl.algorithm).map_err(|error| error.to_string())?;
    let mut why = "no certificate of its issuer that may sign lists came with the batch".to_owned();
    for certificate in certificates
        .filter(|certificate| certificate.subject_is(crl.issuer).is_same())
        .filter(
            |certificate| match (certificate.authority, certificate.crl_signing) {
                (_, CrlSigning::Forbidden) => false,
                // Who signs an indirect list need not be a CA.
                (Authority::EndEntity, CrlSigning::Named) => is_indirect(&crl),
                (Authority::EndEntity, CrlSigning::Unrestricted) => false,
                (Authority::Ca | Authority::Unsaid, _) => true,
            },
        )
    {
        // Whether weak algorithms are read was decided when the list was staged; here only octets are compared.
        match certificate
            .key
            .verify(algorithm, WeakPolicy::Allow, crl.tbs, crl.signature)
        {
            Ok(()) => {
                return Ok(DocumentNote {
                    last_modified: crl.this_update,
                    expires: crl.next_update,
                    encodings: Vec::new(),
                    list: None,
                });
            }
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}
