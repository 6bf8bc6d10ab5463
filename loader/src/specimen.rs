//! For tests only: packs and generations out of a few numbers. Signatures are the serial and the variant hashed, so that
//! a wrong record or a wrong variant shows.

use std::collections::HashMap;
use std::path::Path;

use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::{CertIdForm, IssuerId, cert_id_prefix};
use wire::serial::{Serial, SerialHashKey, shard};
use wire::status::CertStatus;

use crate::durable::FsDisk;
use crate::object::Sealed;
use crate::pack::{PackSpec, PackWriter, Responder, Scope, Shared, Variant, Window, WriteError};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const KEY: SerialHashKey = SerialHashKey([7; 16]);

pub(crate) type Rows = HashMap<Serial, (CertStatus, u16)>;

pub(crate) fn serial(number: u64) -> Serial {
    Serial::from_unsigned(&number.to_be_bytes()).unwrap()
}

/// Variants: SHA-1 and SHA-256 of an issuer named by a digit, each signed with each of the algorithms.
pub(crate) fn shared(issuer: u8, algorithms: &[SignatureAlgorithm], windows: usize) -> Shared {
    let responders = algorithms.iter().map(|&algorithm| Responder {
        algorithm,
        key_hash: [algorithm.code(); 20],
        not_before: NOW - 1000,
        not_after: NOW + 1_000_000,
        certs: vec![0xa0, 3, 1, 1, algorithm.code()],
    });
    let variants = algorithms.iter().enumerate().map(|(slot, &algorithm)| {
        let form = CertIdForm::ALL[slot * 2];
        let hash = vec![issuer; form.hash.octets()];
        Variant {
            form,
            slot: slot as u16,
            algorithm,
            prefix: cert_id_prefix(form, &hash, &hash).unwrap(),
        }
    });
    Shared {
        issuer_certificate: vec![0x30, 1, issuer],
        variants: variants.collect(),
        responders: responders.collect(),
        slots: algorithms.len() as u16,
        windows: (0..windows as u64)
            .map(|number| Window {
                this_update: NOW + number,
                next_update: NOW + 1000 + number,
                produced_at: NOW + number,
                group: 0,
            })
            .collect(),
    }
}

/// What a signer with several algorithms hands over: SHA-1 and SHA-256, both with the first, then both with the second ….
pub(crate) fn several(issuer: u8, algorithms: &[SignatureAlgorithm], windows: usize) -> Shared {
    let mut shared = shared(issuer, &algorithms[..1], windows);
    let forms = [CertIdForm::ALL[0], CertIdForm::ALL[2]];
    let responder = shared.responders[0].clone();
    shared.responders.clear();
    shared.variants.clear();
    for (slot, &algorithm) in algorithms.iter().enumerate() {
        shared.responders.push(Responder {
            algorithm,
            key_hash: [algorithm.code(); 20],
            certs: vec![0xa0, 3, 1, 1, algorithm.code()],
            ..responder.clone()
        });
        shared.variants.extend(forms.map(|form| {
            let hash = vec![issuer; form.hash.octets()];
            Variant {
                form,
                slot: slot as u16,
                algorithm,
                prefix: cert_id_prefix(form, &hash, &hash).unwrap(),
            }
        }));
    }
    shared.slots = algorithms.len() as u16;
    shared
}

pub(crate) fn spec(issuer: u8, scope: Scope, revision: u64, shared: Shared) -> PackSpec {
    PackSpec {
        issuer: IssuerId([issuer; 16]),
        hash_key: KEY,
        scope,
        revision,
        batch: revision,
        created_at: NOW,
        as_of: None,
        crl_blake3: None,
        records_about: 100,
        serial_octets: 20,
        shared,
    }
}

pub(crate) fn signature(serial: &Serial, algorithm: SignatureAlgorithm, revision: u64) -> Vec<u8> {
    let mut octets = vec![0; algorithm.raw_octets()];
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(serial.content())
        .update(&[algorithm.code()])
        .update(&revision.to_le_bytes());
    hasher.finalize_xof().fill(&mut octets);
    octets
}

/// The rows of the spec's scope, in pack order, as a pack file at `path`.
pub(crate) fn write(path: &Path, spec: &PackSpec, rows: &Rows) -> Result<Sealed, WriteError> {
    let (shards, own) = match spec.scope {
        Scope::Base { shards, shard } => (shards, shard),
        Scope::Delta => (1, 0),
    };
    let mut sorted: Vec<_> = rows
        .iter()
        .map(|(serial, row)| {
            (
                shard(spec.hash_key.hash(serial.content()), shards),
                *serial,
                *row,
            )
        })
        .filter(|((shard, _), ..)| *shard == own)
        .collect();
    sorted.sort_by_key(|((_, rest), serial, _)| (*rest, *serial));
    let mut spec = spec.clone();
    spec.records_about = sorted.len() as u64;
    let mut writer = PackWriter::create(&FsDisk, path, &spec)?;
    for (_, serial, (status, window)) in sorted {
        let signatures: Vec<Vec<u8>> = spec
            .shared
            .variants
            .iter()
            .map(|variant| signature(&serial, variant.algorithm, spec.revision))
            .collect();
        let signatures: Vec<&[u8]> = signatures.iter().map(Vec::as_slice).collect();
        writer.push(&serial, status, window, &signatures)?;
    }
    writer.finish()
}
