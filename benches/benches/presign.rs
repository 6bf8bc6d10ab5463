//! Responses signed ahead, end to end into record octets on all cores, beside the backend's bare rate on all cores.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hufu_signer::batch::ended::Ended;
use hufu_signer::batch::{Row, sign};
use hufu_signer::key::{Signer, generate, open};
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
        group.bench_function("bare backend", |b| b.iter(|| bare(&*key, threads)));

        let header =
            hufu_benches::population::header_for(algorithm, SIGNATURES as u64).expect("a header");
        let rows: Vec<Row> = (0..SIGNATURES as u64).map(row).collect();
        let ended = Ended::default();
        let job = sign::Job::new(&header, &*key, &rows, &ended).expect("a header that fits");
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

fn bare(key: &dyn Signer, threads: usize) {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut message = [0u8; 250];
                let mut signature = vec![0; key.algorithm().raw_octets()];
                for index in 0..SIGNATURES / threads {
                    message[..8].copy_from_slice(&index.to_le_bytes());
                    key.sign_into(&message, &mut signature)
                        .expect("signing works");
                }
            });
        }
    });
}

criterion_group!(benches, presign);
criterion_main!(benches);
