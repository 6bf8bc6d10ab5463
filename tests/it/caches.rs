//! Behind nginx and Varnish with the configurations of `deploy/caches`: what may be kept is kept, what may not is not, and
//! every target arrives as the client wrote it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hufu_tests::http::{self, Connection, Response};
use hufu_tests::office::{Office, Responder, serial_octets};
use hufu_tests::pki::{Answer, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{Running, free_address, wait_until};
use hufu_tests::root;
use hufu_tests::served::{Served, curl};

/// A cache before a responder of its own.
struct Cached {
    cache: Running,
    responder: Responder,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

#[derive(Clone, Copy, Debug)]
enum Program {
    Nginx,
    Varnish,
}

impl Cached {
    fn start(program: Program, flags: &[&str]) -> Self {
        Self::before(Served::shared().another(flags), program)
    }

    fn before(responder: Responder, program: Program) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let log = folder.path().join("log");
        let mut cache = match program {
            Program::Nginx => nginx(folder.path(), address, responder.ocsp),
            Program::Varnish => varnish(folder.path(), address, responder.ocsp),
        };
        cache.current_dir(folder.path());
        let mut cache = Running::start(&cache, &log);
        cache.until("the cache answers", Duration::from_secs(60), || {
            http::get(address, "/nonsense").is_ok_and(|response| response.status == 200)
        });
        Self {
            cache,
            responder,
            address,
            folder,
        }
    }

    fn get(&self, target: &str, headers: &[&str]) -> Response {
        let mut connection = Connection::open(self.address).unwrap();
        let headers = [&["Host: ocsp.example", "Connection: close"], headers].concat();
        connection
            .send(&format!("GET {target} HTTP/1.1"), &headers, b"")
            .unwrap()
    }

    fn metric(&self, sample: &str) -> f64 {
        let text = http::get(self.responder.admin, "/metrics").unwrap().body;
        let text = String::from_utf8(text).unwrap();
        let line = text.lines().find(|line| line.starts_with(sample));
        line.map_or(0.0, |line| {
            line.rsplit(' ').next().unwrap().parse().unwrap()
        })
    }

    /// OCSP questions by GET that reached the responder.
    fn asked(&self) -> f64 {
        self.metric("hufu_ocsp_requests_total{method=\"get\"}")
    }
}

/// The committed configuration, with these ports in the place of its own.
fn configuration(name: &str, replaced: &[(&str, String)]) -> String {
    let mut text = fs::read_to_string(root().join("deploy/caches").join(name)).unwrap();
    for (old, new) in replaced {
        assert!(text.contains(old), "{name} has no {old}");
        text = text.replace(old, new);
    }
    text
}

impl Drop for Cached {
    /// Killed outright, nginx leaves its workers behind.
    fn drop(&mut self) {
        if self.cache.ended().is_none() {
            self.cache.signal("TERM");
            let end = Instant::now() + Duration::from_secs(30);
            while self.cache.ended().is_none() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn nginx(folder: &Path, address: SocketAddr, responder: SocketAddr) -> Command {
    let replaced = [
        ("127.0.0.1:8080", address.to_string()),
        ("127.0.0.1:2560", responder.to_string()),
    ];
    fs::write(
        folder.join("nginx.conf"),
        configuration("nginx.conf", &replaced),
    )
    .unwrap();
    // As root, nginx serves as another user, who must be able to come here.
    let open = Command::new("chmod")
        .args(["-R", "a+rX"])
        .arg(folder)
        .status();
    assert!(open.unwrap().success());
    let mut nginx = Command::new("nginx");
    nginx
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(folder.join("nginx.conf"));
    nginx.args(["-e", "stderr", "-g", "daemon off;"]);
    nginx
}

fn varnish(folder: &Path, address: SocketAddr, responder: SocketAddr) -> Command {
    let replaced = [("\"2560\"", format!("\"{}\"", responder.port()))];
    fs::write(
        folder.join("hufu.vcl"),
        configuration("hufu.vcl", &replaced),
    )
    .unwrap();
    let mut varnish = Command::new("varnishd");
    varnish.args([
        "-F",
        "-j",
        "none",
        "-s",
        "malloc,64m",
        "-a",
        &address.to_string(),
    ]);
    varnish
        .arg("-n")
        .arg(folder.join("n"))
        .arg("-f")
        .arg(folder.join("hufu.vcl"));
    varnish
}

fn served_from_cache(response: &Response) -> bool {
    response
        .header("x-cache")
        .is_some_and(|told| told.contains("HIT"))
}

/// What must hold of any cache.
fn keeps_what_it_may_and_nothing_else(program: Program) {
    let served = Served::shared();
    let cached = Cached::start(program, &[]);

    // Every target arrives whole, escaped or not, and is asked of the responder once.
    let targets = served.good.iter().map(|serial| served.target(serial));
    let target = targets
        .max_by_key(|target| target.matches("%2F").count())
        .unwrap();
    assert!(
        target.contains("%2F"),
        "a question without a slash tries nothing"
    );
    let bare = target
        .replace("%2F", "/")
        .replace("%2B", "+")
        .replace("%3D", "=");
    for target in [&target, &bare] {
        let before = cached.asked();
        let first = cached.get(target, &[]);
        assert!(!served_from_cache(&first), "{program:?}: {first:?}");
        for name in ["OCSP.example", "another.example"] {
            let again = cached.get(target, &[&format!("X-Name: {name}")]);
            assert!(served_from_cache(&again), "{program:?}: {again:?}");
            assert_eq!(again.body, first.body);
            assert_eq!(Answer::read(&again.body).single().status, Status::Good);
            for name in ["cache-control", "expires", "last-modified"] {
                assert_eq!(again.header(name), first.header(name), "{name}");
            }
        }
        assert_eq!(cached.asked(), before + 1.0, "{program:?}");
    }

    // What is not authoritative says no-store.
    let never_issued = served.target(&[0x11; 16]);
    for target in [&*never_issued, "/MFEw"] {
        let before = cached.asked();
        for _ in 0..3 {
            let refused = cached.get(target, &[]);
            assert_eq!(refused.status, 200);
            assert!(matches!(
                Answer::read(&refused.body),
                Answer::Refused(1 | 6)
            ));
            assert!(!served_from_cache(&refused), "{program:?}: {refused:?}");
        }
        assert_eq!(cached.asked(), before + 3.0, "{program:?}");
    }

    // POST goes through and is never kept.
    for serial in &served.good[..2] {
        let mut connection = Connection::open(cached.address).unwrap();
        let answer = connection.ask(&served.question(serial)).unwrap();
        assert_eq!(Answer::read(&answer.body).single().status, Status::Good);
        assert!(!served_from_cache(&answer));
    }
    gives_each_client_the_form_it_reads(&cached, program);
}

/// Vary: a list that one client gets compressed is not given so to another.
fn gives_each_client_the_form_it_reads(cached: &Cached, program: Program) {
    let served = Served::shared();
    let list = served.list();
    let plain = http::get(served.responder.ocsp, &list).unwrap().body;
    let url = format!("http://{}{list}", cached.address);
    let folder = cached.folder.path();
    for round in 0..2 {
        let compressed = ["--compressed", "-D", "head", "-o", "one", &url];
        let _ = curl(folder, compressed).ok();
        let head = fs::read_to_string(folder.join("head"))
            .unwrap()
            .to_lowercase();
        assert!(
            head.contains("content-encoding: gzip"),
            "{program:?}: {head}"
        );
        assert!(
            fs::read(folder.join("one")).unwrap() == plain,
            "{program:?}"
        );
        let got = cached.get(&list, &[]);
        assert_eq!(got.header("content-encoding"), None, "{program:?}");
        assert!(got.body == plain, "{program:?}");
        assert_eq!(
            served_from_cache(&got),
            round > 0 || matches!(program, Program::Varnish)
        );
        let part = cached.get(&list, &["Range: bytes=10-19"]);
        assert_eq!(
            (part.status, &part.body[..]),
            (206, &plain[10..20]),
            "{program:?}"
        );
    }
}

/// max-age counts, and what has run out is asked again by its tag.
fn asks_again_when_the_time_is_up(program: Program) {
    let served = Served::shared();
    let cached = Cached::start(program, &["--max-age-secs", "2"]);
    let target = served.target(&served.good[0]);
    let first = cached.get(&target, &[]);
    assert_eq!(Answer::read(&first.body).single().status, Status::Good);
    wait_until(
        "the cache asks again, with the tag it has",
        Duration::from_secs(60),
        || {
            let again = cached.get(&target, &[]);
            assert_eq!(again.body, first.body);
            cached.metric("hufu_http_not_modified_total") >= 1.0
        },
    );
}

/// What this cache says of the certificate behind a target.
fn said(cached: &Cached, target: &str) -> Result<Status, u8> {
    match Answer::read(&cached.get(target, &[]).body) {
        Answer::Signed(basic) => Ok(basic.singles[0].status),
        Answer::Refused(status) => Err(status),
    }
}

/// Issued: good at once, though asked about too early. Revoked: so said as soon as the kept answer's time is up.
#[test]
fn cache_goes_on_saying_good_of_what_was_revoked_or_nothing_of_what_was_issued() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::found(&folder.path().join("data"));
    let edge = office.data.join("edge");
    let publish = || {
        office.publish();
        let _ = office.follow(&office.store(), &edge).ok();
    };
    let first = office.enrol("p256", "unit");
    publish();
    let caches = [Program::Nginx, Program::Varnish].map(|program| {
        let responder = office.responder_with(&edge, &["--max-age-secs", "2"]);
        Cached::before(responder, program)
    });
    let issuer = office.certificate("p256", "issuer");
    let target = |serial: &str| {
        let id = cert_id(
            Hash::Sha1,
            Parameters::Null,
            &issuer,
            &serial_octets(serial),
        );
        let text = STANDARD.encode(request(&[&id], None));
        let escaped = text.replace('+', "%2B").replace('/', "%2F");
        format!("/{}", escaped.replace('=', "%3D"))
    };
    let everywhere = |what: &str, is_so: &dyn Fn(&Cached) -> bool| {
        for cached in &caches {
            wait_until(what, PATIENCE, || is_so(cached));
        }
    };

    // In the registry, and published only after somebody has asked.
    let issued = target(&office.enrol("p256", "device")[first.len()]);
    for cached in &caches {
        assert_eq!(said(cached, &issued), Err(6), "unauthorized");
    }
    publish();
    everywhere("it is good", &|cached| {
        said(cached, &issued) == Ok(Status::Good)
    });

    let revoked = target(&first[0]);
    everywhere("good is kept", &|cached| {
        let answer = cached.get(&revoked, &[]);
        assert_eq!(Answer::read(&answer.body).single().status, Status::Good);
        served_from_cache(&answer)
    });
    office.revoke("p256", &first[0]);
    publish();
    let is_revoked = |cached: &Cached| matches!(said(cached, &revoked), Ok(Status::Revoked(..)));
    everywhere("it is revoked", &is_revoked);
    assert!(caches.iter().all(is_revoked), "good again");
}

// RFC 9919 §7.2: an answer that is not authoritative SHOULD say no-store: no cache keeps it.
#[test]
fn nginx_keeps_what_it_may_not_or_nothing_at_all() {
    keeps_what_it_may_and_nothing_else(Program::Nginx);
}

#[test]
fn nginx_serves_past_max_age() {
    asks_again_when_the_time_is_up(Program::Nginx);
}

#[test]
fn varnish_keeps_what_it_may_not_or_nothing_at_all() {
    keeps_what_it_may_and_nothing_else(Program::Varnish);
}

#[test]
fn varnish_serves_past_max_age() {
    asks_again_when_the_time_is_up(Program::Varnish);
}

/// An unoptimised build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
