//! What operators are told is what `docs/METRICS.md` says they are told, and Prometheus' own checker finds nothing to
//! blame.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hufu_tests::demo::{Authority, Demo};
use hufu_tests::pki::{Hash, Parameters, cert_id, request};
use hufu_tests::process::wait_until;
use hufu_tests::{http, root};

/// A metric as it is told or described: its type and the names of its labels.
#[derive(Debug, PartialEq, Eq)]
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
}

/// Where each section of the page is told.
fn told(demo: &Demo) -> [(&'static str, SocketAddr); 5] {
    let [signer, loader, follower, lane] = demo.metrics;
    [
        ("Responder", demo.admin),
        ("Signer", signer),
        ("Loader", loader),
        ("Follower", follower),
        ("Live lane", lane),
    ]
}

fn scrape(address: SocketAddr) -> String {
    let response = http::get(address, "/metrics").unwrap();
    assert_eq!(response.status, 200);
    String::from_utf8(response.body).unwrap()
}

/// The metrics of a scrape by name; those of a histogram under its own.
fn metrics(text: &str) -> BTreeMap<String, Metric> {
    let mut found: BTreeMap<String, Metric> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let metric = Metric {
                kind: kind.to_owned(),
                labels: BTreeSet::new(),
            };
            assert!(
                found.insert(name.to_owned(), metric).is_none(),
                "{name} twice"
            );
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
                let name = name.strip_suffix(end)?;
                found.contains_key(name).then_some(name)
            });
            let metric = found.get_mut(histogram.unwrap_or(name)).unwrap();
            metric.labels.extend(labels(line));
        }
    }
    found
}

/// The names of a sample's labels.
fn labels(sample: &str) -> Vec<String> {
    let inside = sample
        .split_once('{')
        .and_then(|(_, rest)| rest.rsplit_once('}'));
    let Some((inside, _)) = inside else {
        return Vec::new();
    };
    // A value holds no quote here, so names stand before every other one.
    let names = inside.split('"').step_by(2);
    names
        .map(|name| name.trim_matches([',', '=', ' ']).to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The page's tables by section.
fn described() -> BTreeMap<String, BTreeMap<String, Metric>> {
    let page = fs::read_to_string(root().join("docs/METRICS.md")).unwrap();
    let mut sections: BTreeMap<String, BTreeMap<String, Metric>> = BTreeMap::new();
    for section in page.split("\n## ").skip(1) {
        let (title, text) = section.split_once('\n').unwrap();
        let rows = text.lines().filter(|line| line.starts_with("| `"));
        let table = sections.entry(title.to_owned()).or_default();
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 7, "{row}");
            let labels = cells[3].split(',').map(|label| label.trim().to_owned());
            let metric = Metric {
                kind: cells[2].to_owned(),
                labels: labels.filter(|label| !label.is_empty()).collect(),
            };
            table.insert(cells[1].trim_matches('`').to_owned(), metric);
        }
    }
    sections
}

/// The first publishing has happened, so that what only a generation or a pass brings is there too.
fn settled(demo: &Demo) {
    let issuer = demo.certificate(Authority::P256, "issuer");
    let good = demo.certificate(Authority::P256, "good");
    let id = cert_id(Hash::Sha1, Parameters::Null, &issuer, &good.serial);
    let _ = http::ask(demo.ocsp, &request(&[&id], None)).unwrap();
    wait_until("the programs tell metrics", Duration::from_secs(60), || {
        demo.metrics
            .iter()
            .all(|address| http::get(*address, "/metrics").is_ok())
    });
}

/// Generous: an unoptimised build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn metric_is_told_that_no_page_explains_or_explained_that_nobody_tells() {
    let demo = Demo::shared();
    settled(demo);
    let described = described();
    let every = &described["Every program"];
    for (section, address) in told(demo) {
        let expected: BTreeMap<&String, &Metric> = described[section].iter().chain(every).collect();
        // Some come with a loop's first round, which may be under way still.
        let began = Instant::now();
        let mut found = metrics(&scrape(address));
        while !expected.keys().all(|name| found.contains_key(*name)) && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(100));
            found = metrics(&scrape(address));
        }
        for (name, metric) in &found {
            assert_eq!(
                expected.get(name),
                Some(&metric),
                "{section} tells {name}; docs/METRICS.md says otherwise"
            );
        }
        for name in expected.keys() {
            assert!(found.contains_key(*name), "{section} does not tell {name}");
        }
    }
}

#[test]
fn prometheus_own_checker_blames_a_name_or_a_type() {
    let demo = Demo::shared();
    settled(demo);
    for (section, address) in told(demo) {
        let mut checker = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool is installed (Debian: prometheus)");
        let mut input = checker.stdin.take().unwrap();
        input.write_all(scrape(address).as_bytes()).unwrap();
        drop(input);
        let said = checker.wait_with_output().unwrap();
        assert!(
            said.status.success() && said.stderr.is_empty(),
            "{section}: {}",
            String::from_utf8_lossy(&said.stderr)
        );
    }
}
