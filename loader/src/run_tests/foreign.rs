//! Another CA's list: signer and loader must read it alike.

use wire::batch::{Header, Source};
use wire::status::{CertStatus, RevocationReason};

use super::Place;
use crate::durable::FsDisk;
use crate::import::crl::Judging;
use crate::import::file::{Company, CrlImport, Means, import_crl};
use crate::import::trust::WeakPolicy;
use crate::import::unsigned::{UnsignedImport, import_unsigned};
use crate::sort::Sorting;
use crate::staged::{Form, Trust};
use crate::verify::verify;
use crate::workshop::*;

/// Stages a list of another CA and makes the batch that repeats it.
fn foreign(place: &Place, entries: &[Entry], rows: &[Row]) {
    let crl = place.authority.crl((NOW - 100, NOW + 86_400), 7, entries);
    let folder = place.data.path().join("files");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ca.crl"), &crl).unwrap();
    std::fs::write(folder.join("ca.der"), &place.authority.certificate.der).unwrap();
    import_crl(&CrlImport {
        crl: &folder.join("ca.crl"),
        issuer: &folder.join("ca.der"),
        crl_issuer: None,
        data: place.data.path(),
        judging: Judging {
            now: NOW,
            as_of: None,
            weak: WeakPolicy::Refuse,
        },
        company: Company::default(),
    })
    .unwrap();
    let local = OcspSigner::local();
    let header = Header {
        source: Source::ForeignCrl {
            blake3: *blake3::hash(&crl).as_bytes(),
            next_update: Some(NOW + 86_400),
            as_of: None,
        },
        ..header(&place.authority, &local, 1)
    };
    let octets = batch(header, rows, &local, &place.key);
    place.put_octets(1, &octets);
}

#[test]
fn a_batch_that_disagrees_with_the_staged_list_goes_in() {
    use RevocationReason::{CertificateHold, KeyCompromise, RemoveFromCrl};
    let entries = [
        (serial(1), NOW - 500, Some(KeyCompromise)),
        (serial(2), NOW - 400, None),
        // Held, then released: not revoked in the end.
        (serial(3), NOW - 900, Some(CertificateHold)),
        (serial(3), NOW - 800, Some(RemoveFromCrl)),
        // Held, then revoked.
        (serial(4), NOW - 700, Some(KeyCompromise)),
        (serial(4), NOW - 900, Some(CertificateHold)),
    ];
    let no_reason = CertStatus::Revoked {
        at: NOW - 400,
        reason: None,
    };
    let right = [
        (serial(1), revoked(NOW - 500, KeyCompromise), 0),
        (serial(2), no_reason, 0),
        (serial(4), revoked(NOW - 700, KeyCompromise), 0),
    ];
    let wrong = |change: &dyn Fn(&mut Vec<Row>)| {
        let place = Place::new();
        let mut rows = right.to_vec();
        change(&mut rows);
        foreign(&place, &entries, &rows);
        place.refused(NOW)
    };
    // Each in turn: one of them is the last in the batch's order, where nothing follows that could tell.
    for missing in 0..right.len() {
        let why = wrong(&|rows| {
            rows.remove(missing);
        });
        assert!(why.contains("missing from the batch"), "{missing}: {why}");
    }
    let extra = (serial(3), revoked(NOW - 900, CertificateHold), 0);
    assert!(wrong(&|rows| rows.push(extra)).contains("not revoked by the staged list"));
    assert!(
        wrong(&|rows| rows[0].1 = revoked(NOW - 499, KeyCompromise)).contains("the batch says")
    );
    assert!(
        wrong(&|rows| rows[1].1 = revoked(NOW - 400, KeyCompromise)).contains("the batch says")
    );
    assert!(wrong(&|rows| rows[2].1 = CertStatus::Good).contains("the batch says"));

    let place = Place::new();
    foreign(&place, &entries, &right);
    let report = place.pass(NOW);
    assert_eq!(report.taken.len(), 1, "{report:?}");
    assert_eq!(place.status(2), Some(no_reason));
    let proof = verify(place.data.path(), NOW).unwrap();
    assert!(proof.holds(), "{proof:?}");
    assert_eq!((proof.issuers[0].listed, proof.issuers[0].revoked), (3, 3));

    // The staged list was changed on disk: nothing repeats it any more.
    let place = Place::new();
    foreign(&place, &entries, &right);
    let staged = crate::staged::folder_of(
        place.data.path(),
        &place.authority.certificate.id().to_string(),
    );
    std::fs::write(staged.join("crl.der"), b"0").unwrap();
    assert!(place.refused(NOW).contains("not staged here"));

    // It cannot be read at present: a folder under the file's name. The batch waits.
    let place = Place::new();
    foreign(&place, &entries, &right);
    let id = place.authority.certificate.id().to_string();
    let path = crate::staged::folder_of(place.data.path(), &id).join("crl.der");
    let octets = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let report = place.pass(NOW);
    assert_eq!((report.put_off.len(), report.refused.len()), (1, 0));
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, octets).unwrap();
    assert_eq!(place.pass(NOW).taken.len(), 1);
}

/// Stages a list that nobody signed and makes a batch that repeats it; its window ends a day from now.
fn unsigned(place: &Place, list: &str, until: u64, rows: &[Row]) {
    let folder = place.data.path().join("files");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("index.txt"), list).unwrap();
    std::fs::write(folder.join("ca.der"), &place.authority.certificate.der).unwrap();
    let mut means = Means {
        disk: &FsDisk,
        sorting: Sorting::in_folder(place.data.path().join("loader/work")),
        progress: &mut |_, _| (),
    };
    let request = UnsignedImport {
        list: &folder.join("index.txt"),
        form: Form::Index,
        issuer: &folder.join("ca.der"),
        data: place.data.path(),
        now: NOW,
        trust: Trust {
            by: "Li Hua".to_owned(),
            until,
        },
    };
    import_unsigned(&request, &mut means).unwrap();
    let local = OcspSigner::local();
    let header = Header {
        source: Source::ForeignCrl {
            blake3: *blake3::hash(list.as_bytes()).as_bytes(),
            next_update: Some(until),
            as_of: None,
        },
        ..header(&place.authority, &local, 1)
    };
    place.put_octets(1, &batch(header, rows, &local, &place.key));
}

#[test]
fn a_batch_that_disagrees_with_a_list_nobody_signed_goes_in() {
    let list = "V\t280101000000Z\t\t01\tunknown\t/CN=a\n\
                R\t280101000000Z\t260601000000Z,superseded\t02\tunknown\t/CN=b\n\
                E\t200101000000Z\t\t03\tunknown\t/CN=c\n";
    let at = 1_780_272_000;
    let right = [
        (serial(1), CertStatus::Good, 0),
        (serial(2), revoked(at, RevocationReason::Superseded), 0),
        (serial(3), CertStatus::Good, 0),
    ];
    let day = NOW + 86_400;
    let wrong = |change: &dyn Fn(&mut Vec<Row>)| {
        let place = Place::new();
        let mut rows = right.to_vec();
        change(&mut rows);
        unsigned(&place, list, day, &rows);
        place.refused(NOW)
    };
    for missing in 0..right.len() {
        let why = wrong(&|rows| {
            rows.remove(missing);
        });
        assert!(why.contains("missing from the batch"), "{missing}: {why}");
    }
    assert!(wrong(&|rows| rows.push((serial(4), CertStatus::Good, 0))).contains("staged list"));
    assert!(wrong(&|rows| rows[1].1 = CertStatus::Good).contains("the batch says"));
    assert!(wrong(&|rows| rows[0].1 = right[1].1).contains("the batch says"));

    // The answers end with the word of whoever vouched.
    let place = Place::new();
    unsigned(&place, list, day - 1, &right);
    assert!(place.refused(NOW).contains("the end of the trust"));

    let place = Place::new();
    unsigned(&place, list, day, &right);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    assert_eq!(place.status(1), Some(CertStatus::Good));
    assert_eq!(place.status(2), Some(right[1].1));
    assert_eq!(place.status(4), None);
}
