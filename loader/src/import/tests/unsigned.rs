//! Lists without a signature: what `openssl ca` wrote is read as OpenSSL itself reads it, and nothing is believed by halves.

use std::path::{Path, PathBuf};
use std::process::Command;

use wire::crl::Crl;
use wire::serial::Serial;
use wire::status::CertStatus;

use crate::durable::FsDisk;
use crate::import::crl::Judging;
use crate::import::file::{Company, CrlImport, ImportError, Means, import_crl};
use crate::import::lines::LinesReader;
use crate::import::listed::NUMBERED_OCTETS;
use crate::import::trust::WeakPolicy;
use crate::import::unsigned::{UnsignedImport, UnsignedRefusal, UnsignedReport, import_unsigned};
use crate::sort::{LEAST_MEMORY, Sorter, Sorting};
use crate::staged::{self, Form, Trust};
use crate::workshop::*;

fn import(
    data: &Path,
    authority: &Authority,
    form: Form,
    list: &[u8],
) -> Result<UnsignedReport, ImportError> {
    let files = tempfile::tempdir().unwrap();
    let (path, issuer) = (files.path().join("list"), files.path().join("ca.der"));
    std::fs::write(&path, list).unwrap();
    std::fs::write(&issuer, &authority.certificate.der).unwrap();
    import_at(data, &path, form, &issuer, NOW)
}

fn import_at(
    data: &Path,
    list: &Path,
    form: Form,
    issuer: &Path,
    now: u64,
) -> Result<UnsignedReport, ImportError> {
    let mut means = Means {
        disk: &FsDisk,
        sorting: Sorting::in_folder(data.join("loader/work")).within(LEAST_MEMORY),
        progress: &mut |_, _| (),
    };
    let request = UnsignedImport {
        list,
        form,
        issuer,
        data,
        now,
        trust: Trust {
            by: "Li Hua".to_owned(),
            until: now + 1000,
        },
    };
    import_unsigned(&request, &mut means)
}

fn refusal(outcome: Result<UnsignedReport, ImportError>) -> UnsignedRefusal {
    match outcome {
        Err(ImportError::Unsigned { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

/// What a staged list says, in order of serials.
fn said(data: &Path, id: &str, now: u64) -> Vec<(Serial, CertStatus)> {
    let opened = staged::open(data, id).unwrap().unwrap();
    let sorting = Sorting::in_folder(data.join("loader/work"));
    let sorter = Sorter::begin(&FsDisk, &sorting, NUMBERED_OCTETS).unwrap();
    let read = LinesReader::new(sorter, HASH_KEY, now)
        .read(opened.options.form, &opened.first().file)
        .unwrap();
    assert_eq!(read.blake3, opened.options.crl_blake3);
    let mut settled = read.settled();
    let mut said = Vec::new();
    while let Some(listed) = settled.next_listed().unwrap() {
        said.push((listed.serial, listed.status));
    }
    said.sort_by_key(|(serial, _)| *serial);
    said
}

fn openssl(folder: &Path, words: &str) {
    let output = Command::new("openssl")
        .args(words.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "openssl {words}: {told}");
}

/// A CA of `openssl ca` with certificates in every state its database knows; gives its folder.
fn openssl_ca() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let config = "[ca]\ndefault_ca = c\n[c]\ndatabase = index.txt\nnew_certs_dir = .\ncertificate = ca.pem\n\
                  private_key = ca.key\nserial = serial\ncrlnumber = crlnumber\ndefault_md = sha256\n\
                  default_days = 30\ndefault_crl_days = 7\npolicy = p\nunique_subject = no\n\
                  [p]\ncommonName = supplied\n";
    for (name, text) in [
        ("ca.cnf", config),
        ("index.txt", ""),
        ("serial", "FA00\n"),
        ("crlnumber", "01\n"),
    ] {
        std::fs::write(at.join(name), text).unwrap();
    }
    let ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        at,
        &format!("req -x509 {ec} -keyout ca.key -out ca.pem -days 90 -subj /CN=index"),
    );
    openssl(
        at,
        &format!("req {ec} -keyout one.key -out one.csr -subj /CN=one"),
    );
    for _ in 0..6 {
        openssl(
            at,
            "ca -batch -config ca.cnf -in one.csr -out one.pem -notext",
        );
    }
    // The seventh has ended.
    let dates = "-startdate 20200101000000Z -enddate 20210101000000Z";
    openssl(
        at,
        &format!("ca -batch -config ca.cnf -in one.csr -out one.pem -notext {dates}"),
    );
    for (serial, why) in [
        ("FA01", ""),
        ("FA02", "-crl_reason superseded"),
        ("FA03", "-crl_hold holdInstructionReject"),
        ("FA04", "-crl_compromise 20260101000000Z"),
        ("FA05", "-crl_CA_compromise 20260101000000Z"),
    ] {
        openssl(at, &format!("ca -config ca.cnf -revoke {serial}.pem {why}"));
    }
    openssl(at, "ca -config ca.cnf -updatedb");
    openssl(at, "ca -config ca.cnf -gencrl -out ca.crl");
    openssl(at, "crl -in ca.crl -outform DER -out ca.crl.der");
    let index = at.join("index.txt");
    (folder, index)
}

#[test]
fn the_database_of_openssl_is_read_otherwise_than_openssl_reads_it() {
    let (folder, index) = openssl_ca();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let data = tempfile::tempdir().unwrap();
    let issuer = folder.path().join("ca.pem");
    let report = import_at(data.path(), &index, Form::Index, &issuer, now).unwrap();
    assert_eq!((report.listed, report.revoked, report.expired), (7, 5, 1));
    assert_eq!(report.trusted_by, "Li Hua");
    let text = std::fs::read_to_string(report.staged.join("options.toml")).unwrap();
    assert!(text.contains("trusted_by = \"Li Hua\""), "{text}");
    assert_eq!(
        std::fs::read(report.staged.join("index.txt")).unwrap(),
        std::fs::read(&index).unwrap()
    );

    // The judge: the CRL that OpenSSL made of the same database.
    let list = std::fs::read(folder.path().join("ca.crl.der")).unwrap();
    let list = Crl::parse(&list).unwrap();
    let mut revoked: Vec<(Serial, CertStatus)> = list
        .entries()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let status = CertStatus::Revoked {
                at: entry.revoked_at,
                reason: entry.reason,
            };
            (entry.serial, status)
        })
        .collect();
    revoked.sort_by_key(|(serial, _)| *serial);
    assert_eq!(revoked.len(), 5);
    let said = said(data.path(), &report.issuer_id, now);
    let (ours, good): (Vec<_>, Vec<_>) = said
        .into_iter()
        .partition(|(_, status)| *status != CertStatus::Good);
    assert_eq!(ours, revoked);
    let good: Vec<String> = good.iter().map(|(serial, _)| serial.to_string()).collect();
    assert_eq!(good, ["00fa00", "00fa06"]);
}

const LINES: &str = "V\t280101000000Z\t\t01\tunknown\t/CN=a\n\
                     R\t280101000000Z\t260601000000Z,superseded\t02\tunknown\t/CN=b\n";

#[test]
fn one_wrong_line_of_many_is_passed_over() {
    let authority = Authority::found("One");
    let data = tempfile::tempdir().unwrap();
    let import = |form, list: &str| import(data.path(), &authority, form, list.as_bytes());
    let wrong =
        format!("{LINES}V\tsoon\t\t03\tunknown\t/CN=c\nQ\t280101000000Z\t\t04\tunknown\t/CN=d\n");
    let told = refusal(import(Form::Index, &wrong)).to_string();
    assert!(told.starts_with("2 of its lines are wrong"), "{told}");
    assert!(
        told.contains("\n  line 3, expiry “soon”: a time must be"),
        "{told}"
    );
    assert!(
        told.contains("\n  line 4, status “Q”: a status is V"),
        "{told}"
    );
    // Told up to a bound.
    let many = "X\n".repeat(30);
    let told = refusal(import(Form::Index, &many)).to_string();
    assert!(
        told.contains("30 of its lines") && told.ends_with("… and 10 more"),
        "{told}"
    );
    // A revocation after the clock.
    let ahead = LINES.replace("260601000000Z", "270601000000Z");
    let told = refusal(import(Form::Index, &ahead)).to_string();
    assert!(
        told.contains("line 2, revocation “”: its date lies after the clock's"),
        "{told}"
    );
    // A quotation mark that nobody closes: the rest of the file is no row.
    let open = format!("serial,status\n01,\"good\n{}", "02,good\n".repeat(400_000));
    let told = refusal(import(Form::Csv, &open)).to_string();
    assert!(told.contains("at most a mebioctet"), "{told}");
    let csv = "serial,status,revoked_at,reason\n0a,good,,\n0b,revoked,2026-06-01T00:00:00Z,tired\n0c,good\n";
    let told = refusal(import(Form::Csv, csv)).to_string();
    assert!(told.contains("line 3, reason “tired”"), "{told}");
    assert!(
        told.contains("line 4, row “”: a row has as many fields"),
        "{told}"
    );
    let told = refusal(import(Form::Csv, "serial,state\n0a,good\n")).to_string();
    assert!(told.contains("line 1, header “state”"), "{told}");
    for empty in ["", "# nothing\n"] {
        assert!(matches!(
            refusal(import(Form::Index, empty)),
            UnsignedRefusal::Empty
        ));
    }
    // Nothing of all that is left.
    let left = |folder: &str| match std::fs::read_dir(data.path().join(folder)) {
        Ok(entries) => entries.count(),
        Err(_) => 0,
    };
    assert_eq!((left("staged"), left("loader/work")), (0, 0));
    let report = import(Form::Index, LINES).unwrap();
    assert_eq!((report.listed, report.revoked), (2, 1));
    assert_eq!(left("staged"), 1);
}

#[test]
fn a_serial_of_two_lines_is_settled_by_chance() {
    let authority = Authority::found("One");
    let data = tempfile::tempdir().unwrap();
    // Many lines, so that the two meet only in the merge.
    let mut list: String = (3..5000)
        .map(|number| format!("V\t280101000000Z\t\t{number:04x}\tunknown\t/CN=c\n"))
        .collect();
    list.insert_str(0, LINES);
    assert_eq!(
        import(data.path(), &authority, Form::Index, list.as_bytes())
            .unwrap()
            .listed,
        4999
    );
    for line in [
        "V\t280101000000Z\t\t0002\tunknown\t/CN=b\n",
        "R\t280101000000Z\t260601000000Z,superseded\t02\tunknown\t/CN=b\n",
    ] {
        let twice = format!("{list}{line}");
        let refused = refusal(import(
            data.path(),
            &authority,
            Form::Index,
            twice.as_bytes(),
        ));
        assert!(
            matches!(
                refused,
                UnsignedRefusal::Twice {
                    first: 2,
                    second: 5000,
                    ..
                }
            ),
            "{refused}"
        );
    }
}

#[test]
fn quotes_and_line_ends_of_spreadsheets_shift_columns() {
    let authority = Authority::found("One");
    let data = tempfile::tempdir().unwrap();
    let csv = "\u{feff}subject,serial,status,revoked_at,reason\r\n\
               \"CN=a, O=\"\"b\"\"\r\nc\",0a:1b,good,,\r\n\
               CN=d,FF,revoked,2026-06-01T00:00:00Z,\r\n";
    let report = import(data.path(), &authority, Form::Csv, csv.as_bytes()).unwrap();
    let said = said(data.path(), &report.issuer_id, NOW);
    assert_eq!(said.len(), 2);
    assert_eq!(said[0].0.to_string(), "00ff");
    assert_eq!(
        said[1],
        (
            Serial::from_unsigned(&[0x0a, 0x1b]).unwrap(),
            CertStatus::Good
        )
    );
    let digits: String = (10..40).map(|number| format!("{number},good\n")).collect();
    let report = import(
        data.path(),
        &authority,
        Form::Csv,
        format!("serial,status\n{digits}").as_bytes(),
    );
    assert!(report.unwrap().odd[0].contains("serial_decimal"));
}

#[test]
fn a_list_nobody_signed_replaces_one_that_its_ca_signed() {
    let authority = Authority::found("One");
    let data = tempfile::tempdir().unwrap();
    let files = tempfile::tempdir().unwrap();
    let (crl, issuer) = (files.path().join("a.crl"), files.path().join("a.cer"));
    std::fs::write(&crl, authority.crl((NOW - 50, NOW + 100), 5, &[])).unwrap();
    std::fs::write(&issuer, &authority.certificate.der).unwrap();
    let request = CrlImport {
        crl: &crl,
        issuer: &issuer,
        crl_issuer: None,
        data: data.path(),
        judging: Judging {
            now: NOW,
            as_of: None,
            weak: WeakPolicy::Refuse,
        },
        company: Company::default(),
    };
    // The other way round is welcome, and told.
    import(data.path(), &authority, Form::Index, LINES.as_bytes()).unwrap();
    let report = import_crl(&request).unwrap();
    assert!(
        report.odd[0].contains("bore no signature"),
        "{:?}",
        report.odd
    );
    let refused = refusal(import(
        data.path(),
        &authority,
        Form::Index,
        LINES.as_bytes(),
    ));
    assert!(
        matches!(refused, UnsignedRefusal::Signed { .. }),
        "{refused}"
    );
    assert!(report.staged.join("crl.der").exists());
    assert!(!report.staged.join("index.txt").exists());
}
