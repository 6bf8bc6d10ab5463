//! Passes over a spool, each with one thing wrong or one crash.

mod algorithms;
mod crash;
mod foreign;
mod lists;
mod order;
mod pass;
mod proof;
mod refused;
mod rotten;
mod shared;
mod together;

use std::path::PathBuf;

use tempfile::TempDir;
use wire::batch::Header;
use wire::status::CertStatus;

use crate::durable::{Disk, FsDisk};
use crate::run::{Line, PassReport, Terms, open};
use crate::seal::SealKey;
use crate::snapshot::{Lookup, Snapshot};
use crate::workshop::*;

const TERMS: Terms = Terms {
    valid_for_secs: 3600,
    reseal_after_secs: 1800,
};

/// A data folder with a signer's batch key, an authority and its OCSP signer.
struct Place {
    data: TempDir,
    authority: Authority,
    signer: OcspSigner,
    key: SealKey,
}

impl Place {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let (key, _) = SealKey::generate().unwrap();
        std::fs::create_dir_all(data.path().join("signer")).unwrap();
        std::fs::write(
            data.path().join("signer/batch.pub"),
            format!("{}\n", key.public()),
        )
        .unwrap();
        let authority = Authority::found("Workshop CA");
        let signer = authority.ocsp_signer();
        Self {
            data,
            authority,
            signer,
            key,
        }
    }

    fn header(&self, number: u64) -> Header {
        header(&self.authority, &self.signer, number)
    }

    fn put(&self, header: Header, rows: &[Row]) -> PathBuf {
        let number = header.number;
        let octets = batch(header, rows, &self.signer, &self.key);
        spool(self.data.path(), &self.authority, number, &octets)
    }

    fn put_octets(&self, number: u64, octets: &[u8]) -> PathBuf {
        spool(self.data.path(), &self.authority, number, octets)
    }

    fn line<'d>(&self, disk: &'d dyn Disk) -> Line<'d> {
        let mut line = open(disk, self.data.path(), TERMS).unwrap();
        // However slow the machine.
        line.seconds_since = |_| 0;
        line
    }

    fn pass(&self, now: u64) -> PassReport {
        self.line(&FsDisk).pass(now, &mut |_, _| ()).unwrap()
    }

    /// What would be answered about a serial, by both variants.
    fn status(&self, number: u64) -> Option<CertStatus> {
        let store = self.data.path().join("store");
        let pins = crate::seal::read_pins(&self.data.path().join("loader/seal.pub")).unwrap();
        let snapshot = Snapshot::open(&store, &pins, None).unwrap();
        let header = self.header(1);
        let prefixes = header.variants.iter().map(|variant| {
            wire::cert_id::cert_id_prefix(variant.form, &variant.name_hash, &variant.key_hash)
                .unwrap()
        });
        let mut found =
            prefixes.map(
                |prefix| match snapshot.lookup(&prefix, serial(number).content(), None) {
                    Lookup::Found(found) => Some(found.status),
                    Lookup::UnknownSerial | Lookup::UnknownIssuer => None,
                    Lookup::Damaged(flaw) => panic!("{flaw}"),
                },
            );
        let (first, second) = (found.next().unwrap(), found.next().unwrap());
        assert_eq!(first, second);
        first
    }

    fn refused(&self, now: u64) -> String {
        let report = self.pass(now);
        assert_eq!(report.refused.len(), 1, "{report:?}");
        assert!(report.taken.is_empty(), "{report:?}");
        report.refused[0].reason.clone()
    }

    fn ack(&self, number: u64) -> Option<String> {
        let folder = self
            .data
            .path()
            .join("spool")
            .join(self.authority.certificate.id().to_string());
        std::fs::read_to_string(folder.join(wire::batch::acknowledgement_name(number))).ok()
    }
}

fn good(number: u64) -> Row {
    (serial(number), CertStatus::Good, 0)
}
