//! The hot path: from the octets of a `CertID` to the record that answers. No allocation, no lock, no system call.

use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::CertIdForm;
use wire::record::{MAX_VARIANTS, RecordRef};
use wire::request::PreferredAlgorithms;
use wire::status::CertStatus;
use wire::time::UnixSeconds;

use super::Snapshot;
use super::prefix::VariantIn;
use crate::pack::index::Needle;
use crate::pack::{Find, Flaw, Pack, Variant};

/// What a snapshot knows of a certificate.
#[must_use]
#[derive(Debug, Clone, Copy)]
pub enum Lookup<'s> {
    /// Another authority's certificate, or a form of `CertID` nothing is signed for.
    UnknownIssuer,
    /// No answer is signed ahead: never issued, withdrawn, or not in this variant.
    UnknownSerial,
    /// This.
    Found(Found<'s>),
    /// The pack is damaged where the answer would be. Older packs were not asked: they may say "good" of what this one
    /// revoked. Answer `internalError` or `tryLater`, and shout.
    Damaged(Flaw),
}

/// A record and what its response shares with others, borrowed from the map: the parts of
/// `wire::response::TbsParts`, and the signature.
#[derive(Debug, Clone, Copy)]
pub struct Found<'s> {
    /// Good or revoked, never absent.
    pub status: CertStatus,
    /// The times of the response, to be held against the clock.
    pub window: AnswerWindow,
    /// The responderID.
    pub key_hash: &'s [u8; 20],
    /// Hash and parameters of the `CertID`.
    pub form: CertIdForm,
    /// How `signature` was made.
    pub algorithm: SignatureAlgorithm,
    /// As stored: raw.
    pub signature: &'s [u8],
    /// The `CertID` before the serial; the request's octet for octet.
    pub cert_id_prefix: &'s [u8],
    /// The whole `[0]` certs TLV, or nothing.
    pub certs: &'s [u8],
    /// The status repeats a CRL past its nextUpdate.
    pub replayed: bool,
    /// Differs between packs: with the first octets of the signature, a strong `ETag`.
    pub pack_tag: u64,
}

/// Which of several algorithms a client would rather have, as it says in its request; none if it says nothing, and then the
/// authority's own is the one.
pub type Wish<'a> = Option<PreferredAlgorithms<'a>>;

/// The times of a response and of the certificate that signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerWindow {
    /// thisUpdate.
    pub this_update: UnixSeconds,
    /// nextUpdate.
    pub next_update: UnixSeconds,
    /// producedAt.
    pub produced_at: UnixSeconds,
    /// notBefore of the responder's certificate.
    pub not_before: UnixSeconds,
    /// notAfter of the responder's certificate.
    pub not_after: UnixSeconds,
}

impl Snapshot {
    /// Looks a certificate up. `prefix` is the `CertID` before the serial's TLV, `serial` the serial's content octets.
    ///
    /// The pack of the highest revision that holds the serial answers, even if it lacks the variant: an older pack that
    /// has it may be wrong by now. So `wish` chooses among the algorithms of that pack only.
    #[inline]
    pub fn lookup<'s>(&'s self, prefix: &[u8], serial: &[u8], wish: Wish<'_>) -> Lookup<'s> {
        // 1. Issuer and variants, by the CertID's octets.
        let Some(entry) = self.prefixes.find(prefix) else {
            return Lookup::UnknownIssuer;
        };
        let issuer = &self.issuers[entry.issuer];
        // 2. One hash and one sign extension for all packs.
        let Some(needle) = Needle::new(&issuer.hash_key, serial) else {
            return Lookup::UnknownSerial;
        };
        let (shard, _) = needle.shard(issuer.shards);
        let base = &issuer.bases[shard as usize];
        // 3. Deltas newer than the shard's base, then the base.
        let newer = issuer.deltas.iter().zip(&entry.delta_variants);
        for (pack, variant) in newer.take(base.deltas_before) {
            if let Some(lookup) = ask(pack, &needle, *variant, wish) {
                return lookup;
            }
        }
        // CABF BR §4.9.9: a serial that nobody assigned is never answered good: only a record answers.
        if let Some(pack) = &base.pack
            && let Some(lookup) = ask(pack, &needle, entry.base_variants[shard as usize], wish)
        {
            return lookup;
        }
        Lookup::UnknownSerial
    }
}

/// What one pack says; none if it does not hold the serial.
#[inline]
fn ask<'s>(
    pack: &'s Pack,
    needle: &Needle,
    variant: VariantIn,
    wish: Wish<'_>,
) -> Option<Lookup<'s>> {
    if !pack.may_hold(needle) {
        return None;
    }
    match pack.find(needle) {
        Find::NotHere => None,
        Find::Here(record) => {
            Some(found(pack, record, variant, wish).unwrap_or_else(Lookup::Damaged))
        }
        Find::Damaged(flaw) => Some(Lookup::Damaged(flaw)),
    }
}

#[inline]
fn found<'s>(
    pack: &'s Pack,
    record: RecordRef<'s>,
    variant: VariantIn,
    wish: Wish<'_>,
) -> Result<Lookup<'s>, Flaw> {
    // The index is for people who run `verify` afterwards; the hot path does not compute it.
    let damaged = Flaw::RecordContent { index: 0 };
    let status = record.status().map_err(|_| damaged)?;
    let Some(own) = variant.filter(|_| status != CertStatus::Absent) else {
        return Ok(Lookup::UnknownSerial);
    };
    let shared = pack.shared();
    let number = match wish {
        None => own,
        Some(preferred) => liked_best(&shared.variants, own, preferred).unwrap_or(own),
    };
    let variant = shared.variants.get(usize::from(number)).ok_or(damaged)?;
    let window = pack.window(record.window()).ok_or(damaged)?;
    let responder =
        usize::from(window.group) * usize::from(shared.slots) + usize::from(variant.slot);
    let responder = shared.responders.get(responder).ok_or(damaged)?;
    Ok(Lookup::Found(Found {
        status,
        window: AnswerWindow {
            this_update: window.this_update,
            next_update: window.next_update,
            produced_at: window.produced_at,
            not_before: responder.not_before,
            not_after: responder.not_after,
        },
        key_hash: &responder.key_hash,
        form: variant.form,
        algorithm: variant.algorithm,
        signature: record.signature(usize::from(number)).ok_or(damaged)?,
        cert_id_prefix: &variant.prefix,
        certs: &responder.certs,
        replayed: pack.as_of().is_some(),
        pack_tag: pack.tag(),
    }))
}

/// The number of the variant that a client likes best, of those in the form of the authority's own; none if it likes none.
// RFC 6960 §4.4.7.2.2: of answers signed ahead the one with the algorithm that the client likes best goes out.
#[cold]
fn liked_best(variants: &[Variant], own: u8, preferred: PreferredAlgorithms<'_>) -> Option<u8> {
    let first = variants.get(usize::from(own))?;
    // The authority's own stands first: where several are written alike, as RSA of any length is, it is the one.
    let mut numbers = [own; MAX_VARIANTS];
    let mut algorithms = [first.algorithm; MAX_VARIANTS];
    let mut count = 1;
    for (number, variant) in (0_u8..).zip(variants) {
        if number != own && variant.prefix == first.prefix {
            *numbers.get_mut(count)? = number;
            *algorithms.get_mut(count)? = variant.algorithm;
            count += 1;
        }
    }
    let place = preferred.choose(algorithms.get(..count)?)?;
    numbers.get(place).copied()
}
