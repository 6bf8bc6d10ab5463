//! A synthetic issuer with any number of records, made from a seed and published as a generation.
//!
//! The records are what a signer would hand over: 20-octet serials, one in fifty revoked, one variant (SHA-1
//! with NULL, what stock clients ask), P-256 signatures by a delegated responder that is made for the
//! occasion. They go through the loader's own pack writer and publisher, so that what is measured is what
//! production serves. With [`Plan::signed`] off the signatures are noise: enough to time opening and lookup.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hufu_loader::durable::FsDisk;
use hufu_loader::pack::{PackSpec, PackWriter, Scope};
use hufu_loader::publish::{Edition, Publisher};
use hufu_loader::seal::SealKey;
use hufu_loader::store::Store;
use indicatif::ProgressBar;
use ring::rand::SystemRandom;
use ring::signature::EcdsaKeyPair;
use wire::algorithm::SignatureAlgorithm;
use wire::batch::{Header, Kind, Source, Window};
use wire::request::build_request;
use wire::response::{TbsParts, write_tbs};
use wire::serial::{Serial, SerialHashKey, shard};
use wire::status::{CertStatus, RevocationReason};

use crate::issuer::Issuer;
use crate::requests::get_path;

/// What to make.
#[derive(Clone, Copy)]
pub struct Plan {
    /// How many records.
    pub records: u64,
    /// The same seed gives the same serials.
    pub seed: u64,
    /// Whether the signatures are real.
    pub signed: bool,
    /// How many GET paths to draw, of different serials all over the pack.
    pub paths: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            records: 1_000_000,
            seed: 1,
            signed: true,
            paths: 10_000,
        }
    }
}

/// A published synthetic generation.
pub struct Population {
    /// The folder a responder reads.
    pub edge: PathBuf,
    /// The public key that sealed it.
    pub pin: PathBuf,
    /// Paths of GET requests for serials in it.
    pub paths: Vec<String>,
    /// The same requests as OCSP octets.
    pub requests: Vec<Vec<u8>>,
    /// Records in its one pack.
    pub records: u64,
    /// Octets of the whole pack file.
    pub pack_octets: u64,
    /// Whole file over records.
    pub octets_per_record: f64,
}

/// Seconds a window lasts; long enough for any bench.
const VALIDITY_SECS: u64 = 24 * 3600;
/// Records signed at a time, by all cores together.
const CHUNK: usize = 1 << 16;
/// Octets of a synthetic serial.
const SERIAL_OCTETS: usize = 20;

/// Place in the pack's order, then the serial.
type Place = (u64, [u8; SERIAL_OCTETS]);

impl Population {
    /// Makes and publishes it below `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written, or a key cannot be made.
    pub fn build(folder: &Path, plan: &Plan) -> Result<Self, Box<dyn std::error::Error>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let hash_key = SerialHashKey(
            *blake3::hash(&plan.seed.to_le_bytes())
                .as_bytes()
                .first_chunk()
                .expect("32 octets"),
        );
        let places = places(plan, hash_key);
        let issuer = Issuer::generate(now)?;
        let header = header(&issuer, plan, hash_key, now);

        let edge = folder.join("edge");
        let (seal, _) = SealKey::generate()?;
        let pin = folder.join("seal.pub");
        fs::create_dir_all(folder)?;
        fs::write(
            &pin,
            format!(
                "{}\n",
                hufu_loader::digest::encode_hex(seal.public().octets())
            ),
        )?;
        let mut publisher = Publisher::open(&FsDisk, Store::at(&edge), seal, &[])?;

        let spec = PackSpec::from_batch(
            &header,
            Scope::Base {
                shards: 1,
                shard: 0,
            },
            plan.records,
        )?;
        let temp = publisher.store().temp().join("synthetic");
        let mut writer = PackWriter::create(&FsDisk, &temp, &spec)?;
        write_records(&mut writer, &issuer, &places, plan, header.windows[0])?;
        let sealed = writer.finish()?;
        let pack_octets = sealed.entry().octets;
        publisher.publish(&Edition {
            kept: Vec::new(),
            added: vec![sealed],
            replayed: Vec::new(),
            issuers: Vec::new(),
            sealed_at: now,
            valid_for_secs: VALIDITY_SECS,
        })?;

        let requests = requests(&issuer, &places, plan.paths);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let octets_per_record = pack_octets as f64 / plan.records as f64;
        Ok(Self {
            edge,
            pin,
            paths: requests.iter().map(|request| get_path(request)).collect(),
            requests,
            records: plan.records,
            pack_octets,
            octets_per_record,
        })
    }
}

/// Ten thousand unsigned records: something to ask about.
#[must_use]
pub fn small_requests() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan {
        records: 10_000,
        signed: false,
        ..Plan::default()
    };
    Population::build(folder.path(), &plan)
        .expect("a population")
        .requests
}

fn places(plan: &Plan, hash_key: SerialHashKey) -> Vec<Place> {
    let mut noise = blake3::Hasher::new()
        .update(&plan.seed.to_le_bytes())
        .finalize_xof();
    let mut places: Vec<Place> = (0..plan.records)
        .map(|_| {
            let mut serial = [0u8; SERIAL_OCTETS];
            noise.fill(&mut serial);
            // Positive and of full width, as RFC 5280 section 4.1.2.2 asks of a serial of twenty octets.
            serial[0] = (serial[0] & 0x7F) | 0x40;
            (shard(hash_key.hash(&serial), 1).1, serial)
        })
        .collect();
    places.sort_unstable();
    places
}

fn header(issuer: &Issuer, plan: &Plan, hash_key: SerialHashKey, now: u64) -> Header {
    Header {
        kind: Kind::Full,
        issuer_id: issuer.id,
        number: 1,
        revision: 1,
        created_at: now,
        hash_key,
        shards: 1,
        shard: 0,
        source: Source::Registry,
        serial_octets: u8::try_from(SERIAL_OCTETS).expect("twenty"),
        record_count: plan.records,
        issuer_certificate: issuer.certificate.clone(),
        variants: vec![issuer.variant.clone()],
        slots: 1,
        responders: vec![issuer.responder.clone()],
        windows: vec![Window {
            this_update: now,
            next_update: now + VALIDITY_SECS,
            produced_at: now,
            group: 0,
        }],
        documents: Vec::new(),
    }
}

/// The header of a batch that `algorithm` signs, for benches of the signing alone.
///
/// # Errors
/// When the system has no randomness.
pub fn header_for(
    algorithm: SignatureAlgorithm,
    records: u64,
) -> Result<Header, Box<dyn std::error::Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let plan = Plan {
        records,
        ..Plan::default()
    };
    let mut header = header(&Issuer::generate(now)?, &plan, SerialHashKey([7; 16]), now);
    header.variants[0].algorithm = algorithm;
    header.responders[0].algorithm = algorithm;
    Ok(header)
}

fn status(index: usize, now: u64) -> CertStatus {
    match index % 50 {
        0 => CertStatus::Revoked {
            at: now - 86_400,
            reason: Some(RevocationReason::KeyCompromise),
        },
        _ => CertStatus::Good,
    }
}

fn write_records(
    writer: &mut PackWriter,
    issuer: &Issuer,
    places: &[Place],
    plan: &Plan,
    window: Window,
) -> Result<(), Box<dyn std::error::Error>> {
    let cores = std::thread::available_parallelism()?.get();
    let progress = ProgressBar::new(plan.records);
    for (chunk_index, chunk) in places.chunks(CHUNK).enumerate() {
        let first = chunk_index * CHUNK;
        let mut signatures = vec![[0u8; 64]; chunk.len()];
        let share = chunk.len().div_ceil(cores);
        std::thread::scope(|scope| {
            for (part, (places, out)) in chunk
                .chunks(share)
                .zip(signatures.chunks_mut(share))
                .enumerate()
            {
                let first = first + part * share;
                scope.spawn(move || match plan.signed {
                    true => sign_part(issuer, places, first, window, out),
                    false => noise_part(first, out),
                });
            }
        });
        for (index, ((_, serial), signature)) in chunk.iter().zip(&signatures).enumerate() {
            let serial = Serial::from_content(serial).expect("shortest form by construction");
            writer.push(
                &serial,
                status(first + index, window.this_update),
                0,
                &[signature],
            )?;
        }
        progress.inc(chunk.len() as u64);
    }
    progress.finish_and_clear();
    Ok(())
}

fn sign_part(
    issuer: &Issuer,
    places: &[Place],
    first: usize,
    window: Window,
    out: &mut [[u8; 64]],
) {
    let random = SystemRandom::new();
    let key: &EcdsaKeyPair = &issuer.responder_key;
    let mut tbs = Vec::with_capacity(512);
    for (index, ((_, serial), out)) in places.iter().zip(out).enumerate() {
        let parts = TbsParts {
            key_hash: &issuer.responder.key_hash,
            produced_at: window.produced_at,
            cert_id_prefix: &issuer.cert_id_prefix,
            serial_content: serial,
            status: status(first + index, window.this_update),
            this_update: window.this_update,
            next_update: window.next_update,
        };
        tbs.clear();
        write_tbs(&parts, &mut tbs).expect("a synthetic response fits");
        let signature = key.sign(&random, &tbs).expect("the system has randomness");
        out.copy_from_slice(signature.as_ref());
    }
}

fn noise_part(first: usize, out: &mut [[u8; 64]]) {
    for (index, out) in out.iter_mut().enumerate() {
        blake3::Hasher::new()
            .update(&(first + index).to_le_bytes())
            .finalize_xof()
            .fill(out);
        // Half-way plausible: r and s positive, so that the DER has the usual length.
        out[0] &= 0x7F;
        out[32] &= 0x7F;
    }
}

/// Requests for serials spread over the whole pack, in no order of the pack.
fn requests(issuer: &Issuer, places: &[Place], count: usize) -> Vec<Vec<u8>> {
    let mut step = 0x9E37_79B9_7F4A_7C15_u64;
    (0..count)
        .map(|_| {
            // SplitMix64's step: far jumps, the same in every run.
            step = step
                .wrapping_mul(0xBF58_476D_1CE4_E5B9)
                .rotate_left(31)
                .wrapping_add(0x94D0_49BB_1331_11EB);
            let place = usize::try_from((u128::from(step) * places.len() as u128) >> 64)
                .expect("below the length");
            build_request(&issuer.cert_id_prefix, &places[place].1, None)
        })
        .collect()
}

/// What every signature in a synthetic population is made with.
pub const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;
