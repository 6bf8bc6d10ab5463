//! Responses signed ahead, end to end into record octets on all cores, beside the backend's bare rate on all cores; for SM2
//! also beside the `sm2` crate's own signing key.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hufu_signer::batch::ended::Ended;
use hufu_signer::batch::{Row, sign};
use hufu_signer::key::{generate, open};
use sm2::dsa::SigningKey;
use sm2::dsa::signature::Signer;
use sm2::pkcs8::DecodePrivateKey;
use wire::algorithm::SignatureAlgorithm;
use wire::serial::Serial;
use wire::status::CertStatus;

const SIGNATURES: usize = 20_000;

fn presign(c: &mut Criterion) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for algorithm in [
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::Sm2Sm3,
    ] {
        let pkcs8 = generate(algorithm).expect("the system has randomness");
        let key = open(algorithm, &pkcs8).expect("our own key");
        let mut group = c.benchmark_group(format!("presign {}", algorithm.name()));
        group.throughput(Throughput::Elements(SIGNATURES as u64));
        group.sample_size(10);
        group.bench_function("bare backend", |b| {
            b.iter(|| {
                on_all_cores(threads, |message| {
                    let mut signature = vec![0; key.algorithm().raw_octets()];
                    key.sign_into(message, &mut signature)
                        .expect("signing works");
                });
            });
        });
        if algorithm == SignatureAlgorithm::Sm2Sm3 {
            let key = sm2::SecretKey::from_pkcs8_der(&pkcs8).expect("our own key");
            let key = SigningKey::new("1234567812345678", &key).expect("our own key");
            group.bench_function("the crate's own", |b| {
                b.iter(|| {
                    on_all_cores(threads, |message| {
                        black_box(key.sign(message));
                    });
                });
            });
        }

        let header =
            hufu_benches::population::header_for(algorithm, SIGNATURES as u64).expect("a header");
        let rows: Vec<Row> = (0..SIGNATURES as u64).map(row).collect();
        let ended = Ended::default();
        let job = sign::Job::new(&header, &[&*key], &rows, &ended).expect("a header that fits");
        group.bench_function("into records", |b| {
            b.iter(|| {
                let mut octets = 0;
                sign::run(&job, threads, |records| {
                    octets += records.len();
                    Ok(())
                })
                .expect("signing works");
                assert_eq!(octets, SIGNATURES * job.record_octets());
            });
        });
        group.finish();
    }
}

fn row(index: u64) -> Row {
    let mut serial = [0x42; 20];
    serial[12..].copy_from_slice(&index.to_be_bytes());
    Row {
        serial: Serial::from_content(&serial).expect("shortest form"),
        status: CertStatus::Good,
    }
}

/// Signs [`SIGNATURES`] different messages of an answer's length.
fn on_all_cores(threads: usize, sign: impl Fn(&[u8]) + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut message = [0u8; 250];
                for index in 0..SIGNATURES / threads {
                    message[..8].copy_from_slice(&index.to_le_bytes());
                    sign(&message);
                }
            });
        }
    });
}

criterion_group!(benches, presign);
criterion_main!(benches);
