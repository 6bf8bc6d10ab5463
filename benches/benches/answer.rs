//! Lookup and the whole of `answer()`, random among the records of a pack behind eight delta tiers, beside one random
//! cache-line read from the same mapping: the floor that memory sets.
//!
//! `HUFU_BENCH_RECORDS` sets the size (default one million; the bars speak of ten).

use std::hint::black_box;
use std::time::{SystemTime, UNIX_EPOCH};

use criterion::{Criterion, criterion_group, criterion_main};
use hufu_benches::population::{Plan, Population, records_or};
use hufu_loader::snapshot::Lookup;
use hufu_responder::answer::{Answer, MAX_ANSWER_OCTETS, answer};
use wire::request::OcspRequest;

fn answering(c: &mut Criterion) {
    let records = records_or(1_000_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan {
        records,
        signed: false,
        tiers: true,
        paths: 1_000_000,
        ..Plan::default()
    };
    let population = Population::build(folder.path(), &plan).expect("a population");
    let snapshot = population.open().expect("our own generation");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();

    let mut group = c.benchmark_group(format!("among {records}"));
    let packs = snapshot.packs().map(|(_, pack)| pack.octets());
    let memory = packs.max_by_key(|octets| octets.len()).expect("a base");
    let mut at = 1u64;
    group.bench_function("one random cache-line read", |b| {
        b.iter(|| {
            // The next place depends on what was read: reads cannot overlap.
            at = at
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let place = (u128::from(at) * memory.len() as u128) >> 64;
            at = at.wrapping_add(u64::from(
                memory[usize::try_from(place).expect("below the length")],
            ));
        });
    });
    let mut asked = population.requests.iter().cycle();
    group.bench_function("lookup", |b| {
        b.iter(|| {
            let request = asked.next().expect("a cycle does not end");
            let parsed = OcspRequest::parse(request).expect("our own request");
            matches!(
                snapshot.lookup(parsed.first.prefix, parsed.first.serial, parsed.preferred),
                Lookup::Found(_)
            )
        });
    });
    let mut out = vec![0; MAX_ANSWER_OCTETS];
    let mut asked = population.requests.iter().cycle();
    group.bench_function("answer", |b| {
        b.iter(|| {
            let request = asked.next().expect("a cycle does not end");
            let answered = answer(black_box(request), &snapshot, now, &mut out);
            assert!(matches!(answered, Answer::Signed(_)), "{answered:?}");
        });
    });
    group.finish();
}

criterion_group!(benches, answering);
criterion_main!(benches);
