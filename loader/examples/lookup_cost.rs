//! What a lookup costs beside one random cache-line read from the same mapping. Run it in release mode:
//! `cargo run --release -p hufu-loader --example lookup_cost -- 10000000`.
//!
//! Each question waits for the answer before it (its serial depends on it), as questions of different clients do; so
//! does each plain read. Time is the processor time the kernel books for this thread, the best of several rounds: the
//! machine may be shared.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use hufu_loader::durable::FsDisk;
use hufu_loader::pack::{Pack, PackSpec, PackWriter, Responder, Scope, Shared, Variant, Window};
use hufu_loader::publish::{Edition, Publisher};
use hufu_loader::seal::SealKey;
use hufu_loader::snapshot::{Lookup, Snapshot};
use hufu_loader::store::Store;
use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::{CertIdForm, IssuerId, cert_id_prefix};
use wire::serial::{Serial, SerialHashKey};
use wire::status::CertStatus;

const KEY: SerialHashKey = SerialHashKey([3; 16]);
const QUESTIONS: usize = 200_000;
const ROUNDS: usize = 7;
/// Sizes of the delta tiers, in thousandths of the base.
const TIERS: [u64; 8] = [64, 32, 16, 8, 4, 2, 1, 1];

fn main() -> Result<(), Box<dyn Error>> {
    let records: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(10_000_000), |n| n.parse())?;
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let key = build(root, records)?;
    let pins = [key.public()];

    let clock = Instant::now();
    let snapshot = Snapshot::open(root, &pins, None)?;
    println!(
        "open                     {:>9.3} ms",
        clock.elapsed().as_secs_f64() * 1e3
    );
    let clock = Instant::now();
    snapshot.touch_new(None);
    println!(
        "touch (page tables)      {:>9.3} ms",
        clock.elapsed().as_secs_f64() * 1e3
    );

    let (_, base) = snapshot
        .packs()
        .max_by_key(|(_, pack)| pack.record_count())
        .ok_or("no pack")?;
    println!(
        "octets a record          {:>9.3}",
        base.octets().len() as f64 / base.record_count() as f64
    );
    let clock = Instant::now();
    base.verify()?;
    println!(
        "verify the base          {:>9.3} s",
        clock.elapsed().as_secs_f64()
    );

    println!(
        "build from records       {:>9.2} M records/s",
        rebuild(root, base)?
    );
    let line = best(|| lines(base.octets()));
    println!("random line, dependent   {line:>9.1} ns");
    let prefix = prefix();
    for (what, from) in [("hits", 0), ("misses", records * 2)] {
        let lookup = best(|| questions(&snapshot, &prefix, from, records));
        println!(
            "lookup, {what:<16} {lookup:>9.1} ns = {:.2} lines",
            lookup / line
        );
    }
    let nothing = best(|| questions_only(records));
    println!("making the question      {nothing:>9.1} ns (contained in the lookups)");
    Ok(())
}

/// Nanoseconds an operation, the best round.
fn best(mut round: impl FnMut() -> usize) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let clock = processor_ns();
            let count = round();
            (processor_ns() - clock) as f64 / count as f64
        })
        .fold(f64::INFINITY, f64::min)
}

/// What the scheduler has booked for this thread so far.
fn processor_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or_default()
}

fn lines(octets: &[u8]) -> usize {
    let mut state = 1_u64;
    for _ in 0..QUESTIONS {
        let place = ((u128::from(mix(state)) * (octets.len() / 64) as u128) >> 64) as usize * 64;
        state = state.wrapping_add(1 + u64::from(octets[place]));
    }
    black_box(state);
    QUESTIONS
}

fn questions(snapshot: &Snapshot, prefix: &[u8], from: u64, records: u64) -> usize {
    let mut state = 1_u64;
    for _ in 0..QUESTIONS {
        let serial = serial(from + ((u128::from(mix(state)) * u128::from(records)) >> 64) as u64);
        state += match snapshot.lookup(prefix, serial.content(), None) {
            Lookup::Found(found) => 1 + u64::from(found.signature[63] & 1),
            _ => 1,
        };
    }
    black_box(state);
    QUESTIONS
}

fn questions_only(records: u64) -> usize {
    let mut state = 1_u64;
    for _ in 0..QUESTIONS {
        let serial = serial(((u128::from(mix(state)) * u128::from(records)) >> 64) as u64);
        state += 1 + u64::from(black_box(serial).content()[19] & 1);
    }
    black_box(state);
    QUESTIONS
}

fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// Twenty octets, as authorities draw them.
fn serial(number: u64) -> Serial {
    let mut octets = [0; 20];
    for (step, part) in octets.chunks_mut(8).enumerate() {
        part.copy_from_slice(&mix(number * 4 + step as u64 + 1).to_be_bytes()[..part.len()]);
    }
    octets[0] = octets[0] & 0x3f | 0x40;
    Serial::from_unsigned(&octets).expect("twenty octets fit")
}

fn prefix() -> Vec<u8> {
    cert_id_prefix(CertIdForm::ALL[0], &[1; 20], &[2; 20]).expect("SHA-1 has 20 octets")
}

fn build(root: &Path, records: u64) -> Result<SealKey, Box<dyn Error>> {
    let (key, pkcs8) = SealKey::generate()?;
    let mut publisher = Publisher::open(&FsDisk, Store::at(root), key, &[])?;
    let mut added = Vec::new();
    let clock = Instant::now();
    added.push(pack(
        &publisher,
        Scope::Base {
            shards: 1,
            shard: 0,
        },
        1,
        records,
    )?);
    println!(
        "build {records} records  {:>9.3} s",
        clock.elapsed().as_secs_f64()
    );
    for (age, thousandths) in (2..).zip(TIERS) {
        added.push(pack(
            &publisher,
            Scope::Delta,
            age,
            records * thousandths / 1000,
        )?);
    }
    let edition = Edition {
        added,
        ..publisher.same_again(1_800_000_000)
    };
    publisher.publish(&edition)?;
    Ok(SealKey::from_pkcs8(&pkcs8, root)?)
}

fn pack(
    publisher: &Publisher<'_>,
    scope: Scope,
    revision: u64,
    records: u64,
) -> Result<hufu_loader::object::Sealed, Box<dyn Error>> {
    // Deltas hold serials that are never asked for: every hit passes all tiers.
    let from = if scope == Scope::Delta {
        revision << 40
    } else {
        0
    };
    let mut sorted: Vec<(u64, u64)> = (from..from + records)
        .map(|number| (KEY.hash(serial(number).content()), number))
        .collect();
    sorted.sort_unstable();
    let temp = publisher.store().temp().join(format!("pack-{revision}"));
    let mut writer = PackWriter::create(&FsDisk, &temp, &spec(scope, revision, records))?;
    let mut signature = [0; 64];
    for (hash, number) in sorted {
        signature[..8].copy_from_slice(&hash.to_le_bytes());
        signature[56..].copy_from_slice(&hash.to_be_bytes());
        writer.push(&serial(number), CertStatus::Good, 0, &[&signature])?;
    }
    Ok(writer.finish()?)
}

/// Writes the records of a pack into another, as a batch is built into packs; millions a second of processor time.
fn rebuild(root: &Path, base: &Pack) -> Result<f64, Box<dyn Error>> {
    let temp = root.join("tmp/again");
    let records = base.record_count();
    let clock = processor_ns();
    let scope = Scope::Base {
        shards: 1,
        shard: 0,
    };
    let mut writer = PackWriter::create(&FsDisk, &temp, &spec(scope, 1, records))?;
    for record in base.records() {
        writer.push_record(record, record.window())?;
    }
    let sealed = writer.finish()?;
    let spent = processor_ns() - clock;
    std::fs::remove_file(sealed.temp())?;
    Ok(records as f64 * 1e3 / spent as f64)
}

fn spec(scope: Scope, revision: u64, records: u64) -> PackSpec {
    PackSpec {
        issuer: IssuerId([1; 16]),
        hash_key: KEY,
        scope,
        revision,
        batch: revision,
        created_at: 1,
        as_of: None,
        crl_blake3: None,
        records_about: records,
        serial_octets: 20,
        shared: shared(),
    }
}

fn shared() -> Shared {
    Shared {
        issuer_certificate: vec![0x30, 0],
        variants: vec![Variant {
            form: CertIdForm::ALL[0],
            slot: 0,
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            prefix: prefix(),
        }],
        responders: vec![Responder {
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            key_hash: [5; 20],
            not_before: 0,
            not_after: u64::MAX,
            certs: vec![0xa0, 0],
        }],
        slots: 1,
        windows: vec![Window {
            this_update: 1_800_000_000,
            next_update: 1_800_086_400,
            produced_at: 1_800_000_000,
            group: 0,
        }],
    }
}
