//! HTTP as clients really send it: by `curl` and by Python's `http.client`, and what no client library can be made to
//! send octet by octet.

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hufu_tests::http::Connection;
use hufu_tests::pki::{Answer, Status};
use hufu_tests::process::run;
use hufu_tests::served::{Served, curl};

/// Asks by `curl` with these arguments (`URL` stands for the responder, `body` holds the question); what it says.
fn asked(served: &Served, serial: &[u8], arguments: &[&str]) -> Status {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("body"), served.question(serial)).unwrap();
    let url = format!("http://{}", served.responder.ocsp);
    let arguments: Vec<String> = arguments
        .iter()
        .map(|word| word.replace("URL", &url))
        .collect();
    let words = ["-o", "answer", "-w", "%{http_code} %{content_type}"];
    let told = curl(
        folder.path(),
        words.iter().map(|word| (*word).to_owned()).chain(arguments),
    );
    assert_eq!(told.ok().stdout, "200 application/ocsp-response");
    Answer::read(&fs::read(folder.path().join("answer")).unwrap())
        .single()
        .status
}

#[test]
fn some_form_of_get_is_not_understood() {
    let served = Served::shared();
    let question = served.question(&served.revoked);
    let plain = STANDARD.encode(&question);
    let escaped = served.target(&served.revoked);
    // RFC 6960 §A.1: GET {url}/{url-encoding of base64 encoding of the DER encoding of the OCSPRequest}.
    for target in [
        escaped.clone(),
        escaped
            .replace("%2B", "%2b")
            .replace("%2F", "%2f")
            .replace("%3D", "%3d"),
        format!("/{plain}"),
        format!("//{plain}"),
        format!("/{}", plain.trim_end_matches('=')),
        format!("/{}", URL_SAFE_NO_PAD.encode(&question)),
        format!("/{}", plain.replace('+', "%20")),
        format!("/{plain}?from=cache"),
    ] {
        for further in [&[][..], &["--http1.0"]] {
            let url = format!("URL{target}");
            let arguments = [further, &["--path-as-is", &url]].concat();
            let status = asked(served, &served.revoked, &arguments);
            assert!(
                matches!(status, Status::Revoked(..)),
                "{target}: {status:?}"
            );
        }
    }
}

#[test]
fn some_form_of_post_is_not_understood() {
    let served = Served::shared();
    let post = ["--data-binary", "@body"];
    // RFC 6960 §A.1: POST has application/ocsp-request; who sends another type or none is answered as well, for the octets
    // tell what they are.
    for further in [
        &["-H", "Content-Type: application/ocsp-request"][..],
        &["-H", "Content-Type: text/plain; charset=utf-8"],
        &["-H", "Content-Type:"],
        &["-H", "Transfer-Encoding: chunked"],
        &["-H", "Expect: 100-continue"],
        &[
            "-H",
            "Expect: 100-continue",
            "-H",
            "Transfer-Encoding: chunked",
        ],
        &["--http1.0"],
        &["-H", "Accept: text/html"],
        &["-H", "Accept-Encoding: gzip"],
    ] {
        let arguments = [further, &post, &["URL/"]].concat();
        let status = asked(served, &served.good[0], &arguments);
        assert_eq!(status, Status::Good, "{further:?}");
        let status = asked(
            served,
            &served.good[0],
            &[further, &post, &["URL/some/path"]].concat(),
        );
        assert_eq!(status, Status::Good, "{further:?}");
    }
}

#[test]
fn target_with_a_host_in_it_is_not_understood() {
    let served = Served::shared();
    // Used as a proxy, it is asked with such a target.
    // RFC 9112 §3.2.2: a server MUST accept an absolute-form target.
    let target = format!("http://ocsp.example{}", served.target(&served.revoked));
    let status = asked(served, &served.revoked, &["-x", "URL", &target]);
    assert!(matches!(status, Status::Revoked(..)), "{status:?}");
    let post = [
        "-x",
        "URL",
        "--data-binary",
        "@body",
        "http://ocsp.example/",
    ];
    assert_eq!(asked(served, &served.good[0], &post), Status::Good);
    let list = served.list();
    let folder = tempfile::tempdir().unwrap();
    let proxy = format!("http://{}", served.responder.ocsp);
    let told = curl(
        folder.path(),
        [
            "-x",
            &proxy,
            "-o",
            "list",
            "-w",
            "%{content_type}",
            &format!("http://ocsp.example{list}"),
        ],
    );
    assert_eq!(told.ok().stdout, "application/pkix-crl");
}

#[test]
fn client_library_of_python_is_turned_away() {
    let served = Served::shared();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("body"), served.question(&served.good[0])).unwrap();
    let script = r"
import http.client, sys
host, target = sys.argv[1], sys.argv[2]
body = open('body', 'rb').read()
connection = http.client.HTTPConnection(host)
for _ in range(3):
    connection.request('GET', target)
    answer = connection.getresponse()
    octets = answer.read()
    assert answer.status == 200 and len(octets) > 100, answer.status
    connection.request('HEAD', target)
    answer = connection.getresponse()
    assert int(answer.headers['Content-Length']) == len(octets) and answer.read() == b''
    connection.request('GET', target, headers={'If-None-Match': answer.headers['ETag']})
    answer = connection.getresponse()
    assert answer.status == 304 and answer.read() == b''
    connection.request('POST', '/', body, {'Content-Type': 'application/ocsp-request'})
    answer = connection.getresponse()
    assert answer.read() == octets
    connection.request('POST', '/', iter([body[:7], body[7:]]), encode_chunked=True)
    answer = connection.getresponse()
    assert answer.read() == octets
    assert not answer.will_close
";
    let host = served.responder.ocsp.to_string();
    let target = served.target(&served.good[0]);
    let python = run(Command::new("python3")
        .args(["-c", script, &host, &target])
        .current_dir(folder.path()));
    let _ = python.ok();
}

#[test]
fn http_1_0_without_a_host_is_turned_away_or_kept_waiting() {
    let served = Served::shared();
    let target = served.target(&served.good[0]);
    let question = served.question(&served.good[0]);
    for headers in [&[][..], &["Host: ocsp.example"]] {
        let mut connection = Connection::open(served.responder.ocsp).unwrap();
        let got = connection
            .send(&format!("GET {target} HTTP/1.0"), headers, b"")
            .unwrap();
        assert_eq!(got.status, 200);
        assert_eq!(Answer::read(&got.body).single().status, Status::Good);
        assert!(connection.closed(), "HTTP/1.0 waits for the end");
        let mut connection = Connection::open(served.responder.ocsp).unwrap();
        let got = connection
            .send("POST / HTTP/1.0", headers, &question)
            .unwrap();
        assert_eq!(Answer::read(&got.body).single().status, Status::Good);
        assert!(connection.closed(), "HTTP/1.0 waits for the end");
    }
    let mut connection = Connection::open(served.responder.ocsp).unwrap();
    for _ in 0..2 {
        let line = format!("GET {target} HTTP/1.0");
        let got = connection
            .send(&line, &["Connection: keep-alive"], b"")
            .unwrap();
        assert_eq!(got.header("connection"), Some("keep-alive"));
    }
}

#[test]
fn pipelined_requests_of_all_kinds_come_back_out_of_order() {
    let served = Served::shared();
    let (good, revoked) = (
        served.target(&served.good[0]),
        served.target(&served.revoked),
    );
    let question = served.question(&served.revoked);
    let list = served.list();
    let mut octets = Vec::new();
    for _ in 0..5 {
        octets.extend(format!("GET {good} HTTP/1.1\r\nHost: x\r\n\r\n").bytes());
        octets.extend(format!("HEAD {list} HTTP/1.1\r\nHost: x\r\n\r\n").bytes());
        octets.extend(
            format!(
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
                question.len()
            )
            .bytes(),
        );
        octets.extend(&question);
        octets
            .extend(format!("GET {list} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0\r\n\r\n").bytes());
        octets.extend(format!("GET {revoked} HTTP/1.1\r\nHost: x\r\n\r\n").bytes());
        octets.extend(b"PUT / HTTP/1.1\r\nHost: x\r\n\r\n");
        octets.extend(b"GET /nonsense HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    let mut connection = Connection::open(served.responder.ocsp).unwrap();
    connection.write(&octets).unwrap();
    for _ in 0..5 {
        let mut next = |without_body| connection.receive(without_body).unwrap();
        assert_eq!(
            Answer::read(&next(false).body).single().status,
            Status::Good
        );
        assert_eq!(
            next(true).header("content-type"),
            Some("application/pkix-crl")
        );
        for _ in 0..2 {
            // Between the two stands a part of the list.
            let status = Answer::read(&next(false).body).single().status;
            assert!(matches!(status, Status::Revoked(..)));
            let after = next(false);
            assert!(matches!(after.status, 206 | 405), "{after:?}");
        }
        // RFC 6960 §2.3: what is not a request is answered malformedRequest, unsigned, and HTTP says 200.
        let malformed = next(false);
        assert_eq!(
            (malformed.status, &malformed.body[..]),
            (200, &b"\x30\x03\x0a\x01\x01"[..])
        );
        // RFC 9919 §7.2: an answer that is not authoritative SHOULD say no-store.
        assert_eq!(malformed.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn answer_lacks_what_caches_need() {
    let served = Served::shared();
    let target = served.target(&served.good[0]);
    let mut connection = Connection::open(served.responder.ocsp).unwrap();
    let got = connection
        .send(&format!("GET {target} HTTP/1.1"), &["Host: x"], b"")
        .unwrap();
    // RFC 9919 §6: a cacheable answer carries Content-Type, Content-Length, Last-Modified, ETag, Expires, Cache-Control and Date.
    for name in [
        "content-type",
        "content-length",
        "last-modified",
        "etag",
        "expires",
        "cache-control",
        // RFC 9110 §6.6.1: a server with a clock MUST say the Date.
        "date",
    ] {
        assert!(got.header(name).is_some(), "{name}");
    }
    // RFC 9919 §7.2: Last-Modified is thisUpdate, Expires is nextUpdate.
    let single = Answer::read(&got.body).single().clone();
    let date = |unix: u64| {
        let shown = run(Command::new("date")
            .args([
                "-u",
                "-d",
                &format!("@{unix}"),
                "+%a, %d %b %Y %H:%M:%S GMT",
            ])
            .env("LC_ALL", "C"));
        shown.ok().stdout.trim().to_owned()
    };
    assert_eq!(
        got.header("last-modified"),
        Some(&*date(single.this_update))
    );
    let next_update = single
        .next_update
        .expect("RFC 9919 §3.2.4: nextUpdate MUST be there");
    assert_eq!(got.header("expires"), Some(&*date(next_update)));
    // RFC 9919 §7.2: Cache-Control is max-age, public, no-transform, must-revalidate; the ETag is strong.
    let cache_control = got.header("cache-control").unwrap();
    assert!(
        cache_control.ends_with(", public, no-transform, must-revalidate"),
        "{cache_control}"
    );
    assert!(got.header("etag").unwrap().starts_with('"'));
    // RFC 9919 §7.2: an authoritative answer MUST NOT say no-cache or no-store.
    assert!(got.header("pragma").is_none());
}

// RFC 9112 §3.2: a request with two Hosts is answered 400.
#[test]
fn request_with_two_hosts_is_answered_for_one_of_them() {
    let served = Served::shared();
    let good = format!("GET {}", served.target(&served.good[0]));
    let list = format!("GET {}", served.list());
    let question = served.question(&served.good[0]);
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        for (line, body) in [(&*good, &[][..]), (&list, &[]), ("POST /", &question)] {
            let send = |hosts: &[&str]| {
                let mut connection = Connection::open(served.responder.ocsp).unwrap();
                let line = format!("{line} {version}");
                connection.send(&line, hosts, body).unwrap().status
            };
            assert_eq!(send(&["Host: a", "Host: a"]), 400, "{line} {version}");
            assert_eq!(send(&["Host: a"]), 200, "{line} {version}");
            assert_eq!(send(&[]), 200, "{line} {version}");
        }
    }
}
