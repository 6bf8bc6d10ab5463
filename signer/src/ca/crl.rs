//! Certificate revocation lists: one full list an authority (RFC 5280 §5), roots included.
//!
//! A list is due when there is none, when half of its validity is over, or when a status on it changed. It is read back
//! through the other half of the wire crate before it is stored; nothing is published that does not say what the registry
//! says. certificateHold is not among the grounds (GM/T 0015 §6.2 does not suggest it) but is written if the registry has it.

use super::{CaError, Issuer};
use crate::batch::plan::is_ahead;
use crate::key::{Signer, verify};
use crate::office::Office;
use crate::registry::{By, Crl, CrlNote, Revision, StatusRow, Store};
use wire::algorithm::ecdsa_raw_from_der;
use wire::crl::{CrlHeader, CrlWriter, assemble_crl};
use wire::status::{CertStatus, RevocationReason};
use wire::time::UnixSeconds;

/// Whether lists are written that need not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Only what is due.
    Due,
    /// All: an operator asked.
    Now,
}

/// Writes the lists that are due; answers the newest list of every authority, in the order of authorities.
///
/// # Errors
/// [`CaError`], see there.
pub fn write<S: Store>(
    office: &Office<S>,
    issuers: &[Issuer],
    urgency: Urgency,
    by: By<'_>,
) -> Result<Vec<Crl>, CaError> {
    let mut lists = Vec::with_capacity(issuers.len());
    for note in write_notes(office, issuers, urgency, by)? {
        let list = office
            .registry
            .wait(|store| store.latest_crl(note.authority))?;
        lists.extend(list);
    }
    Ok(lists)
}

/// The same without the documents: lists may be large, and every pass asks which there are.
///
/// # Errors
/// [`CaError`], see there.
pub fn write_notes<S: Store>(
    office: &Office<S>,
    issuers: &[Issuer],
    urgency: Urgency,
    by: By<'_>,
) -> Result<Vec<CrlNote>, CaError> {
    let note = |issuer: &Issuer| {
        let latest = office
            .registry
            .wait(|store| store.latest_crl_note(issuer.id()))?;
        match latest {
            Some(latest) if urgency == Urgency::Due && !is_due(office, issuer, &latest, by.at)? => {
                Ok(latest)
            }
            latest => Ok(write_one(office, issuer, latest.as_ref(), by)?.note()),
        }
    };
    issuers.iter().map(note).collect()
}

fn is_due<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    latest: &CrlNote,
    now: UnixSeconds,
) -> Result<bool, CaError> {
    let half = latest.this_update + latest.next_update.saturating_sub(latest.this_update) / 2;
    // A list dated by a clock that was ahead would stay for as long as that clock was wrong.
    Ok(now >= half
        || is_ahead(latest.this_update, now)
        || office
            .registry
            .wait(|store| store.any_revoked_since(issuer.id(), latest.revision))?)
}

fn write_one<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    before: Option<&CrlNote>,
    by: By<'_>,
) -> Result<Crl, CaError> {
    let (revision, listed) = listed(office, issuer, before)?;
    let number = office
        .registry
        .wait(|store| store.next_crl_number(issuer.id()))?;
    let life = if issuer.is_root() {
        office.settings.root_crl_validity_secs
    } else {
        office.settings.crl_validity_secs
    };
    let header = CrlHeader {
        algorithm: issuer.algorithm,
        issuer: &issuer.name_der,
        this_update: by.at,
        // A list must not promise an update after its signer's own end.
        next_update: (by.at + life).min(issuer.not_after),
        number,
        key_identifier: &issuer.key_identifier,
        base_number: None,
        distribution_point: None,
        freshest_uri: None,
    };
    let der = sign(&*issuer.open_key(&office.keyring)?, &header, &listed)?;
    check(issuer, &header, &listed, &der).map_err(|why| CaError::CrlCheck {
        alias: issuer.alias().to_owned(),
        why,
    })?;
    let crl = Crl {
        authority: issuer.id(),
        number,
        revision,
        this_update: header.this_update,
        next_update: header.next_update,
        der,
    };
    office.registry.wait(|store| store.record_crl(&crl, by))?;
    tracing::info!(
        authority = issuer.alias(),
        number,
        revision,
        entries = listed.len(),
        "CRL"
    );
    Ok(crl)
}

/// What stands on the list: every revoked certificate until a list has appeared after it expired (RFC 5280 §3.3).
fn listed<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    before: Option<&CrlNote>,
) -> Result<(Revision, Vec<StatusRow>), CaError> {
    let dropped_before = before.map_or(0, |crl| crl.this_update);
    let mut listed = Vec::new();
    let revision = office.registry.wait(|store| {
        store.each_revoked(issuer.id(), |row| {
            if row.not_after >= dropped_before {
                listed.push(row);
            }
        })
    })?;
    // The registry promises no order; lists are sorted so that they compress and compare well.
    listed.sort_unstable_by_key(|row| row.serial);
    Ok((revision, listed))
}

fn sign(
    key: &dyn Signer,
    header: &CrlHeader<'_>,
    listed: &[StatusRow],
) -> Result<Vec<u8>, CaError> {
    let mut writer = CrlWriter::with_capacity(listed.len());
    for row in listed {
        if let Some((at, reason)) = revoked(row) {
            writer.push(row.serial.content(), at, reason, row.invalidity_date);
        }
    }
    let tbs = writer.finish(header);
    let raw = key.sign(&tbs)?;
    Ok(assemble_crl(&tbs, header.algorithm, &raw)
        .expect("a raw signature has its algorithm's length"))
}

fn revoked(row: &StatusRow) -> Option<(UnixSeconds, Option<RevocationReason>)> {
    match row.status {
        CertStatus::Revoked { at, reason } => Some((at, reason)),
        CertStatus::Good | CertStatus::Absent => None,
    }
}

/// Reads the list back and compares it, entry by entry, with what the registry said.
fn check(
    issuer: &Issuer,
    header: &CrlHeader<'_>,
    listed: &[StatusRow],
    der: &[u8],
) -> Result<(), String> {
    let read = wire::crl::Crl::parse(der).map_err(|error| error.to_string())?;
    let same = read.issuer == issuer.name_der
        && read.algorithm == issuer.algorithm.identifier()
        && read.this_update == header.this_update
        && read.next_update == Some(header.next_update)
        && read.extensions.key_identifier == Some(issuer.key_identifier.as_slice())
        && read.extensions.unknown_critical.is_none();
    if !same {
        return Err("its header differs".to_owned());
    }
    let mut rows = listed.iter();
    for entry in read.entries() {
        let entry = entry.map_err(|error| error.to_string())?;
        let row = rows.next().ok_or("it has entries too many")?;
        // Unspecified is said by leaving the reason out (RFC 5280 §5.3.1).
        let expected = revoked(row)
            .map(|(at, reason)| (at, reason.filter(|r| *r != RevocationReason::Unspecified)));
        let stated = (entry.revoked_at, entry.reason);
        if entry.serial != row.serial
            || Some(stated) != expected
            || entry.invalid_since != row.invalidity_date
        {
            return Err(format!("entry {} differs", row.serial));
        }
    }
    if rows.next().is_some() {
        return Err("entries are missing".to_owned());
    }
    let raw = if issuer.algorithm.is_ecdsa_shaped() {
        ecdsa_raw_from_der(read.signature, issuer.algorithm.raw_octets() / 2)
            .map_err(|error| error.to_string())?
    } else {
        read.signature.to_vec()
    };
    verify::own(issuer.algorithm, &issuer.public_key_der, read.tbs, &raw)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
