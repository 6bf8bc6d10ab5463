//! Spot checks: does what the signer signed verify for the world?
//!
//! BLAKE3 and the signer's Ed25519 signature prove who wrote a batch, not that the PKI signatures in it are any good. One
//! record in each run of 4,096, drawn at random, is written out as clients will see it and verified with the responder
//! certificate's key; of the first one drawn every variant, of the others one.

use ring::rand::{SecureRandom, SystemRandom};
use wire::batch::Header;
use wire::record::RecordRef;
use wire::response::{TbsParts, write_tbs};
use wire::status::CertStatus;

use super::responder::Responders;
use super::trust::TrustError;

/// A record whose signature is no good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signature of variant {variant} ({form}, {algorithm}) is no good: {why}")]
pub struct WitnessFault {
    /// Number of the variant, from 0.
    pub variant: usize,
    /// Its CertID form.
    pub form: &'static str,
    /// Its algorithm.
    pub algorithm: &'static str,
    /// Why.
    pub why: TrustError,
}

/// Draws records and verifies them.
pub struct Witness {
    random: SystemRandom,
    /// Records left in the current run, and how many of them until the drawn one; none once it was verified.
    left_in_run: u32,
    drawn: Option<u32>,
    /// Signatures verified so far.
    pub verified: u64,
    tbs: Vec<u8>,
}

impl Witness {
    /// For a batch of `records`.
    pub fn new(records: u64) -> Self {
        let mut witness = Self {
            random: SystemRandom::new(),
            left_in_run: 0,
            drawn: None,
            verified: 0,
            tbs: Vec::new(),
        };
        // A batch shorter than a run still has one record drawn: the draw is among those that are there.
        witness.begin_run(u32::try_from(records).unwrap_or(RUN).min(RUN));
        witness
    }

    /// Sees the next record, and verifies it if it was drawn.
    pub fn see(
        &mut self,
        header: &Header,
        responders: &Responders,
        record: &RecordRef<'_>,
    ) -> Result<(), WitnessFault> {
        if self.left_in_run == 0 {
            self.begin_run(RUN);
        }
        self.left_in_run -= 1;
        if self.drawn == Some(0) {
            // A tombstone has no response: then the next record is looked at instead.
            let verified = self.verify(header, responders, record)?;
            self.drawn = (!verified).then_some(0);
        } else {
            self.drawn = self.drawn.map(|until| until - 1);
        }
        Ok(())
    }

    fn begin_run(&mut self, records: u32) {
        self.left_in_run = records;
        self.drawn = Some(self.below(records.max(1)));
    }

    /// Verifies one record; false when it has no response.
    fn verify(
        &mut self,
        header: &Header,
        responders: &Responders,
        record: &RecordRef<'_>,
    ) -> Result<bool, WitnessFault> {
        let status = record.status().expect("the guard admitted this record");
        if status == CertStatus::Absent || header.variants.is_empty() {
            return Ok(false);
        }
        if self.verified == 0 {
            for variant in 0..header.variants.len() {
                self.verify_variant(header, responders, record, status, variant)?;
            }
        } else {
            let count = u32::try_from(header.variants.len()).expect("at most sixteen variants");
            let variant = self.below(count) as usize;
            self.verify_variant(header, responders, record, status, variant)?;
        }
        Ok(true)
    }

    fn verify_variant(
        &mut self,
        header: &Header,
        responders: &Responders,
        record: &RecordRef<'_>,
        status: CertStatus,
        number: usize,
    ) -> Result<(), WitnessFault> {
        let variant = &header.variants[number];
        let fault = |why| WitnessFault {
            variant: number,
            form: variant.form.name(),
            algorithm: variant.algorithm.name(),
            why,
        };
        let window = &header.windows[usize::from(record.window())];
        let responder = responders.of(window.group, variant.slot);
        self.tbs.clear();
        let parts = TbsParts {
            key_hash: &responder.key_hash,
            produced_at: window.produced_at,
            cert_id_prefix: &responders.prefixes[number],
            serial_content: record.serial_content(),
            status,
            this_update: window.this_update,
            next_update: window.next_update,
        };
        write_tbs(&parts, &mut self.tbs).expect("an absent record was set aside");
        let signature = record
            .signature(number)
            .expect("the layout has every variant");
        responder
            .key
            .verify_raw(variant.algorithm, &self.tbs, signature)
            .map_err(fault)?;
        self.verified += 1;
        Ok(())
    }

    /// A number below `bound`; the bias of the remainder is below one in a million and of no use to anyone.
    fn below(&self, bound: u32) -> u32 {
        let mut octets = [0; 8];
        self.random
            .fill(&mut octets)
            .expect("the system has random octets");
        u32::try_from(u64::from_le_bytes(octets) % u64::from(bound)).expect("below a u32")
    }
}

/// One record in so many is verified.
const RUN: u32 = 4096;
