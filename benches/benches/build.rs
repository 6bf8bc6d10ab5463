//! Packs, of records that were made and signed beforehand: only the building is timed.
//!
//! Two things are built: a pack from records that come in order (written, hashed, flushed), and the packs of a signer's
//! batch file, which is read, hashed and judged meanwhile as `hufu-loader run` does it. Each by two clocks: this thread's
//! processor time, which is what "a core" means, and the clock on the wall, which waits for the disk to have it all.
//!
//! `HUFU_BENCH_RECORDS` sets the size (default one million); `TMPDIR` the disk.

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use hufu_benches::population::{Batch, Plan, Population, records_or};
use hufu_benches::processor;
use hufu_loader::build::build;
use hufu_loader::durable::FsDisk;
use hufu_loader::import::admit::{Candidate, Floor, Gate};
use hufu_loader::pack::{Pack, PackSpec, PackWriter, Scope};
use hufu_loader::sort::Sorting;
use hufu_loader::store::Store;

fn packs(c: &mut Criterion) {
    let records = records_or(1_000_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan {
        records,
        paths: 0,
        ..Plan::default()
    };
    let population = Population::build(folder.path(), &plan).expect("a population");
    let file = folder.path().join("full.batch");
    let batch = population.batch(&file).expect("a batch");
    let bases = population.bases().expect("its packs");
    let begun = Instant::now();
    let clocks: [(&str, &dyn Fn() -> Duration); 2] = [
        ("processor time", &processor::time),
        ("on the wall", &|| begun.elapsed()),
    ];

    let mut group = c.benchmark_group("build");
    group.throughput(Throughput::Elements(records));
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    for (name, clock) in clocks {
        group.bench_function(format!("a pack of {records} records, {name}"), |b| {
            b.iter_custom(|rounds| spent(rounds, clock, |store| pack(store, &batch, &bases[0])));
        });
        group.bench_function(format!("the pack of a batch of {records}, {name}"), |b| {
            b.iter_custom(|rounds| spent(rounds, clock, |store| packs_of(store, &batch)));
        });
    }
    group.finish();
}

/// What so many rounds take, each in a store of its own.
fn spent(rounds: u64, clock: &dyn Fn() -> Duration, work: impl Fn(&Store)) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..rounds {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::at(folder.path());
        std::fs::create_dir(store.temp()).expect("a folder for packs");
        let began = clock();
        work(&store);
        spent += clock() - began;
    }
    spent
}

fn pack(store: &Store, batch: &Batch, records: &Pack) {
    let scope = Scope::Base {
        shards: 1,
        shard: 0,
    };
    let spec = PackSpec::from_batch(&batch.header, scope, batch.header.record_count);
    let spec = spec.expect("a header that fits");
    let path = store.temp().join("pack");
    let mut writer = PackWriter::create(&FsDisk, &path, &spec).expect("a writer");
    for record in records.records() {
        let pushed = writer.push_record(record, record.window());
        pushed.expect("records in order");
    }
    let sealed = writer.finish().expect("a pack");
    assert_eq!(sealed.entry().octets, records.octets().len() as u64);
}

fn packs_of(store: &Store, batch: &Batch) {
    let header = &batch.header;
    let sorting = Sorting::in_folder(store.temp());
    let gate = Gate {
        disk: &FsDisk,
        sorting: &sorting,
        data: Path::new("nothing is staged"),
        signer: &batch.signer,
        now: header.created_at,
    };
    let floor = Floor::default();
    let candidate = Candidate::open(&batch.path, header.issuer_id, header.number, &floor);
    let candidate = candidate.expect("a header that is in order");
    let built = build(&FsDisk, store, candidate, &gate, &mut |_| ()).expect("a sound batch");
    assert_eq!(built.packs.len(), 1);
}

criterion_group!(benches, packs);
criterion_main!(benches);
