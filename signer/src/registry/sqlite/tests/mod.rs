//! The registry against a real file, each test named by what would go wrong.

mod certificates;
mod changes;
mod log;
mod plans;
mod serving;
mod submissions;

use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};

use super::SqliteStore;
use crate::registry::{
    Adoption, ApplicationState, AuthorityId, BatchKind, BatchRecord, Blocking, Business, By,
    CertificateFilter, CertificateId, CertificateKind, CertificateState, Crl, CrlNote, Issued,
    ItemId, ItemOutcome, ListForm, ListScope, NewAuthority, NewItem, NewSubmission, RegistryError,
    Reservation, Revocation, Store, SubjectKind, SubmissionNumber, TurnAway,
};

const NOW: u64 = 1_790_000_000;
const YEAR: u64 = 365 * 86_400;

struct Rig {
    folder: tempfile::TempDir,
    db: Blocking<SqliteStore>,
    authority: AuthorityId,
}

fn open(folder: &std::path::Path) -> Blocking<SqliteStore> {
    let file = folder.join("registry.sqlite");
    Blocking::open(|| async move { SqliteStore::open(&file).await }).unwrap()
}

fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let authority = db.drive(
        db.store()
            .add_authority(&founded("p256", 1), By::signer(NOW)),
    );
    let authority = authority.unwrap();
    Rig {
        folder,
        db,
        authority,
    }
}

fn founded(alias: &str, seed: u8) -> NewAuthority {
    NewAuthority {
        alias: alias.to_owned(),
        parent: None,
        algorithm: 1,
        certificate: vec![0x30, seed],
        key_file: format!("{alias}.pk8"),
        issuer_id: [seed; 16],
        hash_key: [seed; 16],
        shards: 4,
        public_url: "http://127.0.0.1:2560".to_owned(),
    }
}

fn item(line: u64, key: &str) -> NewItem {
    NewItem {
        line,
        subject_key: key.to_owned(),
        name: format!("name of {key}"),
        number: key.to_owned(),
        fields: "{}".to_owned(),
        spki: None,
    }
}

fn form(file: u8, items: Vec<NewItem>) -> NewSubmission {
    NewSubmission {
        file_blake3: [file; 32],
        application_blake3: [file; 32],
        kind: SubjectKind::Person,
        business: Business::Issue,
        alias: "p256".to_owned(),
        unit_name: "测试单位".to_owned(),
        unit_code: "91350100M000100Y43".to_owned(),
        application: "{}".to_owned(),
        additional: false,
        items,
        refused: Vec::new(),
    }
}

fn reservation(authority: AuthorityId, serial: u32, item: Option<ItemId>) -> Reservation {
    Reservation {
        authority,
        serial: Serial::from_unsigned(&serial.to_be_bytes()).unwrap(),
        item,
        kind: match item {
            Some(_) => CertificateKind::Subject,
            None => CertificateKind::Authority,
        },
        tbs: serial.to_be_bytes().to_vec(),
        not_before: NOW,
        not_after: NOW + YEAR,
        key_file: None,
        crl_partition: None,
    }
}

impl Rig {
    fn by(&self, who: &'static str) -> By<'static> {
        By::person(who, NOW)
    }

    fn submit(&self, file: u8, keys: &[&str]) -> (SubmissionNumber, Vec<ItemId>) {
        let items = (2..).zip(keys).map(|(line, key)| item(line, key)).collect();
        let done = self
            .db
            .drive(self.db.store().submit(&form(file, items), self.by("clerk")))
            .unwrap();
        let ids = done.items.into_iter().map(|outcome| match outcome {
            ItemOutcome::Accepted(id) => id,
            other => panic!("{other:?}"),
        });
        (done.number, ids.collect())
    }

    /// Submitted, approved, reserved and issued.
    fn issue(&self, file: u8, key: &str, serial: u32) -> (SubmissionNumber, CertificateId) {
        let (number, items) = self.submit(file, &[key]);
        (number, self.issue_item(number, items[0], serial))
    }

    /// Approves a submission of one item, reserves and issues.
    fn issue_item(&self, number: SubmissionNumber, item: ItemId, serial: u32) -> CertificateId {
        self.db
            .drive(self.db.store().approve(number, self.by("officer")))
            .unwrap();
        let lot = [reservation(self.authority, serial, Some(item))];
        let id = self
            .db
            .drive(self.db.store().reserve(&lot, By::signer(NOW)))
            .unwrap()[0];
        let lot = [Issued {
            id,
            certificate: vec![0x30, 0x00],
        }];
        self.db
            .drive(self.db.store().record_issued(&lot, By::signer(NOW)))
            .unwrap();
        id
    }

    fn order(&self, id: CertificateId) -> Revocation {
        Revocation {
            id,
            reason: RevocationReason::KeyCompromise,
            ground: "私钥泄露".to_owned(),
            at: NOW + 60,
            invalidity_date: Some(NOW + 30),
        }
    }

    /// What an SQL of the test's own finds.
    fn rows(&self, sql: &'static str) -> Vec<(i64, i64)> {
        let query = sqlx::query_as(sql).fetch_all(&self.db.store().readers);
        self.db.drive(query).unwrap()
    }

    fn acts(&self) -> Vec<String> {
        let entries = self.db.drive(self.db.store().audit(0, 1000)).unwrap();
        entries.into_iter().map(|e| e.act).collect()
    }
}
