//! Octets in: an OCSP request, a CRL.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use wire::crl::Crl;
use wire::request::{OcspRequest, build_request};

fn request(c: &mut Criterion) {
    let requests = hufu_benches::population::small_requests();
    let request = &requests[0];
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Bytes(request.len() as u64));
    group.bench_function("request", |b| {
        b.iter(|| OcspRequest::parse(black_box(request)).is_ok());
    });
    let parsed = OcspRequest::parse(request).expect("our own request");
    let with_nonce = build_request(parsed.first.prefix, parsed.first.serial, Some(&[7; 32]));
    group.bench_function("request with nonce", |b| {
        b.iter(|| OcspRequest::parse(black_box(&with_nonce)).is_ok());
    });
    group.finish();
}

fn crl(c: &mut Criterion) {
    let entries = 100_000;
    let crl = hufu_benches::crl::synthetic(entries);
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(entries));
    group.sample_size(20);
    group.bench_function("crl of 100,000 entries", |b| {
        b.iter(|| {
            let crl = Crl::parse(black_box(&crl)).expect("our own CRL");
            assert!(crl.entries().all(|entry| entry.is_ok()));
        });
    });
    group.finish();
}

criterion_group!(benches, request, crl);
criterion_main!(benches);
