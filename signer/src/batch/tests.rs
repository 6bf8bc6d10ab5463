//! Order, ratio to the bare backend, and what happens when a thread fails.

use super::*;
use crate::batch::{own, plan};
use crate::ca::Issuer;
use crate::ca::ocsp_signer::{self, Responder};
use crate::ca::tests::{founded, now};
use crate::office::Office;
use crate::registry::{By, SqliteStore};
use std::time::Instant;
use wire::algorithm::SignatureAlgorithm;
use wire::status::RevocationReason;

fn rows(count: u32) -> Vec<Row> {
    let row = |number: u32| {
        let hash = blake3::hash(&number.to_be_bytes());
        let mut serial = [0; 16];
        serial.copy_from_slice(&hash.as_bytes()[..16]);
        serial[0] = (serial[0] & 0x3F) | 0x40;
        let status = match number % 10 {
            0 => CertStatus::Revoked {
                at: 1_790_000_000 + u64::from(number),
                reason: Some(RevocationReason::KeyCompromise),
            },
            _ => CertStatus::Good,
        };
        Row {
            serial: Serial::from_content(&serial).unwrap(),
            status,
        }
    };
    (0..count).map(row).collect()
}

/// Who signs for an authority with its own algorithm.
fn current(office: &Office<SqliteStore>, issuer: &Issuer) -> Group {
    let by = By::signer(now());
    let responder = ocsp_signer::current(office, issuer, issuer.algorithm, by);
    responder.unwrap().into()
}

fn spooler<'a>(
    batch_key: &'a dyn Signer,
    (refused, pieces, signers): &'a (refused::Refused, pieces::Pieces, Signers),
) -> Spooler<'a> {
    Spooler {
        batch_key,
        clock: &now,
        refused,
        pieces,
        signers,
        progress: &|_| {},
        stop: &|| false,
    }
}

/// Header and statuses of a batch file.
pub(crate) fn read_batch(path: &std::path::Path) -> (Header, Vec<(Serial, CertStatus)>) {
    let octets = std::fs::read(path).unwrap();
    let (header, from) = Header::parse(&octets).unwrap();
    let layout = header.layout().unwrap();
    let end = octets.len() - batch::TRAILER_OCTETS;
    let records = octets[from..end]
        .chunks(layout.record_octets())
        .map(|record| {
            let record = layout.record(record).unwrap();
            (
                Serial::from_content(record.serial_content()).unwrap(),
                record.status().unwrap(),
            )
        });
    let records = records.collect();
    (header, records)
}

/// Signs `count` rows into a batch file and gives the seconds it took.
fn presign(alias: &str, count: u32, threads: usize) -> (f64, f64, u32) {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let issuer = office.issuer(alias).unwrap();
    let group = current(&office, &issuer);
    let batch_key = office.keyring.batch_key().unwrap();
    let subject = own::subject(&issuer, &office.settings.terms("p256")).unwrap();
    let variants = u32::try_from(subject.forms.len()).unwrap();
    let order = Order {
        subject: &subject,
        kind: Kind::Full,
        shard: 0,
        number: 1,
        revision: 1,
        now: now(),
        window: plan::window(now(), 86_400, group.not_after(), None),
        group: &group,
        rows: rows(count),
        documents: Vec::new(),
    };
    let start = Instant::now();
    let path = folder.path().join("spool").join("1.batch");
    make(
        order,
        path,
        &spooler(&*batch_key, &Default::default()),
        threads,
    )
    .unwrap();
    let whole = start.elapsed().as_secs_f64();

    // The key alone, in groups as large as the batch asks for.
    let message: &[u8] = &[7; 230];
    let messages = [message; 32];
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut signatures = [0; 32 * 64];
                let share = count * variants / u32::try_from(threads).unwrap();
                for _ in 0..share / 32 {
                    let key = &group.responders()[0].key;
                    key.sign_each(&messages, &mut signatures).unwrap();
                }
            });
        }
    });
    (whole, start.elapsed().as_secs_f64(), count * variants)
}

/// `cargo test --release -p hufu-signer --lib -- --ignored --nocapture presigning`
#[test]
#[ignore = "a measurement: release build, quiet machine"]
fn presigning_costs_more_than_its_signatures() {
    let threads = std::thread::available_parallelism().unwrap().get();
    for (alias, count, least) in [("p256", 200_000, 0.75), ("sm2", 10_000, 0.95)] {
        let (whole, bare, signatures) = presign(alias, count, threads);
        let rate = |seconds: f64| f64::from(signatures) / seconds;
        println!(
            "{alias}: {threads} threads, {signatures} signatures, end to end {:.0}/s, bare {:.0}/s, ratio {:.3}",
            rate(whole),
            rate(bare),
            bare / whole
        );
        assert!(bare / whole >= least, "{alias}");
    }
}

#[test]
fn records_leave_in_another_order_than_the_loader_takes() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let issuer = office.issuer("p256").unwrap();
    let mut subject = own::subject(&issuer, &office.settings.terms("p256")).unwrap();
    subject.shards = 4;
    let group = current(&office, &issuer);
    let order = Order {
        subject: &subject,
        kind: Kind::Full,
        shard: 0,
        number: 1,
        revision: 1,
        now: now(),
        window: plan::window(now(), 86_400, group.not_after(), None),
        group: &group,
        rows: rows(1_000),
        documents: Vec::new(),
    };
    let path = folder.path().join("spool").join("1.batch");
    let key = office.keyring.batch_key().unwrap();
    make(order, path.clone(), &spooler(&*key, &Default::default()), 3).unwrap();
    let octets = std::fs::read(path).unwrap();
    let (header, from) = Header::parse(&octets).unwrap();
    let layout = header.layout().unwrap();
    let width = layout.record_octets();
    let places: Vec<_> = octets[from..from + 1_000 * width]
        .chunks(width)
        .map(|record| {
            let content = layout.record(record).unwrap().serial_content().to_vec();
            (
                shard(header.hash_key.hash(&content), header.shards),
                content,
            )
        })
        .collect();
    assert!(places.is_sorted());
    assert_eq!(places.iter().map(|place| place.0.0).max(), Some(3));
}

#[test]
fn a_thread_that_panics_takes_the_signer_with_it() {
    struct Panics;
    impl Signer for Panics {
        fn algorithm(&self) -> SignatureAlgorithm {
            SignatureAlgorithm::EcdsaP256Sha256
        }
        fn public_key_der(&self) -> &[u8] {
            &[]
        }
        fn sign_into(&self, _: &[u8], _: &mut [u8]) -> Result<(), crate::key::KeyError> {
            panic!("a fault of the backend");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let subject = own::subject(
        &office.issuer("p256").unwrap(),
        &office.settings.terms("p256"),
    )
    .unwrap();
    let group = Group::from(Responder {
        key: Box::new(Panics),
        certificate: Vec::new(),
        key_hash: [0; 20],
        not_before: 0,
        not_after: now() + 86_400,
    });
    let order = Order {
        subject: &subject,
        kind: Kind::Full,
        shard: 0,
        number: 1,
        revision: 1,
        now: now(),
        window: plan::window(now(), 86_400, group.not_after(), None),
        group: &group,
        rows: rows(1_000),
        documents: Vec::new(),
    };
    let path = folder.path().join("spool").join("1.batch");
    let key = office.keyring.batch_key().unwrap();
    let made = make(order, path, &spooler(&*key, &Default::default()), 2);
    assert!(matches!(made, Err(BatchError::Lost)), "{made:?}");
}

#[test]
fn a_failing_thread_hangs_the_others_or_leaves_a_file() {
    struct Broken;
    impl Signer for Broken {
        fn algorithm(&self) -> SignatureAlgorithm {
            SignatureAlgorithm::EcdsaP256Sha256
        }
        fn public_key_der(&self) -> &[u8] {
            &[]
        }
        fn sign_into(&self, _: &[u8], _: &mut [u8]) -> Result<(), crate::key::KeyError> {
            Err(crate::key::KeyError::Sign(
                SignatureAlgorithm::EcdsaP256Sha256,
            ))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let issuer = office.issuer("p256").unwrap();
    let subject = own::subject(&issuer, &office.settings.terms("p256")).unwrap();
    let by = By::signer(now());
    let responder = ocsp_signer::current(&office, &issuer, issuer.algorithm, by).unwrap();
    let group = Group::from(Responder {
        key: Box::new(Broken),
        ..responder
    });
    let order = Order {
        subject: &subject,
        kind: Kind::Full,
        shard: 0,
        number: 1,
        revision: 1,
        now: now(),
        window: plan::window(now(), 86_400, group.not_after(), None),
        group: &group,
        rows: rows(10_000),
        documents: Vec::new(),
    };
    let path = folder.path().join("spool").join("1.batch");
    let key = office.keyring.batch_key().unwrap();
    let made = make(order, path.clone(), &spooler(&*key, &Default::default()), 2);
    assert!(matches!(made, Err(BatchError::Key(_))), "{made:?}");
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        0
    );
}

#[test]
fn signatures_kept_for_another_set_of_variants_or_another_shard_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let issuer = office.issuer("p256").unwrap();
    let subject = own::subject(&issuer, &office.settings.terms("p256")).unwrap();
    let group = current(&office, &issuer);
    let order = Order {
        subject: &subject,
        kind: Kind::Shard,
        shard: 0,
        number: 1,
        revision: 1,
        now: now(),
        window: plan::window(now(), 86_400, group.not_after(), None),
        group: &group,
        rows: Vec::new(),
        documents: Vec::new(),
    };
    let extent = Extent {
        serial_octets: 16,
        records: 0,
    };
    let header = order.header(extent, &Ended::default());
    let key = office.keyring.batch_key().unwrap();
    let path = folder.path().join("0");
    ended::Kept::write(&path, &header, &[], &*key).unwrap();
    let is_read = |change: &dyn Fn(&mut Header)| {
        let mut order = header.clone();
        change(&mut order);
        ended::Kept::read(&path, &order, &*key).is_some()
    };
    assert!(is_read(&|_| {}));
    let by_ed25519 = |order: &mut Header| {
        let own = order.variants.clone();
        order
            .variants
            .extend(own.into_iter().map(|variant| Variant {
                algorithm: SignatureAlgorithm::Ed25519,
                slot: 1,
                ..variant
            }));
        order.slots = 2;
    };
    assert!(!is_read(&by_ed25519), "signed with one only");
    let by_another = |order: &mut Header| {
        let algorithm = SignatureAlgorithm::EcdsaP384Sha384;
        let variants = order.variants.iter_mut();
        variants.for_each(|variant| variant.algorithm = algorithm);
    };
    assert!(!is_read(&by_another), "by another one");
    assert!(!is_read(&|order| order.variants.truncate(1)), "other forms");
    assert!(!is_read(&|order| order.shards = 2), "divided otherwise");
}
