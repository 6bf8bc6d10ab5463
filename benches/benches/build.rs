//! Records into a pack: sorted, written, hashed, flushed, published.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hufu_benches::population::{Plan, Population};

fn pack(c: &mut Criterion) {
    let plan = Plan {
        records: 200_000,
        signed: false,
        paths: 0,
        ..Plan::default()
    };
    let mut group = c.benchmark_group("build");
    group.throughput(Throughput::Elements(plan.records));
    group.sample_size(10);
    group.bench_function("pack of 200,000 records, synthesised and published", |b| {
        b.iter_batched(
            || tempfile::tempdir().expect("a temporary folder"),
            |folder| {
                Population::build(folder.path(), &plan)
                    .expect("a population")
                    .pack_octets
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, pack);
criterion_main!(benches);
