//! Every query of the Grafana dashboard returns data from a real Prometheus that scrapes a running appliance, configured by
//! the example in `deploy/prometheus`.
//!
//! `HUFU_DASHBOARD_OUT=FOLDER` leaves each panel's answer there, as JSON, for whoever wants to draw them.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hufu_tests::demo::{Authority, Demo};
use hufu_tests::http::{self, Connection};
use hufu_tests::office::Office;
use hufu_tests::pki::{Answer, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{Raises, Running, free_address, wait_until};
use hufu_tests::root;
use serde_json::{Value, json};

/// A Prometheus of our own.
struct Prometheus {
    address: SocketAddr,
    _program: Running,
}

impl Prometheus {
    /// The example configuration with this appliance's addresses, scraping each second.
    fn start(demo: &Demo, folder: &Path) -> Self {
        let source = root().join("deploy/prometheus");
        let mut config = fs::read_to_string(source.join("prometheus.yml")).unwrap();
        let [signer, loader, follower, lane] = demo.metrics;
        for (example, ours) in [
            ("127.0.0.1:2561", demo.admin),
            ("127.0.0.1:2564", signer),
            ("127.0.0.1:2565", loader),
            ("127.0.0.1:2566", follower),
            ("127.0.0.1:2567", lane),
        ] {
            assert!(config.contains(example), "{example}");
            config = config.replace(example, &ours.to_string());
        }
        config = config.replace("_interval: 15s", "_interval: 1s");
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        fs::copy(source.join("hufu.rules.yml"), folder.join("hufu.rules.yml")).unwrap();

        let address = free_address();
        let mut command = Command::new("prometheus");
        command
            .arg(format!(
                "--config.file={}",
                folder.join("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={address}"));
        let mut program = Running::start(&command, &folder.join("prometheus.log"));
        program.until("Prometheus is ready", PATIENCE, || {
            // By its own word: a responder says 200 to any path.
            http::get(address, "/-/ready").is_ok_and(|response| {
                response.status == 200 && response.body.starts_with(b"Prometheus")
            })
        });
        Self {
            address,
            _program: program,
        }
    }

    /// What `/api/v1/…` says.
    fn ask(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let form: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let method = if form.is_empty() { "GET" } else { "POST" };
        let mut connection = Connection::open(self.address).unwrap();
        // HTTP/1.0, so that the answer comes without chunks.
        let response = connection
            .send(
                &format!("{method} /api/v1/{path} HTTP/1.0"),
                &["Content-Type: application/x-www-form-urlencoded"],
                form.join("&").as_bytes(),
            )
            .unwrap();
        let said: Value = serde_json::from_slice(&response.body)
            .unwrap_or_else(|error| panic!("{error}: {response:?}"));
        assert_eq!(said["status"], "success", "{form:?}: {said}");
        said["data"].clone()
    }

    /// The samples of a query that are numbers.
    fn query(&self, expr: &str) -> Vec<Value> {
        let data = self.ask("query", &[("query", expr)]);
        let samples = data["result"].as_array().unwrap().clone();
        let is_number = |sample: &Value| sample["value"][1] != "NaN";
        samples.into_iter().filter(is_number).collect()
    }

    fn number(&self, expr: &str) -> Option<f64> {
        self.query(expr).first()?["value"][1].as_str()?.parse().ok()
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}

/// Questions of every kind, good and bad.
fn make_traffic(demo: &Demo) {
    let mut kept = Connection::open(demo.ocsp).unwrap();
    for authority in [Authority::P256, Authority::Sm2] {
        let issuer = demo.certificate(authority, "issuer");
        for which in ["good", "revoked"] {
            let serial = demo.certificate(authority, which).serial;
            for hash in [Hash::Sha1, Hash::Sha256] {
                let id = cert_id(hash, Parameters::Null, &issuer, &serial);
                let question = request(&[&id], None);
                let _ = kept.ask(&question).unwrap();
                let path = encoded(&STANDARD.encode(&question));
                let _ = http::get(demo.ocsp, &format!("/{path}")).unwrap();
                let _ = http::ask(demo.ocsp, &request(&[&id], Some(&[7; 32]))).unwrap();
                let _ = http::ask(demo.ocsp, &request(&[&id, &id], None)).unwrap();
            }
        }
        let never_issued = cert_id(Hash::Sha1, Parameters::Null, &issuer, &[5]);
        let _ = http::ask(demo.ocsp, &request(&[&never_issued], None)).unwrap();
    }
    let _ = http::ask(demo.ocsp, b"not a request").unwrap();
    let list = http::get(demo.ocsp, "/crl/p256.crl").unwrap();
    let tag = format!("If-None-Match: {}", list.header("etag").unwrap());
    let unchanged = kept.send("GET /crl/p256.crl HTTP/1.1", &["Host: x", &tag], b"");
    assert_eq!(unchanged.unwrap().status, 304);
    assert_eq!(http::get(demo.ocsp, "/crl/none.crl").unwrap().status, 404);
    for line in ["PUT / HTTP/1.1", "nonsense"] {
        let refused = Connection::open(demo.ocsp)
            .unwrap()
            .send(line, &["Host: x"], b"");
        assert!((400..=405).contains(&refused.unwrap().status), "{line}");
    }
}

/// A change of status, until it is on the wire.
fn revoke_one(demo: &Demo) {
    let office = Office {
        data: demo.data.clone(),
    };
    office.revoke(
        "p256",
        &hex(&demo.certificate(Authority::P256, "good").serial),
    );
    let issuer = demo.certificate(Authority::P256, "issuer");
    let good = demo.certificate(Authority::P256, "good");
    let id = cert_id(Hash::Sha1, Parameters::Null, &issuer, &good.serial);
    wait_until("the revocation is on the wire", PATIENCE, || {
        let response = http::ask(demo.ocsp, &request(&[&id], None)).unwrap();
        matches!(
            Answer::read(&response.body).single().status,
            Status::Revoked(..)
        )
    });
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Panel, and its queries with the dashboard's variables filled in.
fn panels() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("deploy/grafana/hufu.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expr = target["expr"].as_str().unwrap();
            let expr = expr
                .replace("$instance", ".*")
                .replace("$__rate_interval", "1m");
            assert!(
                !expr.contains('$'),
                "{title}: a variable nobody fills in: {expr}"
            );
            queries.push((title.to_owned(), expr));
        }
    }
    queries
}

#[test]
fn panel_of_the_dashboard_stays_empty() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(&folder.path().join("data"));
    let prometheus = Prometheus::start(&demo, folder.path());
    wait_until("all programs are scraped", PATIENCE, || {
        prometheus.number("sum(up)") == Some(5.0)
    });
    make_traffic(&demo);
    revoke_one(&demo);
    let stop = AtomicBool::new(false);
    let empty = thread::scope(|scope| {
        // Goes on meanwhile, as clients do: a rate needs two scrapes with something between them.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                make_traffic(&demo);
            }
        });
        let _stops = Raises(&stop);
        empty_panels(&prometheus)
    });
    assert!(
        empty.is_empty(),
        "queries without data:\n  {}",
        empty.join("\n  ")
    );

    // The rules the example names are loaded, and Prometheus can evaluate each.
    let rules = prometheus.ask("rules", &[]);
    for group in rules["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            assert_ne!(rule["health"], "err", "{rule}");
        }
    }
    // A demo that runs well wakes nobody.
    let critical = prometheus.query("ALERTS{alertstate=\"firing\", severity=\"critical\"}");
    assert!(critical.is_empty(), "{critical:?}");
}

/// The queries that get no data, however long one waits.
fn empty_panels(prometheus: &Prometheus) -> Vec<String> {
    let mut answers: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut empty = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    let queries = panels();
    assert!(queries.len() > 40);
    for (panel, expr) in queries {
        let mut samples = prometheus.query(&expr);
        while samples.is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(200));
            samples = prometheus.query(&expr);
        }
        if samples.is_empty() {
            empty.push(format!("{panel}: {expr}"));
        }
        let answer = json!({ "expr": expr, "samples": samples });
        answers.entry(panel).or_default().push(answer);
    }
    if let Some(out) = std::env::var_os("HUFU_DASHBOARD_OUT") {
        let text = serde_json::to_string_pretty(&answers).unwrap();
        fs::write(Path::new(&out).join("panels.json"), text).unwrap();
    }
    empty
}

/// Generous: an unoptimised build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
