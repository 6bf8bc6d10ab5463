//! Is a staged list what it claims to be? Everything is verified here once more, whatever the loader found.
//!
//! RFC 5280 §6.3.3 as far as it concerns the lists of an issuer the operator named: identity, right to sign lists,
//! algorithm and signature, dates, scope, entries (`whose.rs` has who signs, and for whom). `as_of` replaces the clock here and nowhere else. What several lists say
//! together is in `together.rs`.

use super::floor::{self, Reached, Scope as Partition};
use super::together::{self, Part};
use super::whose::{Parties, is_indirect, scope_of};
use super::{
    Refusal,
    staged::{Options, Staged},
};
use crate::batch::Row;
use crate::key::verify::{self, Weak};
use aws_lc_rs::digest;
use std::collections::BTreeMap;
use wire::algorithm::ForeignAlgorithm;
use wire::cert_id::IssuerId;
use wire::crl::{Crl, Scope};
use wire::time::UnixSeconds;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// A list that was found good.
#[derive(Debug)]
pub struct Judged {
    /// Its issuer's Name as the certificate has it, DER.
    pub name_der: Vec<u8>,
    /// Content of the BIT STRING of the issuer's public key.
    pub key_bits: Vec<u8>,
    /// Whether the issuer's key is an SM2 key.
    pub is_sm2: bool,
    /// The issuer's Name for people.
    pub name: String,
    /// What is revoked, in order of serials.
    pub rows: Vec<Row>,
    /// Serials that stand on the list more than once.
    pub repeated: u64,
    /// Entries that clear (removeFromCRL).
    pub cleared: u64,
    /// Entries about certificates of other authorities, left out.
    pub others: u64,
    /// thisUpdate; of several partitions the oldest one's, of a complete list and its delta the delta's.
    pub this_update: UnixSeconds,
    /// thisUpdate of the newest list: it never goes back.
    pub newest: UnixSeconds,
    /// nextUpdate; of several lists the first.
    pub next_update: Option<UnixSeconds>,
    /// CRLNumber, content octets; none of several partitions.
    pub number: Option<Vec<u8>>,
    /// Whether who is not revoked here is not revoked at all.
    pub names_all_revoked: bool,
    /// Whether a list among them is indirect.
    pub is_indirect: bool,
    /// What each scope has come to: neither does it go back.
    pub(super) reached: BTreeMap<Partition, Reached>,
}

/// Judges.
///
/// # Errors
/// The first thing that is wrong.
pub fn judge(
    id: IssuerId,
    staged: &Staged,
    options: &Options,
    now: UnixSeconds,
) -> Result<Judged, Refusal> {
    let issuer = certificate(&staged.issuer)?;
    if issuer_id(&issuer) != id {
        return Err(Refusal::OtherIssuer);
    }
    let lists = &staged.lists;
    let first = lists.first().ok_or(Refusal::Nothing)?;
    if let Some((since, until)) = options.trusted {
        return judge_lines(&issuer, first, (since, until), options, now);
    }
    let delegate = staged.crl_issuer.as_deref().map(certificate).transpose()?;
    let parties = Parties {
        issuer: &issuer,
        delegate: delegate.as_ref(),
    };
    let crls: Vec<Crl<'_>> = lists
        .iter()
        .map(|der| {
            let crl = Crl::parse(der).map_err(Refusal::Unreadable)?;
            let signer = parties.signer_of(&crl)?;
            signature(&crl, signer, options)?;
            dates(&crl, signer, options, now)?;
            scope(&crl)?;
            Ok(crl)
        })
        .collect::<Result<_, Refusal>>()?;
    let parts = together::parts(&crls)?;
    let word = together::say(&parts, issuer.subject())?;
    let algorithm = crls.first().map(|crl| crl.algorithm);
    let algorithm = algorithm.and_then(|tlv| ForeignAlgorithm::recognise(tlv).ok().flatten());
    let oldest = parts.iter().map(Part::this_update).min();
    let newest = crls.iter().map(|crl| crl.this_update).max();
    Ok(Judged {
        name_der: issuer.subject().as_raw().to_vec(),
        key_bits: issuer.public_key().subject_public_key.data.to_vec(),
        // The list's algorithm tells the key of whoever signed it.
        is_sm2: match delegate {
            None => algorithm == Some(ForeignAlgorithm::Sm2Sm3),
            Some(_) => is_on_sm2_curve(&issuer),
        },
        name: issuer.subject().to_string(),
        rows: word.rows,
        repeated: word.repeated,
        cleared: word.cleared,
        others: word.others,
        this_update: oldest.ok_or(Refusal::Nothing)?,
        newest: newest.ok_or(Refusal::Nothing)?,
        next_update: crls.iter().filter_map(|crl| crl.next_update).min(),
        number: match parts.as_slice() {
            [only] => only.number(),
            _ => None,
        },
        names_all_revoked: options.complete || names_all(&parts),
        reached: parts
            .iter()
            .map(|part| reached(part, &parties))
            .collect::<Result<_, _>>()?,
        is_indirect: crls.iter().any(is_indirect),
    })
}

/// RFC 5280 §5.2.5: a list whose IDP restricts it says nothing of what lies outside of its scope.
fn names_all(parts: &[Part<'_, '_>]) -> bool {
    let restricts = |part: &Part<'_, '_>| {
        let point = part.full.extensions.distribution_point;
        point.is_some_and(|point| point.is_restricting())
    };
    !parts.iter().any(restricts)
}

fn reached(
    part: &Part<'_, '_>,
    parties: &Parties<'_, '_>,
) -> Result<(Partition, Reached), Refusal> {
    let reached = Reached {
        this_update: part.this_update(),
        number: part.number(),
    };
    let mut scope = scope_of(part.full);
    // Whoever takes over a name with another key may count anew.
    scope.extend_from_slice(parties.signer_of(part.full)?.public_key().raw);
    Ok((floor::scope(&scope), reached))
}

/// A list that no CA has signed: the operator's word stands for the signature, from its import to the end he set.
fn judge_lines(
    issuer: &X509Certificate<'_>,
    list: &[u8],
    (since, until): (UnixSeconds, UnixSeconds),
    options: &Options,
    now: UnixSeconds,
) -> Result<Judged, Refusal> {
    if until <= now {
        return Err(Refusal::NoLongerTrusted { until });
    }
    if since > now + CLOCK_LEEWAY_SECS {
        return Err(Refusal::NotYet { this_update: since });
    }
    let moment = i64::try_from(now).unwrap_or(i64::MAX);
    let validity = issuer.validity();
    if moment < validity.not_before.timestamp() || moment > validity.not_after.timestamp() {
        return Err(Refusal::IssuerNotValid);
    }
    Ok(Judged {
        name_der: issuer.subject().as_raw().to_vec(),
        key_bits: issuer.public_key().subject_public_key.data.to_vec(),
        is_sm2: is_on_sm2_curve(issuer),
        name: issuer.subject().to_string(),
        rows: super::lines::settle(options.form, list, now)?,
        repeated: 0,
        cleared: 0,
        others: 0,
        this_update: since,
        newest: since,
        next_update: Some(until),
        number: None,
        // They name the good as well: who is not in them was never issued, as far as anybody here knows.
        names_all_revoked: false,
        reached: BTreeMap::new(),
        is_indirect: false,
    })
}

fn certificate(der: &[u8]) -> Result<X509Certificate<'_>, Refusal> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(Refusal::IssuerUnreadable),
    }
}

fn is_on_sm2_curve(issuer: &X509Certificate<'_>) -> bool {
    let curve = issuer.public_key().algorithm.parameters.as_ref();
    let curve = curve.and_then(|parameters| parameters.as_oid().ok());
    curve.is_some_and(|curve| curve.to_id_string() == SM2_CURVE)
}

fn issuer_id(issuer: &X509Certificate<'_>) -> IssuerId {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(issuer.subject().as_raw());
    context.update(issuer.public_key().raw);
    let hash = context.finish();
    let mut id = [0; 16];
    id.copy_from_slice(hash.as_ref().get(..16).expect("SHA-256 has 32 octets"));
    IssuerId(id)
}

fn signature(
    crl: &Crl<'_>,
    issuer: &X509Certificate<'_>,
    options: &Options,
) -> Result<(), Refusal> {
    let algorithm = ForeignAlgorithm::recognise(crl.algorithm)
        .map_err(Refusal::Unreadable)?
        .ok_or(Refusal::Signature(verify::VerifyError::Unsupported))?;
    let weak = if options.allow_weak {
        Weak::Allow
    } else {
        Weak::Refuse
    };
    verify::foreign(
        algorithm,
        weak,
        issuer.public_key().raw,
        crl.tbs,
        crl.signature,
    )
    .map_err(Refusal::Signature)
}

fn dates(
    crl: &Crl<'_>,
    issuer: &X509Certificate<'_>,
    options: &Options,
    now: UnixSeconds,
) -> Result<(), Refusal> {
    if options
        .as_of
        .is_some_and(|as_of| as_of > now + CLOCK_LEEWAY_SECS)
    {
        return Err(Refusal::AsOfAhead);
    }
    let moment = options.as_of.unwrap_or(now);
    if crl.this_update > moment + CLOCK_LEEWAY_SECS {
        return Err(Refusal::NotYet {
            this_update: crl.this_update,
        });
    }
    if let Some(next_update) = crl.next_update.filter(|next| *next < moment) {
        return Err(Refusal::Stale { next_update });
    }
    let validity = issuer.validity();
    let moment = i64::try_from(moment).unwrap_or(i64::MAX);
    // Authorities renew their certificate under one name and key. In a replay the key that signed counts more than the
    // date its certificate bore, so notAfter is not judged at all; today the operator must name a certificate that is valid.
    let expired = moment > validity.not_after.timestamp() && options.as_of.is_none();
    if expired || moment < validity.not_before.timestamp() {
        return Err(Refusal::IssuerNotValid);
    }
    Ok(())
}

fn scope(crl: &Crl<'_>) -> Result<(), Refusal> {
    if crl.extensions.unknown_critical.is_some() {
        return Err(Refusal::Critical);
    }
    match &crl.extensions.distribution_point {
        Some(point) if point.scope == Scope::AttributeCertificates => Err(Refusal::Attribute),
        _ => Ok(()),
    }
}

/// GM/T 0006: the curve of SM2.
const SM2_CURVE: &str = "1.2.156.10197.1.301";
/// How far ahead another authority's clock may be.
const CLOCK_LEEWAY_SECS: u64 = 300;

#[cfg(test)]
pub(super) fn test_issuer_id(issuer_der: &[u8]) -> IssuerId {
    issuer_id(
        &X509Certificate::from_der(issuer_der)
            .expect("a certificate")
            .1,
    )
}
