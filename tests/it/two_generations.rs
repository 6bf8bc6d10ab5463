//! What damage is tried on: two generations of one office. In the second a certificate is revoked that was good in the
//! first, so that one question tells which of them is served.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hufu_tests::http;
use hufu_tests::office::{Office, Responder, serial_octets};
use hufu_tests::pki::{Answer, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::run;

/// The office, and copies of its store at either moment.
pub(crate) struct Published {
    pub(crate) office: Office,
    issuer: Certificate,
    serial: Vec<u8>,
    pub(crate) first: PathBuf,
    pub(crate) second: PathBuf,
    folder: tempfile::TempDir,
}

impl Published {
    /// One full list, of one entry.
    pub(crate) fn new() -> Self {
        Self::of("", [0, 0])
    }

    /// Files of every kind there is: lists in parts and their deltas, each long enough to be there in gzip and zstd too.
    pub(crate) fn of_every_kind() -> Self {
        Self::of(
            "[signing.crl.p256]\npartitions = 2\ndelta = true\n",
            [83, 26],
        )
    }

    /// An office with these settings, and so many persons who are revoked before each generation as well.
    fn of(config: &str, also_revoked: [usize; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let office = Office::found(&folder.path().join("data"));
        fs::write(office.data.join(Office::SETTINGS), config).unwrap();
        let serial = office.enrol("p256", "device").swap_remove(0);
        let devices = office.serials("p256").len();
        let persons = office.enrol("p256", "person").split_off(devices);
        let mut persons = persons.iter();
        let mut revoke_more = |how_many: usize| {
            for _ in 0..how_many {
                office.revoke("p256", persons.next().unwrap());
            }
        };
        let issuer = office.certificate("p256", "issuer");
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        revoke_more(also_revoked[0]);
        office.publish();
        copy(&office.store(), &first);
        revoke_more(also_revoked[1]);
        office.revoke("p256", &serial);
        office.publish();
        copy(&office.store(), &second);
        Self {
            office,
            issuer,
            serial: serial_octets(&serial),
            first,
            second,
            folder,
        }
    }

    /// A place beside the office.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An edge that follows the first generation, and a responder over it.
    pub(crate) fn edge(&self, name: &str) -> (PathBuf, Responder) {
        let edge = self.path(name);
        let _ = self.office.follow(&self.first, &edge).ok();
        let responder = self.office.responder(&edge);
        assert_eq!(self.status(&responder), Status::Good);
        (edge, responder)
    }

    /// About the certificate that is revoked in the second.
    pub(crate) fn question(&self) -> Vec<u8> {
        let id = cert_id(Hash::Sha1, Parameters::Null, &self.issuer, &self.serial);
        request(&[&id], None)
    }

    pub(crate) fn status(&self, responder: &Responder) -> Status {
        let response = http::ask(responder.ocsp, &self.question()).unwrap();
        Answer::read(&response.body).single().status
    }
}

/// A whole folder, in place of what is there.
pub(crate) fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let _ = run(Command::new("cp").arg("-r").arg(from).arg(to)).ok();
}

/// Published files are read-only for good reason.
pub(crate) fn overwrite(path: &Path, octets: &[u8]) {
    let _ = fs::remove_file(path);
    fs::write(path, octets).unwrap();
}
