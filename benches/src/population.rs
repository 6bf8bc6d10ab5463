//! A synthetic issuer with any number of records, made from a seed and published as a generation.
//!
//! The records are what a signer would hand over: 20-octet serials, one in fifty revoked, one variant (SHA-1
//! with NULL, what stock clients ask), P-256 signatures by a delegated responder that is made for the
//! occasion. They go through the loader's own pack writer and publisher, so that what is measured is what
//! production serves. With [`Plan::signed`] off the signatures are noise: enough to time opening and lookup.
//!
//! No population is held in memory: serials are drawn from the seed by their number, put in a pack's order by the
//! loader's own external sort, signed and written in passing. `records.rs` beside this file fills them in, `batch.rs` makes
//! of them what a signer hands over.

mod batch;
mod records;
mod sequel;

pub use batch::Batch;
pub use sequel::Sequel;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hufu_loader::durable::FsDisk;
use hufu_loader::manifest::ObjectEntry;
use hufu_loader::object::{DocumentKind, NewDocument, Sealed, seal_document};
use hufu_loader::pack::{PackSpec, PackWriter, Scope};
use hufu_loader::publish::{Edition, Publisher};
use hufu_loader::seal::{SealKey, read_pins};
use hufu_loader::snapshot::Snapshot;
use hufu_loader::sort::{Sorted, Sorter, Sorting};
use hufu_loader::store::Store;
use indicatif::{ProgressBar, ProgressStyle};
use wire::algorithm::SignatureAlgorithm;
use wire::batch::{Header, Kind, Source, Window};
use wire::request::build_request;
use wire::serial::{SerialHashKey, shard};

use crate::issuer::Issuer;
use crate::memory::Peak;
use crate::requests::get_path;
use records::{Filler, Place};

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
    /// Base packs.
    pub shards: u32,
    /// Whether eight delta tiers lie before the base, of serials nobody asks about.
    pub tiers: bool,
    /// Octets of memory to sort in.
    pub memory: usize,
    /// Octets of the document at [`LIST_PATH`]; none if zero.
    pub list_octets: usize,
}

/// Where the list of a population is, if it has one. What it holds means nothing.
pub const LIST_PATH: &str = "/crl/synthetic.crl";

impl Default for Plan {
    fn default() -> Self {
        Self {
            records: 1_000_000,
            seed: 1,
            signed: true,
            paths: 10_000,
            shards: 1,
            tiers: false,
            memory: 256 << 20,
            list_octets: 0,
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
    /// Records in its base packs.
    pub records: u64,
    /// Octets of these whole files.
    pub pack_octets: u64,
    /// Whole files over records.
    pub octets_per_record: f64,
    /// The most anonymous memory that was seen on the way; octets.
    pub peak_anonymous: u64,
    plan: Plan,
    issuer: Issuer,
    /// When its answers were signed.
    made_at: u64,
    /// The key that sealed it, PKCS#8.
    seal: Vec<u8>,
    objects: Vec<ObjectEntry>,
}

/// Seconds a window lasts; long enough for any bench.
const VALIDITY_SECS: u64 = 24 * 3600;
/// Octets of a synthetic serial.
pub const SERIAL_OCTETS: usize = 20;
/// What is sorted: the serial's hash, then the serial.
const PLACE_OCTETS: usize = 8 + SERIAL_OCTETS;
/// Records between two looks at the memory.
const LOOK_EVERY: u64 = 1 << 18;
/// Sizes of the delta tiers, in thousandths of the base.
const TIERS: [u64; 8] = [64, 32, 16, 8, 4, 2, 1, 1];

impl Population {
    /// Makes and publishes it below `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written, or a key cannot be made.
    pub fn build(folder: &Path, plan: &Plan) -> Result<Self, Box<dyn std::error::Error>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let issuer = Issuer::generate(now)?;
        let edge = folder.join("edge");
        let (seal, seal_octets) = SealKey::generate()?;
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
        let mut works = Works {
            plan,
            issuer: &issuer,
            now,
            temp: publisher.store().temp(),
            work: folder.join("work"),
            peak: Peak::default(),
        };
        let bases = works.bases()?;
        let pack_octets: u64 = bases.iter().map(|sealed| sealed.entry().octets).sum();
        let mut added = bases;
        if plan.tiers {
            for (tier, thousandths) in TIERS.into_iter().enumerate() {
                added.push(works.tier(tier as u64, plan.records * thousandths / 1000)?);
            }
        }
        if plan.list_octets > 0 {
            let document = NewDocument {
                kind: DocumentKind::Crl,
                name: LIST_PATH.rsplit('/').next().unwrap_or_default(),
                issuer: issuer.id,
                last_modified: now,
                expires: Some(now + VALIDITY_SECS),
                octets: &vec![0; plan.list_octets],
            };
            added.push(seal_document(&FsDisk, publisher.store(), &document)?);
        }
        let objects = added.iter().map(|sealed| sealed.entry().clone()).collect();
        publisher.publish(&Edition {
            kept: Vec::new(),
            added,
            replayed: Vec::new(),
            issuers: Vec::new(),
            sealed_at: now,
            valid_for_secs: VALIDITY_SECS,
        })?;
        works.peak.look();
        let requests = requests(&issuer, plan);
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
            peak_anonymous: works.peak.octets(),
            plan: *plan,
            issuer,
            made_at: now,
            seal: seal_octets,
            objects,
        })
    }
}

impl Population {
    /// Its generation, as a responder opens it.
    ///
    /// # Errors
    /// When a file has gone.
    pub fn open(&self) -> Result<Snapshot, Box<dyn std::error::Error>> {
        let pins = read_pins(&self.pin)?;
        Ok(Snapshot::open(&self.edge, &pins, None)?)
    }
}

/// What the environment says a bench is to be of (`HUFU_BENCH_RECORDS`), else so many records.
#[must_use]
pub fn records_or(default: u64) -> u64 {
    let said = std::env::var("HUFU_BENCH_RECORDS").ok();
    said.and_then(|records| records.parse().ok())
        .unwrap_or(default)
}

/// What packs are made with.
struct Works<'a> {
    plan: &'a Plan,
    issuer: &'a Issuer,
    now: u64,
    temp: PathBuf,
    work: PathBuf,
    peak: Peak,
}

impl Works<'_> {
    /// All base packs, one after the other, as their records come out of the sort.
    fn bases(&mut self) -> Result<Vec<Sealed>, Box<dyn std::error::Error>> {
        let plan = self.plan;
        let header = header(self.issuer, plan, 1, plan.records, self.now);
        let mut sorted = self.sort(0..plan.records)?;
        let mut filler = Filler::new(self.issuer, plan.signed, header.windows[0]);
        let progress = bar("writing", plan.records);
        let mut ready = None;
        let mut sealed = Vec::new();
        for number in 0..plan.shards {
            let scope = Scope::Base {
                shards: plan.shards,
                shard: number,
            };
            let about = plan.records / u64::from(plan.shards);
            let spec = PackSpec::from_batch(&header, scope, about)?;
            let path = self.temp.join(format!("synthetic-{number}"));
            let mut writer = PackWriter::create(&FsDisk, &path, &spec)?;
            loop {
                let next = match ready.take() {
                    Some(place) => Some(place),
                    None => next_place(&mut sorted)?,
                };
                match next {
                    Some((hash, serial)) if shard(hash, plan.shards).0 == number => {
                        filler.push((hash, serial), &mut writer)?;
                        progress.inc(1);
                        if progress.position().is_multiple_of(LOOK_EVERY) {
                            self.peak.look();
                        }
                    }
                    other => {
                        ready = other;
                        break;
                    }
                }
            }
            filler.flush(&mut writer)?;
            self.peak.look();
            sealed.push(writer.finish()?);
        }
        progress.finish_and_clear();
        Ok(sealed)
    }

    /// A delta of `records` whose serials are no population's.
    fn tier(&mut self, tier: u64, records: u64) -> Result<Sealed, Box<dyn std::error::Error>> {
        let header = header(self.issuer, self.plan, 2 + tier, records, self.now);
        let first = (1 + tier) << 40;
        let mut sorted = self.sort(first..first + records)?;
        let spec = PackSpec::from_batch(&header, Scope::Delta, records)?;
        let path = self.temp.join(format!("synthetic-delta-{tier}"));
        let mut writer = PackWriter::create(&FsDisk, &path, &spec)?;
        let mut filler = Filler::new(self.issuer, self.plan.signed, header.windows[0]);
        while let Some(place) = next_place(&mut sorted)? {
            filler.push(place, &mut writer)?;
        }
        filler.flush(&mut writer)?;
        Ok(writer.finish()?)
    }

    /// The serials of these numbers in a pack's order.
    fn sort(
        &mut self,
        numbers: std::ops::Range<u64>,
    ) -> Result<Sorted, Box<dyn std::error::Error>> {
        let sorting = Sorting::in_folder(&self.work).within(self.plan.memory);
        let mut sorter = Sorter::begin(&FsDisk, &sorting, PLACE_OCTETS)?;
        let mut serials = Serials::new(self.plan.seed);
        let hash_key = hash_key(self.plan.seed);
        let progress = bar("sorting", numbers.end - numbers.start);
        let mut place = [0; PLACE_OCTETS];
        for number in numbers {
            let serial = serials.serial(number);
            place[..8].copy_from_slice(&hash_key.hash(&serial).to_be_bytes());
            place[8..].copy_from_slice(&serial);
            sorter.push(&place)?;
            if number.is_multiple_of(LOOK_EVERY) {
                progress.inc(LOOK_EVERY);
                self.peak.look();
            }
        }
        let sorted = sorter.finish()?;
        self.peak.look();
        progress.finish_and_clear();
        Ok(sorted)
    }
}

fn next_place(sorted: &mut Sorted) -> Result<Option<Place>, Box<dyn std::error::Error>> {
    let place = sorted.next_record()?;
    Ok(place.map(|place| {
        let (hash, serial) = place.split_first_chunk().expect("a hash stands first");
        let serial = serial.try_into().expect("the serial follows");
        (u64::from_be_bytes(*hash), serial)
    }))
}

fn bar(what: &str, records: u64) -> ProgressBar {
    let style =
        format!("{what} {{bar:40}} {{human_pos}} of {{human_len}}, {{per_sec}}, {{eta}} left");
    let style = ProgressStyle::with_template(&style).expect("the template is a constant");
    let bar = ProgressBar::new(records).with_style(style);
    bar.set_draw_target(indicatif::ProgressDrawTarget::stderr_with_hz(4));
    bar
}

/// Serials by their number: the same seed gives the same ones.
pub struct Serials {
    noise: blake3::OutputReader,
}

impl Serials {
    /// Those of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let noise = blake3::Hasher::new()
            .update(&seed.to_le_bytes())
            .finalize_xof();
        Self { noise }
    }

    /// The serial of that number.
    pub fn serial(&mut self, number: u64) -> [u8; SERIAL_OCTETS] {
        let mut serial = [0; SERIAL_OCTETS];
        self.noise.set_position(number * SERIAL_OCTETS as u64);
        self.noise.fill(&mut serial);
        // Positive and of full width, as RFC 5280 section 4.1.2.2 asks of a serial of twenty octets.
        serial[0] = (serial[0] & 0x7F) | 0x40;
        serial
    }
}

fn hash_key(seed: u64) -> SerialHashKey {
    let hash = blake3::hash(&seed.to_le_bytes());
    SerialHashKey(*hash.as_bytes().first_chunk().expect("32 octets"))
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

fn header(issuer: &Issuer, plan: &Plan, number: u64, records: u64, now: u64) -> Header {
    Header {
        kind: Kind::Full,
        issuer_id: issuer.id,
        number,
        revision: number,
        created_at: now,
        hash_key: hash_key(plan.seed),
        shards: plan.shards,
        shard: 0,
        source: Source::Registry,
        serial_octets: u8::try_from(SERIAL_OCTETS).expect("twenty"),
        record_count: records,
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
    let mut header = header(&Issuer::generate(now)?, &plan, 1, records, now);
    header.variants[0].algorithm = algorithm;
    header.responders[0].algorithm = algorithm;
    Ok(header)
}

/// Requests for serials spread over the whole population, in no order of the pack.
fn requests(issuer: &Issuer, plan: &Plan) -> Vec<Vec<u8>> {
    let mut serials = Serials::new(plan.seed);
    let mut step = 0x9E37_79B9_7F4A_7C15_u64;
    (0..plan.paths)
        .map(|_| {
            // SplitMix64's step: far jumps, the same in every run.
            step = step
                .wrapping_mul(0xBF58_476D_1CE4_E5B9)
                .rotate_left(31)
                .wrapping_add(0x94D0_49BB_1331_11EB);
            let number = u64::try_from((u128::from(step) * u128::from(plan.records)) >> 64)
                .expect("below the count");
            build_request(&issuer.cert_id_prefix, &serials.serial(number), None)
        })
        .collect()
}

/// What every signature in a synthetic population is made with.
pub const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;
