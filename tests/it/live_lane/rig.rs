//! A published office with a live lane, and a responder that asks it.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use hufu_tests::http;
use hufu_tests::judge::openssl;
use hufu_tests::office::{Office, Responder, serial_octets};
use hufu_tests::pki::{Answer, Basic, Certificate, Hash, Parameters, cert_id, request};
use hufu_tests::process::{Ran, Running, command, free_address};
use tempfile::TempDir;

/// A published office with a live lane and a responder that asks it.
pub(super) struct Rig {
    _folder: TempDir,
    pub(super) office: Office,
    pub(super) serials: Vec<String>,
    pub(super) issuer: Certificate,
    pub(super) live: SocketAddr,
    pub(super) lane: Running,
    pub(super) responder: Responder,
}

impl Rig {
    /// Twenty-odd certificates of P-256, published; nonces go live.
    pub(super) fn start(lane: &str, further: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let office = Office::found(&folder.path().join("data"));
        let serials = office.enrol("p256", "device");
        office.publish();
        let _ = office
            .follow(&office.store(), &office.data.join("edge"))
            .ok();
        let live = free_address();
        let program = start_lane(&office, live, lane);
        let responder = responder(&office, live, further);
        Self {
            issuer: office.certificate("p256", "issuer"),
            _folder: folder,
            office,
            serials,
            live,
            lane: program,
            responder,
        }
    }

    pub(super) fn id(&self, hash: Hash, parameters: Parameters, serial: &str) -> Vec<u8> {
        cert_id(hash, parameters, &self.issuer, &serial_octets(serial))
    }

    pub(super) fn usual(&self, serial: &str) -> Vec<u8> {
        self.id(Hash::Sha1, Parameters::Null, serial)
    }

    pub(super) fn ask(&self, ids: &[&[u8]], nonce: Option<&[u8]>) -> http::Response {
        http::ask(self.responder.ocsp, &request(ids, nonce)).unwrap()
    }

    /// A signed answer, from the lane.
    #[track_caller]
    pub(super) fn signed(&self, ids: &[&[u8]], nonce: Option<&[u8]>) -> Basic {
        match Answer::read(&self.ask(ids, nonce).body) {
            Answer::Signed(basic) => basic,
            Answer::Refused(status) => panic!("refused: {status}\n{}", self.lane.said()),
        }
    }

    pub(super) fn metric(&self, sample: &str) -> f64 {
        metric(self.responder.admin, sample)
    }

    /// `openssl ocsp` with these further words.
    pub(super) fn openssl(&self, further: &[&str]) -> Ran {
        let folder = &self.office.data;
        let issuer = folder.join("p256-issuer.pem");
        let mut chain = fs::read_to_string(&issuer).unwrap();
        chain += &fs::read_to_string(folder.join("p256-root.pem")).unwrap_or_default();
        fs::write(folder.join("chain.pem"), chain).unwrap();
        let url = format!("http://{}", self.responder.ocsp);
        let mut words = vec!["ocsp", "-issuer", "p256-issuer.pem", "-CAfile", "chain.pem"];
        words.extend(["-url", &url]);
        words.extend(further);
        openssl(folder, words)
    }
}

/// A responder that is told of a lane, with patience for a busy machine, and more.
pub(super) fn responder(office: &Office, live: SocketAddr, further: &[&str]) -> Responder {
    let live = live.to_string();
    let mut words = vec!["--live", &live, "--nonce", "live"];
    if !further.contains(&"--live-deadline-millis") {
        words.extend(["--live-deadline-millis", "8000"]);
    }
    words.extend(further);
    office.responder_with(&office.data.join("edge"), &words)
}

/// Starts `hufu-signer live` and waits until it listens; `table` is what its `[live]` table says besides.
pub(super) fn start_lane(office: &Office, live: SocketAddr, table: &str) -> Running {
    let settings = office.data.join("signer.toml");
    fs::write(
        &settings,
        format!("[live]\ndeadline-millis = 8000\n{table}\n"),
    )
    .unwrap();
    let mut lane = command("hufu-signer", ["live", "--listen", &live.to_string()]);
    lane.arg("--config")
        .arg(settings)
        .arg("--data")
        .arg(&office.data);
    let mut lane = Running::start(&lane, &office.data.join("lane.log"));
    lane.until("the lane listens", Duration::from_secs(60), || {
        http::get(live, "/metrics").is_ok_and(|response| response.status == 200)
    });
    lane
}

/// Requests of this outcome, as the lane counts them.
pub(super) fn lane_metric(live: SocketAddr, outcome: &str) -> f64 {
    let sample = format!("hufu_lane_requests_total{{outcome=\"{outcome}\"}}");
    metric(live, &sample)
}

fn metric(address: SocketAddr, sample: &str) -> f64 {
    let text = http::get(address, "/metrics").unwrap().body;
    let text = String::from_utf8(text).unwrap();
    let line = text.lines().find(|line| line.starts_with(sample));
    line.map_or(0.0, |line| {
        line.rsplit(' ').next().unwrap().parse().unwrap()
    })
}
