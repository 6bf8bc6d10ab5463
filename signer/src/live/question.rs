//! What is asked, and of which issuer.

use std::sync::Arc;

use wire::request::OcspRequest;
use wire::serial::Serial;
use wire::time::UnixSeconds;

use super::book::{Book, Entry, Signatory};

/// A question that has an answer, if its certificates have.
pub(super) struct Question {
    pub(super) issuer: Arc<Entry>,
    pub(super) signatory: Arc<Signatory>,
    /// The `CertID`s, whole, in order, with their serials.
    pub(super) asked: Vec<(Vec<u8>, Serial)>,
    /// The content of the nonce's `extnValue`.
    pub(super) nonce: Option<Vec<u8>>,
}

/// Why there is nothing to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswerable {
    /// Not an OCSP request, or with a nonce of a length that RFC 9654 forbids.
    Malformed,
    /// Not about an issuer of ours, or about several issuers.
    Unauthorized,
    /// Nobody can sign now.
    TryLater,
}

impl Question {
    /// Reads a request.
    pub(super) fn read(octets: &[u8], book: &Book, now: UnixSeconds) -> Result<Self, Unanswerable> {
        let request = OcspRequest::parse(octets).map_err(|_| Unanswerable::Malformed)?;
        let issuer = book
            .find(request.first.prefix)
            .ok_or(Unanswerable::Unauthorized)?;
        let mut asked = Vec::with_capacity(request.count);
        for id in request.cert_ids() {
            // RFC 6960 §4.2.2.2: the one key that signs a response must be authorised by the issuer of each certificate in
            // question. A signer of one authority is not authorised by another, so a request that mixes them has no answer
            // anybody could believe, and RFC 6960 §4.2.2.3 forbids to answer a part of it.
            let same = book
                .find(id.prefix)
                .is_some_and(|found| Arc::ptr_eq(found, issuer));
            if !same {
                return Err(Unanswerable::Unauthorized);
            }
            let serial = Serial::from_content(id.serial).map_err(|_| Unanswerable::Malformed)?;
            asked.push((id.raw.to_vec(), serial));
        }
        let signatory = issuer
            .signatory(request.preferred, now)
            .ok_or(Unanswerable::TryLater)?;
        Ok(Self {
            signatory: Arc::clone(signatory),
            issuer: Arc::clone(issuer),
            asked,
            nonce: request.nonce.map(|nonce| nonce.extn_value.to_vec()),
        })
    }

    /// What tells its answer from others, the nonce aside: signer and `CertID`s.
    pub(super) fn name(&self) -> Vec<u8> {
        let mut name = self.signatory.responder.key_hash.to_vec();
        for (id, _) in &self.asked {
            name.extend_from_slice(id);
        }
        name
    }
}
