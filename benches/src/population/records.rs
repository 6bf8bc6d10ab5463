//! From a place to a record: status, signature, and on to the pack; some thousands at a time, by all cores together.

use hufu_loader::pack::PackWriter;
use ring::rand::SystemRandom;
use ring::signature::EcdsaKeyPair;
use wire::batch::Window;
use wire::response::{TbsParts, write_tbs};
use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};

use super::SERIAL_OCTETS;
use crate::issuer::Issuer;

/// The serial's hash, then the serial.
pub(super) type Place = (u64, [u8; SERIAL_OCTETS]);

/// Gathers places, and fills them into records when there are enough.
pub(super) struct Filler<'a> {
    issuer: &'a Issuer,
    signed: bool,
    window: Window,
    cores: usize,
    places: Vec<Place>,
    signatures: Vec<[u8; 64]>,
}

impl<'a> Filler<'a> {
    pub(super) fn new(issuer: &'a Issuer, signed: bool, window: Window) -> Self {
        Self {
            issuer,
            signed,
            window,
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            places: Vec::with_capacity(CHUNK),
            signatures: Vec::with_capacity(CHUNK),
        }
    }

    pub(super) fn push(
        &mut self,
        place: Place,
        writer: &mut PackWriter,
    ) -> Result<(), Box<dyn std::error::Error>> {
        self.places.push(place);
        if self.places.len() < CHUNK {
            return Ok(());
        }
        self.flush(writer)
    }

    /// Writes what was gathered.
    pub(super) fn flush(
        &mut self,
        writer: &mut PackWriter,
    ) -> Result<(), Box<dyn std::error::Error>> {
        self.signatures.resize(self.places.len(), [0; 64]);
        let share = self.places.len().div_ceil(self.cores).max(1);
        let (issuer, signed, window) = (self.issuer, self.signed, self.window);
        std::thread::scope(|scope| {
            let shares = self.places.chunks(share);
            for (places, out) in shares.zip(self.signatures.chunks_mut(share)) {
                scope.spawn(move || match signed {
                    true => sign_part(issuer, places, window, out),
                    false => noise_part(places, out),
                });
            }
        });
        for ((hash, serial), signature) in self.places.iter().zip(&self.signatures) {
            let serial = Serial::from_content(serial).expect("shortest form by construction");
            let status = status(*hash, self.window.this_update);
            writer.push(&serial, status, 0, &[signature])?;
        }
        self.places.clear();
        Ok(())
    }
}

/// One in fifty is revoked, whichever shard it lies in.
fn status(hash: u64, now: u64) -> CertStatus {
    match hash % 50 {
        0 => CertStatus::Revoked {
            at: now - 86_400,
            reason: Some(RevocationReason::KeyCompromise),
        },
        _ => CertStatus::Good,
    }
}

fn sign_part(issuer: &Issuer, places: &[Place], window: Window, out: &mut [[u8; 64]]) {
    let random = SystemRandom::new();
    let key: &EcdsaKeyPair = &issuer.responder_key;
    let mut tbs = Vec::with_capacity(512);
    for ((hash, serial), out) in places.iter().zip(out) {
        let parts = TbsParts {
            key_hash: &issuer.responder.key_hash,
            produced_at: window.produced_at,
            cert_id_prefix: &issuer.cert_id_prefix,
            serial_content: serial,
            status: status(*hash, window.this_update),
            this_update: window.this_update,
            next_update: window.next_update,
        };
        tbs.clear();
        write_tbs(&parts, &mut tbs).expect("a synthetic response fits");
        let signature = key.sign(&random, &tbs).expect("the system has randomness");
        out.copy_from_slice(signature.as_ref());
    }
}

fn noise_part(places: &[Place], out: &mut [[u8; 64]]) {
    for ((hash, _), out) in places.iter().zip(out) {
        let noise = blake3::hash(&hash.to_le_bytes());
        out[..32].copy_from_slice(noise.as_bytes());
        out[32..].copy_from_slice(noise.as_bytes());
        // Half-way plausible: r and s positive, so that the DER has the usual length.
        out[0] &= 0x7F;
        out[32] &= 0x7F;
    }
}

/// Records filled at a time.
const CHUNK: usize = 1 << 16;
