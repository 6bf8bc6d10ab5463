//! Everything an operator steers by, as the text that Prometheus reads; `docs/METRICS.md` says what to do about each.
//!
//! Names follow Prometheus' conventions: base units, `_total` for counters, `_timestamp_seconds` for moments (so that
//! ages are subtractions there, by one clock). A sum over the cores' cells is taken here and nowhere else.

use hufu_loader::snapshot::{IssuerInfo, Snapshot};
use prometheus::proto::{Counter, MetricFamily};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::CertIdForm;

use crate::admin::Admin;
use crate::answer::Variant;
use crate::histogram;
use crate::metrics::{Counters, FAMILIES};
use crate::process::processor_seconds;

/// The whole text.
pub(crate) fn metrics(admin: &Admin) -> Result<String, prometheus::Error> {
    let registry = Registry::new();
    process(&registry, admin)?;
    counted(&registry, admin)?;
    variants(&registry, admin)?;
    if let Some(snapshot) = admin.edge.snapshot() {
        generation(&registry, &snapshot)?;
        issuers(&registry, &snapshot)?;
    }
    // Memory, processor time, file descriptors, start time. Absent where /proc is.
    registry.register(Box::new(
        prometheus::process_collector::ProcessCollector::for_self(),
    ))?;
    let mut families = registry.gather();
    tell_parts_of_seconds(&mut families);
    let mut text = TextEncoder::new().encode_to_string(&families)?;
    histogram::append(
        &mut text,
        "hufu_ocsp_duration_seconds",
        "From the turn in which a request's octets were read to its answer; waiting behind others of that turn counts",
        admin.counters.iter().map(|counters| counters.durations()),
    );
    histogram::append(
        &mut text,
        "hufu_live_duration_seconds",
        "How long the live lane was waited for, a new connection to it included, whatever came of it",
        admin.counters.iter().map(|counters| counters.exchanges()),
    );
    histogram::append(
        &mut text,
        "hufu_change_visible_seconds",
        "For each generation with a higher revision or a newer delta: from when the signer read the registry (whole seconds) to serving it",
        [admin.edge.visible()],
    );
    Ok(text)
}

/// The library tells processor time in whole seconds. A quiet responder takes less than one between two scrapes, and what an
/// answer costs would jump between nothing and a thousand times that.
fn tell_parts_of_seconds(families: &mut [MetricFamily]) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let family = families
        .iter_mut()
        .find(|family| family.name() == "process_cpu_seconds_total");
    if let (Some(spent), Some(family)) = (processor_seconds(&stat), family) {
        for metric in family.mut_metric() {
            let mut counter = Counter::default();
            counter.set_value(spent);
            metric.set_counter(counter);
        }
    }
}

fn process(registry: &Registry, admin: &Admin) -> Result<(), prometheus::Error> {
    gauge(
        registry,
        (
            "hufu_build_info",
            "Always 1; which program of which version this is",
        ),
        ["program", "version"],
        [(["responder", env!("CARGO_PKG_VERSION")], 1)],
    )?;
    let edge = &admin.edge;
    for (name, help, value) in [
        (
            "hufu_ready",
            "1 if /readyz says so",
            u64::from(admin.readiness().is_ok()),
        ),
        (
            "hufu_workers",
            "Serving threads",
            admin.counters.len() as u64,
        ),
        (
            "hufu_connections_open",
            "Connections open now",
            sum(admin, Counters::open),
        ),
        (
            "hufu_live_queue_length",
            "Requests that wait for the live lane now",
            sum(admin, Counters::live),
        ),
        (
            "hufu_live_queue_limit",
            "Requests that may wait for the live lane at once; 0 without one",
            admin.live_queue as u64,
        ),
        (
            "hufu_connections_limit",
            "Connections that may be open at once",
            admin.max_connections as u64,
        ),
    ] {
        gauge(registry, (name, help), [], [([], value)])?;
    }
    counter(
        registry,
        (
            "hufu_generations_taken_total",
            "Generations taken since the start",
        ),
        [],
        [([], edge.taken())],
    )?;
    counter(
        registry,
        (
            "hufu_generations_refused_total",
            "Generations refused, by reason; the one before serves on",
        ),
        ["reason"],
        edge.refused().map(|(reason, count)| ([reason], count)),
    )
}

/// What the serving threads counted.
fn counted(registry: &Registry, admin: &Admin) -> Result<(), prometheus::Error> {
    for family in FAMILIES {
        let samples = family
            .events
            .iter()
            .map(|(event, value)| (*value, sum(admin, |counters| counters.read(*event))));
        let words = (family.name, family.help);
        if family.label.is_empty() {
            counter(registry, words, [], samples.map(|(_, count)| ([], count)))?;
        } else {
            let samples = samples.map(|(value, count)| ([value], count));
            counter(registry, words, [family.label], samples)?;
        }
    }
    Ok(())
}

/// Signed answers by variant, questions by the form of their `CertID`.
fn variants(registry: &Registry, admin: &Admin) -> Result<(), prometheus::Error> {
    let served = admin.edge.snapshot();
    let is_served = |variant| {
        let mut issuers = served.iter().flat_map(|snapshot| snapshot.issuers());
        issuers.any(|issuer| {
            issuer.variants.iter().any(|one| {
                Variant {
                    form: one.form,
                    algorithm: one.algorithm,
                } == variant
            })
        })
    };
    let all = CertIdForm::ALL
        .into_iter()
        .flat_map(|form| SignatureAlgorithm::ALL.map(|algorithm| Variant { form, algorithm }));
    let answers = all.filter_map(|variant| {
        let count = sum(admin, |counters| counters.answers(variant));
        // 42 lines of zeros would hide the few that say something.
        let tells = count > 0 || is_served(variant);
        tells.then_some(([variant.form.name(), variant.algorithm.name()], count))
    });
    counter(
        registry,
        (
            "hufu_ocsp_answers_total",
            "Pre-signed answers by variant: form of the CertID and signature algorithm",
        ),
        ["cert_id", "algorithm"],
        answers,
    )?;
    let forms = CertIdForm::ALL.into_iter().map(Some).chain([None]);
    counter(
        registry,
        (
            "hufu_ocsp_cert_ids_total",
            "Well-formed OCSP requests by the form of their (first) CertID, answered or not",
        ),
        ["cert_id"],
        forms.map(|form| {
            let name = form.map_or("other", CertIdForm::name);
            ([name], sum(admin, |counters| counters.questions(form)))
        }),
    )
}

fn generation(registry: &Registry, snapshot: &Snapshot) -> Result<(), prometheus::Error> {
    for (name, help, value) in [
        (
            "hufu_generation_number",
            "Number of the generation served",
            snapshot.number(),
        ),
        (
            "hufu_generation_revision",
            "Highest registry revision in it",
            snapshot.revision(),
        ),
        (
            "hufu_generation_sealed_timestamp_seconds",
            "When it was sealed",
            snapshot.sealed_at(),
        ),
        (
            "hufu_generation_valid_until_timestamp_seconds",
            "Until when it proves that nothing was revoked since",
            snapshot.valid_until(),
        ),
        (
            "hufu_generation_packs",
            "Packs in it, deltas and shards",
            snapshot.packs().count() as u64,
        ),
    ] {
        gauge(registry, (name, help), [], [([], value)])?;
    }
    gauge(
        registry,
        (
            "hufu_document_next_update_timestamp_seconds",
            "nextUpdate of a CRL that is served; past it clients refuse the CRL",
        ),
        ["document"],
        snapshot
            .document_paths()
            .filter_map(|path| Some(([path], snapshot.document(path)?.expires?))),
    )
}

/// A gauge of an issuer: name, help, and its value where it has one.
type Told = (
    &'static str,
    &'static str,
    fn(&IssuerInfo<'_>) -> Option<u64>,
);

fn issuers(registry: &Registry, snapshot: &Snapshot) -> Result<(), prometheus::Error> {
    let all: Vec<_> = snapshot
        .issuers()
        .map(|issuer| (issuer.id.to_string(), issuer))
        .collect();
    for (name, help, value) in ISSUER {
        let samples = all
            .iter()
            .filter_map(|(id, issuer)| Some(([id.as_str()], value(issuer)?)));
        gauge(registry, (name, help), ["issuer"], samples)?;
    }
    Ok(())
}

const ISSUER: [Told; 6] = [
    (
        "hufu_issuer_next_update_timestamp_seconds",
        "The soonest nextUpdate of an issuer's answers",
        |issuer| issuer.soonest_next_update,
    ),
    (
        "hufu_issuer_this_update_timestamp_seconds",
        "The oldest thisUpdate of an issuer's answers, those about expired certificates left out",
        |issuer| issuer.oldest_this_update,
    ),
    (
        "hufu_issuer_responder_not_after_timestamp_seconds",
        "notAfter of the responder certificate that ends first, of those that signed an issuer's newest answers with each algorithm",
        |issuer| issuer.responder_not_after,
    ),
    (
        "hufu_issuer_records",
        "Records of an issuer, deltas counted too",
        |issuer| Some(issuer.records),
    ),
    (
        "hufu_issuer_foreign",
        "1 if an issuer's answers repeat another authority's CRL; readiness does not look at their age",
        |issuer| Some(u64::from(issuer.repeats_list)),
    ),
    (
        "hufu_issuer_replayed",
        "1 if an issuer's answers replay a CRL of the past",
        |issuer| Some(u64::from(issuer.replayed_as_of.is_some())),
    ),
];

fn sum(admin: &Admin, of: impl Fn(&Counters) -> u64) -> u64 {
    admin.counters.iter().map(|counters| of(counters)).sum()
}

fn counter<'a, const N: usize>(
    registry: &Registry,
    (name, help): (&str, &str),
    labels: [&str; N],
    samples: impl IntoIterator<Item = ([&'a str; N], u64)>,
) -> Result<(), prometheus::Error> {
    let family = IntCounterVec::new(Opts::new(name, help), &labels)?;
    for (values, sum) in samples {
        family.get_metric_with_label_values(&values)?.inc_by(sum);
    }
    registry.register(Box::new(family))
}

fn gauge<'a, const N: usize>(
    registry: &Registry,
    (name, help): (&str, &str),
    labels: [&str; N],
    samples: impl IntoIterator<Item = ([&'a str; N], u64)>,
) -> Result<(), prometheus::Error> {
    let family = IntGaugeVec::new(Opts::new(name, help), &labels)?;
    for (values, level) in samples {
        let level = i64::try_from(level).unwrap_or(i64::MAX);
        family.get_metric_with_label_values(&values)?.set(level);
    }
    registry.register(Box::new(family))
}
