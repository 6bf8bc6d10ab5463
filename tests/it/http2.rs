//! HTTP/2 with prior knowledge on the plain port: `curl` and `h2load` are the clients.

use std::fs;
use std::process::Command;

use hufu_tests::http;
use hufu_tests::pki::{Answer, Status};
use hufu_tests::process::run;
use hufu_tests::served::{Served, curl};

const PRIOR: &str = "--http2-prior-knowledge";

#[test]
fn answer_or_list_differs_in_http_2() {
    let served = Served::shared();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("body"), served.question(&served.revoked)).unwrap();
    let url = format!("http://{}", served.responder.ocsp);
    let get = format!("{url}{}", served.target(&served.revoked));
    let list = format!("{url}{}", served.list());
    let told = "%{http_version} %{http_code}\n";
    for (arguments, code) in [
        (vec![&*get], "200"),
        (vec!["--data-binary", "@body", &*url], "200"),
        (vec!["-r", "0-9", &*list], "206"),
        (vec!["--compressed", &*list], "200"),
        (vec!["-X", "PUT", &*url], "405"),
    ] {
        let first = [PRIOR, "-w", told, "-D", "head", "-o", "answer"];
        let got = curl(
            folder.path(),
            first.iter().copied().chain(arguments.iter().copied()),
        );
        assert_eq!(got.ok().stdout.trim(), format!("2 {code}"), "{arguments:?}");
        let answer = fs::read(folder.path().join("answer")).unwrap_or_default();
        let head = fs::read_to_string(folder.path().join("head")).unwrap();
        // RFC 9113 §8.2.2: HTTP/2 has no Connection header.
        assert!(!head.contains("connection:"), "{head}");
        if code == "200" && !arguments.contains(&&*list) {
            let status = Answer::read(&answer).single().status;
            assert!(matches!(status, Status::Revoked(..)), "{status:?}");
            let path = served.target(&served.revoked);
            let one = http::get(served.responder.ocsp, &path).unwrap();
            assert_eq!(one.body, answer);
            let tag = one.header("etag").unwrap();
            assert!(head.contains(&format!("etag: {tag}")), "{head}");
        }
    }
}

#[test]
fn body_too_long_is_refused_without_a_word_or_ends_the_connection() {
    let served = Served::shared();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("long"), vec![0x30; 100_000]).unwrap();
    let url = format!("http://{}/", served.responder.ocsp);
    let arguments = ["-nv", "-d", "long", &url];
    // curl 7.88 shows nothing of an answer that comes while it sends; nghttp does.
    let ran = run(Command::new("nghttp")
        .args(arguments)
        .current_dir(folder.path()));
    assert!(ran.stdout.contains(":status: 413"), "{}", ran.stdout);
    // RFC 9113 §8.1: who has answered early MAY ask the client to stop, by RST_STREAM with NO_ERROR.
    let reset = ran.stdout.split("recv RST_STREAM").nth(1);
    assert!(
        reset.is_some_and(|text| text.contains("NO_ERROR")),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("recv GOAWAY"), "{}", ran.stdout);
}

#[test]
fn many_streams_on_a_few_connections_fail() {
    let served = Served::shared();
    let get = format!(
        "http://{}{}",
        served.responder.ocsp,
        served.target(&served.good[0])
    );
    let list = format!("http://{}{}", served.responder.ocsp, served.list());
    // Two threads of one process would share the machine with all other tests: one is enough.
    let load = ["-n", "3000", "-c", "4", "-m", "100", "-t", "1", &get, &list];
    let ran = run(Command::new("h2load").args(load)).ok();
    assert!(
        ran.stdout
            .contains("3000 succeeded, 0 failed, 0 errored, 0 timeout"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("Application protocol: h2c"),
        "{}",
        ran.stdout
    );
}
