//! The database of an `openssl ca`, which bears no signature: vouched for by name, then answered for, good and revoked.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hufu_tests::demo::Demo;
use hufu_tests::http;
use hufu_tests::judge::openssl;
use hufu_tests::pki::{Answer, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{Ran, command, run, wait_until};

/// A CA whose database knows a valid and a revoked certificate, 1000 and 1001.
fn found(folder: &Path) -> Certificate {
    let config = "[ca]\ndefault_ca = c\n[c]\ndatabase = index.txt\nnew_certs_dir = .\ncertificate = ca.pem\n\
                  private_key = ca.key\nserial = serial\ndefault_md = sha256\ndefault_days = 30\npolicy = p\n\
                  unique_subject = no\n[p]\ncommonName = supplied\n";
    for (name, text) in [("ca.cnf", config), ("index.txt", ""), ("serial", "1000\n")] {
        fs::write(folder.join(name), text).unwrap();
    }
    for words in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 90 -subj /CN=database",
        "req -newkey rsa:2048 -nodes -keyout one.key -out one.csr -subj /CN=one",
        "ca -batch -config ca.cnf -in one.csr -out one.pem -notext",
        "ca -batch -config ca.cnf -in one.csr -out two.pem -notext",
        "ca -config ca.cnf -revoke two.pem -crl_reason keyCompromise",
        "x509 -in ca.pem -outform DER -out ca.der",
    ] {
        let _ = openssl(folder, words.split_whitespace()).ok();
    }
    Certificate::read(&fs::read(folder.join("ca.der")).unwrap())
}

fn import(folder: &Path, data: &Path, further: &[&str]) -> Ran {
    let mut import = command("hufu-loader", ["import", "--index"]);
    import.arg(folder.join("index.txt"));
    import.arg("--issuer").arg(folder.join("ca.pem"));
    run(import.arg("--data").arg(data).args(further))
}

#[test]
fn the_database_of_an_openssl_ca_is_answered_without_anybodys_word_or_otherwise_than_it_says() {
    let demo = Demo::shared();
    let folder = tempfile::tempdir().unwrap();
    let issuer = found(folder.path());
    let unasked = import(folder.path(), &demo.data, &[]);
    assert_eq!(unasked.code, Some(2), "{unasked:?}");
    assert!(unasked.stderr.contains("--trust-unsigned"), "{unasked:?}");

    let taken = import(folder.path(), &demo.data, &["--trust-unsigned", "Li Hua"]).ok();
    assert!(taken.stdout.contains("vouched for  Li Hua"), "{taken:?}");
    let status = |serial: &[u8]| {
        let id = cert_id(Hash::Sha1, Parameters::Null, &issuer, serial);
        Answer::read(&http::ask(demo.ocsp, &request(&[&id], None)).unwrap().body)
    };
    wait_until("the list is adopted", Duration::from_secs(60), || {
        matches!(status(&[0x10, 0x01]), Answer::Signed(_))
    });
    assert_eq!(status(&[0x10, 0x00]).single().status, Status::Good);
    assert!(matches!(
        status(&[0x10, 0x01]).single().status,
        Status::Revoked(_, Some(1))
    ));
    // Not in the database: nobody says good.
    assert!(matches!(status(&[0x10, 0x02]), Answer::Refused(6)));
}

#[test]
fn a_database_with_a_wrong_line_is_staged() {
    let demo = Demo::shared();
    let folder = tempfile::tempdir().unwrap();
    let _ = found(folder.path());
    let index = folder.path().join("index.txt");
    let mut text = fs::read_to_string(&index).unwrap();
    text.push_str("V\tsomeday\t\t1002\tunknown\t/CN=three\n");
    fs::write(&index, text).unwrap();
    let refused = import(folder.path(), &demo.data, &["--trust-unsigned", "Li Hua"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("line 3, expiry “someday”"),
        "{refused:?}"
    );
}
