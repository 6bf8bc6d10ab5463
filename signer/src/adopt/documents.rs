//! What is served beside the answers: the lists, as their CA has signed them, and the issuer's certificate.

use super::staged::{Form, Staged};
use super::whose::scope_of;
use aws_lc_rs::digest;
use wire::batch::{Document, DocumentKind};
use wire::cert_id::IssuerId;
use wire::crl::Crl;

/// The documents of a staged folder. A list of all certificates is `<issuer>.crl`, its delta `<issuer>.delta.crl`; one that
/// has an issuingDistributionPoint bears some digits of that, whichever others stand beside it, so that a list follows its
/// own predecessor under its name.
pub(super) fn of(issuer: IssuerId, staged: &Staged, form: Form) -> Vec<Document> {
    let lists: Vec<(Vec<u8>, bool, &Vec<u8>)> = match form {
        Form::Crl => staged.lists.iter().filter_map(told).collect(),
        Form::Index | Form::Csv => Vec::new(),
    };
    let crls = lists.iter().map(|(scope, is_delta, octets)| {
        let mut name = issuer.to_string();
        if !scope.is_empty() {
            name.push('-');
            name.push_str(&digits(scope));
        }
        name.push_str(if *is_delta { ".delta.crl" } else { ".crl" });
        Document {
            kind: DocumentKind::Crl,
            name,
            octets: (*octets).clone(),
            list: None,
        }
    });
    let certificate = Document {
        kind: DocumentKind::IssuerCertificate,
        name: format!("{issuer}.cer"),
        octets: staged.issuer.clone(),
        list: None,
    };
    let crl_issuer = staged.crl_issuer.as_ref().map(|certificate| Document {
        kind: DocumentKind::OtherCertificate,
        name: format!("{issuer}-crl-issuer.cer"),
        octets: certificate.clone(),
        list: None,
    });
    crls.chain([certificate]).chain(crl_issuer).collect()
}

/// Scope, and whether it is a delta. What is judged can be read.
fn told(octets: &Vec<u8>) -> Option<(Vec<u8>, bool, &Vec<u8>)> {
    let crl = Crl::parse(octets).ok()?;
    Some((scope_of(&crl), crl.is_delta(), octets))
}

fn digits(scope: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, scope);
    crate::text::hex(hash.as_ref().get(..8).unwrap_or_default())
}
