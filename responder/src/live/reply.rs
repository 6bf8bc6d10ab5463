//! Which replies of the lane are believed.
//!
//! The lane is ours and the way to it is loopback or mutual TLS, so its signature is not verified here. What is checked is
//! what a restart, a race or an old database could get wrong: another question's answer, an answer from before what the
//! packs already say, times that are over.

use wire::request::OcspRequest;
use wire::response::{OcspResponse, ResponseStatus, SingleStatus};
use wire::time::UnixSeconds;

use super::client::{Failure, Reply};
use crate::answer::MAX_AHEAD_SECS;
use crate::reply::Keep;

/// A reply that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fresh {
    /// True if any certificate in it is called revoked.
    pub(super) revoked: bool,
    this_update: UnixSeconds,
    next_update: UnixSeconds,
    signature: u64,
    has_nonce: bool,
}

impl Fresh {
    /// Whether caches may keep it.
    pub(crate) fn keep(&self) -> Keep {
        // An answer with a nonce is for one client: a cache that kept it would only push out what others ask for.
        if self.has_nonce {
            return Keep::No;
        }
        Keep::Until {
            identity: (LIVE, self.signature),
            this_update: self.this_update,
            next_update: self.next_update,
            revoked: self.revoked,
        }
    }
}

/// What caches need to know of a reply, if it is an answer to `asked`, not from before revision `floor`, and valid `now`.
pub(super) fn judge(
    asked: &OcspRequest<'_>,
    reply: &Reply,
    floor: u64,
    now: UnixSeconds,
) -> Result<Fresh, Failure> {
    let response = OcspResponse::parse(&reply.octets).map_err(|_| Failure::Unfit)?;
    let basic = match (response.status, response.basic) {
        (ResponseStatus::Successful, Some(basic)) => basic,
        (ResponseStatus::Unauthorized, _) => return Err(Failure::Refused),
        _ => return Err(Failure::Unfit),
    };
    // The packs may already say "revoked" of what an older view of the registry calls good.
    if reply.revision < floor {
        return Err(Failure::OldRevision);
    }
    let same_certificates = basic
        .singles()
        .map(|single| single.cert_id.raw)
        .eq(asked.cert_ids().map(|id| id.raw));
    let nonce = asked.nonce.map(|nonce| nonce.extn_value);
    if !same_certificates || basic.nonce() != nonce {
        return Err(Failure::Unfit);
    }
    let mut fresh = Fresh {
        revoked: false,
        this_update: 0,
        next_update: UnixSeconds::MAX,
        signature: last_eight(basic.signature),
        has_nonce: nonce.is_some(),
    };
    for single in basic.singles() {
        let next_update = single.next_update.ok_or(Failure::Unfit)?;
        if now >= next_update || single.this_update > now + MAX_AHEAD_SECS {
            return Err(Failure::Unfit);
        }
        fresh.revoked |= matches!(single.status, SingleStatus::Revoked { .. });
        fresh.this_update = fresh.this_update.max(single.this_update);
        fresh.next_update = fresh.next_update.min(next_update);
    }
    Ok(fresh)
}

/// The end of a signature as a number: its beginning is DER in some algorithms.
fn last_eight(signature: &[u8]) -> u64 {
    signature
        .last_chunk()
        .map_or(0, |octets| u64::from_be_bytes(*octets))
}

/// Stands for the pack in the tags of live answers.
const LIVE: u64 = u64::from_be_bytes(*b"hufulive");

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use wire::algorithm::SignatureAlgorithm;
    use wire::cert_id::cert_id;
    use wire::request::build_request;
    use wire::response::{
        ExtendedRevoke, Said, SeveralParts, TRY_LATER, UNAUTHORIZED, assemble_several,
        write_several,
    };

    use super::*;

    const NOW: UnixSeconds = 1_800_000_000;
    /// SHA-1 without parameters, of a name and a key of no octets.
    const PREFIX: &[u8] = &[0x30, 7, 6, 5, 0x2B, 0x0E, 3, 2, 0x1A, 4, 0, 4, 0];
    const NONCE: &[u8] = &[4, 2, 0xAA, 0xBB];

    /// A reply about this serial with this nonce, from that revision, valid until.
    fn reply(serial: u8, nonce: Option<&[u8]>, revision: u64, next_update: UnixSeconds) -> Reply {
        let id = cert_id(PREFIX, &[serial]);
        let said = [Said {
            cert_id: &id,
            status: SingleStatus::Good,
            this_update: NOW,
            next_update,
            archive_cutoff: None,
            found_on: None,
        }];
        let parts = SeveralParts {
            key_hash: &[0; 20],
            produced_at: NOW,
            said: &said,
            nonce,
            extended_revoke: ExtendedRevoke::Absent,
        };
        let mut tbs = Vec::new();
        write_several(&parts, &mut tbs).unwrap();
        let algorithm = SignatureAlgorithm::Ed25519;
        let octets = assemble_several(&tbs, algorithm, &[7; 64], &[]).unwrap();
        Reply {
            octets: Bytes::from(octets),
            revision,
            was_kept: false,
        }
    }

    fn judged(reply: &Reply, nonce: Option<&[u8]>) -> Result<Fresh, Failure> {
        let request = build_request(PREFIX, &[5], nonce);
        judge(&OcspRequest::parse(&request).unwrap(), reply, 10, NOW)
    }

    #[test]
    fn answer_from_before_what_the_packs_say_is_given() {
        let end = NOW + 60;
        assert!(judged(&reply(5, None, 10, end), None).is_ok());
        let old = judged(&reply(5, None, 9, end), None);
        assert_eq!(old, Err(Failure::OldRevision));
    }

    #[test]
    fn answer_to_another_question_is_given() {
        let end = NOW + 60;
        let with_nonce = judged(&reply(5, Some(NONCE), 10, end), Some(&[0xAA, 0xBB])).unwrap();
        // What is for one client is not kept for others.
        assert_eq!(with_nonce.keep(), Keep::No);
        for (reply, nonce) in [
            (reply(6, None, 10, end), None),
            (reply(5, None, 10, end), Some(&[0xAA, 0xBB][..])),
            (reply(5, Some(NONCE), 10, end), Some(&[0xAA, 0xBC][..])),
            (reply(5, Some(NONCE), 10, end), None),
            (reply(5, None, 10, NOW), None),
        ] {
            assert_eq!(judged(&reply, nonce), Err(Failure::Unfit));
        }
    }

    #[test]
    fn error_of_the_lane_is_given_in_place_of_the_pre_signed_answer() {
        let said = |octets: &'static [u8]| Reply {
            octets: Bytes::from_static(octets),
            revision: 10,
            was_kept: false,
        };
        assert_eq!(judged(&said(&UNAUTHORIZED), None), Err(Failure::Refused));
        assert_eq!(judged(&said(&TRY_LATER), None), Err(Failure::Unfit));
        assert_eq!(judged(&said(b"gibberish"), None), Err(Failure::Unfit));
    }
}
