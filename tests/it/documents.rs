//! Lists and certificates as `curl` and `openssl` fetch them: whole, in part, compressed, only if changed.

use std::fs;
use std::path::Path;

use hufu_tests::judge::openssl;
use hufu_tests::served::{Served, curl};

fn url(served: &Served, path: &str) -> String {
    format!("http://{}{path}", served.responder.ocsp)
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap()
}

#[test]
fn list_or_certificate_as_served_is_not_what_openssl_reads() {
    let served = Served::shared();
    let folder = tempfile::tempdir().unwrap();
    let list = url(served, &served.list());
    let _ = curl(folder.path(), ["-o", "list.crl", "-D", "head", &list]).ok();
    let head = String::from_utf8(read(folder.path(), "head"))
        .unwrap()
        .to_lowercase();
    // RFC 5280 §4.2.1.13: a list in DER over HTTP is application/pkix-crl.
    assert!(
        head.contains("content-type: application/pkix-crl\r\n"),
        "{head}"
    );
    let text = openssl(
        folder.path(),
        [
            "crl", "-inform", "DER", "-in", "list.crl", "-noout", "-text",
        ],
    );
    let text = text.ok().stdout;
    assert_eq!(
        text.matches("Serial Number:").count(),
        hufu_tests::served::REVOKED
    );

    // Its Expires is its nextUpdate.
    let next = openssl(
        folder.path(),
        [
            "crl",
            "-inform",
            "DER",
            "-in",
            "list.crl",
            "-noout",
            "-nextupdate",
        ],
    );
    let next = next.ok().stdout.trim().replace("nextUpdate=", "");
    let expires = head
        .lines()
        .find_map(|line| line.strip_prefix("expires: "))
        .unwrap();
    let [month, day, time, year] = next.split_whitespace().take(4).collect::<Vec<_>>()[..] else {
        panic!("{next}")
    };
    let day = format!("{day:0>2}");
    let told = format!("{day} {month} {year} {time}").to_lowercase();
    assert!(expires.contains(&told), "{expires} is not {told}");
}

#[test]
fn compressed_list_is_another_list() {
    let served = Served::shared();
    let folder = tempfile::tempdir().unwrap();
    let list = url(served, &served.list());
    let _ = curl(folder.path(), ["-o", "plain", &list]).ok();
    let plain = read(folder.path(), "plain");
    for (accepts, encoding) in [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", ""),
    ] {
        let accept = format!("Accept-Encoding: {accepts}");
        let arguments = ["--compressed", "-H", &accept, "-o", "decoded", "-D", "head"];
        let _ = curl(folder.path(), arguments.iter().copied().chain([&*list])).ok();
        assert!(read(folder.path(), "decoded") == plain, "{accepts}");
        let head = String::from_utf8(read(folder.path(), "head"))
            .unwrap()
            .to_lowercase();
        assert!(
            head.contains(&format!("content-encoding: {encoding}")),
            "{head}"
        );
        assert!(head.contains("vary: accept-encoding"), "{head}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().trim().parse().unwrap();
        assert!(
            length < plain.len(),
            "{accepts}: {length} of {}",
            plain.len()
        );
    }
}

#[test]
fn curl_cannot_go_on_with_a_download_or_skip_one() {
    let served = Served::shared();
    let folder = tempfile::tempdir().unwrap();
    let list = url(served, &served.list());
    let _ = curl(folder.path(), ["-o", "whole", "--etag-save", "tag", &list]).ok();
    let whole = read(folder.path(), "whole");

    let _ = curl(folder.path(), ["-r", "0-999", "-o", "resumed", &list]).ok();
    assert_eq!(read(folder.path(), "resumed").len(), 1000);
    let _ = curl(folder.path(), ["-C", "-", "-o", "resumed", &list]).ok();
    assert!(read(folder.path(), "resumed") == whole);

    let code = [
        "-w",
        "%{http_code}",
        "-o",
        "unchanged",
        "--etag-compare",
        "tag",
    ];
    let told = curl(folder.path(), code.iter().copied().chain([&*list])).ok();
    assert_eq!(told.stdout, "304");
    let head = curl(folder.path(), ["-I", &list]).ok().stdout;
    let date = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("last-modified: ")
            .map(str::to_owned)
    });
    let date = date.expect("a date");
    let code = ["-w", "%{http_code}", "-o", "unchanged", "-z", date.trim()];
    let told = curl(folder.path(), code.iter().copied().chain([&*list])).ok();
    assert_eq!(told.stdout, "304");
    let told = curl(
        folder.path(),
        [
            "-w",
            "%{http_code}",
            "-o",
            "nothing",
            "-r",
            "9999999-",
            &list,
        ],
    );
    assert_eq!(told.ok().stdout, "416");
}

#[test]
fn issuer_certificate_is_not_where_its_certificates_say() {
    let served = Served::shared();
    let folder = tempfile::tempdir().unwrap();
    let inspected = served.office.loader(&["inspect", "--json"]).ok();
    let generation: serde_json::Value = serde_json::from_str(&inspected.stdout).unwrap();
    let mut found = 0;
    for document in generation["documents"].as_array().unwrap() {
        let path = document["path"].as_str().unwrap();
        if !path.ends_with(".cer") {
            continue;
        }
        let got = curl(
            folder.path(),
            ["-o", "one.cer", "-w", "%{content_type}", &url(served, path)],
        );
        // RFC 5280 §4.2.2.1: a single certificate in DER SHOULD be application/pkix-cert.
        assert_eq!(got.ok().stdout, "application/pkix-cert", "{path}");
        let arguments = [
            "x509", "-inform", "DER", "-in", "one.cer", "-noout", "-subject",
        ];
        let _ = openssl(folder.path(), arguments).ok();
        found += 1;
    }
    assert!(found >= 2, "{generation:#}");
}
