//! What counting costs: `answer()` alone, and with everything that is counted for it (outcome, variant, latency), for a
//! signed answer and for a refused one. The difference of the two is the cost of the metrics.
//!
//! `HUFU_BENCH_RECORDS` sets the size of the population (default 100,000: small enough to stay in the cache, so that the
//! difference is not lost in the noise of memory).

use std::hint::black_box;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use criterion::{Criterion, criterion_group, criterion_main};
use hufu_benches::population::{Plan, Population, records_or};
use hufu_responder::answer::{MAX_ANSWER_OCTETS, answer};
use hufu_responder::metrics::Counters;
use wire::request::{OcspRequest, build_request};

fn counting(c: &mut Criterion) {
    let records = records_or(100_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan {
        records,
        signed: false,
        ..Plan::default()
    };
    let population = Population::build(folder.path(), &plan).expect("a population");
    let snapshot = population.open().expect("our own generation");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let counters = Counters::default();
    let mut out = vec![0; MAX_ANSWER_OCTETS];

    let known = &population.requests[0];
    let prefix = OcspRequest::parse(known)
        .expect("our own request")
        .first
        .prefix;
    let unknown = build_request(prefix, &[1], None);
    for (name, request) in [("signed", known), ("refused", &unknown)] {
        let mut group = c.benchmark_group(format!("a {name} answer"));
        group.bench_function("uncounted", |b| {
            b.iter(|| black_box(answer(black_box(request), &snapshot, now, &mut out)));
        });
        group.bench_function("counted", |b| {
            b.iter(|| {
                let began = Instant::now();
                let answered = answer(black_box(request), &snapshot, now, &mut out);
                counters.note(black_box(&answered), request, began);
            });
        });
        group.finish();
    }
    c.bench_function("two readings of the clock", |b| {
        b.iter(|| black_box(Instant::now().elapsed()));
    });
}

criterion_group!(benches, counting);
criterion_main!(benches);
