//! How long a list of a million entries takes, from the registry to the signed and linted document on the disk.
//!
//! ```text
//! cargo run --release -p hufu-signer --example crl_million [entries]
//! ```
//!
//! The registry is a real one, in a folder of its own; its rows are made inside the database, with random serials. Then lists
//! are written as `hufu-signer crl` writes them (read, sorted, encoded, signed, read back and linted, stored), by an ECDSA
//! P-256 and by an SM2 authority: one full list at a time, the first of all apart, since the database's pages come into memory
//! with it. Of the others the quickest, the median and the slowest are told. Reading is measured once more by itself. Last, what
//! a revocation costs where there are deltas. Each list is read back by another program's reader and its entries counted.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use hufu_signer::ca::crl::policy::ListConfig;
use hufu_signer::ca::{crl, found};
use hufu_signer::home::Home;
use hufu_signer::office::Office;
use hufu_signer::registry::{
    Blocking, By, Crl, ListQuery, ListScope, Part, Revocation, SqliteStore, Store,
};
use hufu_signer::serve::clock;
use hufu_signer::settings::{Settings, SettingsConfig};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use wire::status::RevocationReason;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

/// Lists of which the median is told.
const TIMES: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let entries: u32 = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 1_000_000,
    };
    let folder = tempfile::tempdir()?;
    let home = Home::new(folder.path());
    std::fs::create_dir_all(home.signer())?;
    let file = home.signer().join("registry.sqlite");
    let registry = Blocking::open(|| async { SqliteStore::open(&file).await })?;
    let mut office = Office::new(home, registry, Settings::default())?;
    found::found(
        &office,
        "http://127.0.0.1:2560",
        By::person("bench", clock()),
    )?;
    let options = SqliteConnectOptions::new().filename(&file);
    office.registry.drive(populate(options, entries))?;
    for alias in ["p256", "sm2"] {
        let (first, list) = written(&office, alias)?;
        counted(&list, entries)?;
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            times.push(written(&office, alias)?.0);
        }
        times.sort_by(f64::total_cmp);
        let read = read(&office, alias)?;
        println!(
            "{alias}: {entries} entries, {} octets, read to stored: first {first:.3} s, then {:.3} / {:.3} / {:.3} s \
             (quickest, median, slowest of {TIMES}); of it reading {read:.3} s",
            list.der.len(),
            times[0],
            times[TIMES / 2],
            times[TIMES - 1],
        );
    }
    let lists = ListConfig {
        delta: true,
        ..ListConfig::default()
    };
    office.settings = Settings::new(SettingsConfig {
        crl: BTreeMap::from([("p256".to_owned(), lists)]),
        ..SettingsConfig::default()
    })?;
    // A full list that names deltas, and the first of them.
    due(&office, "p256")?;
    revoke_again(&office)?;
    let (seconds, notes) = due(&office, "p256")?;
    println!("p256: one more revocation, in a delta: {seconds:.3} s, {notes} lists stand");
    Ok(())
}

/// Writes a full list, whether it is due or not.
fn written(office: &Office<SqliteStore>, alias: &str) -> Result<(f64, Crl), Box<dyn Error>> {
    let issuer = office.issuer(alias)?;
    let begun = Instant::now();
    let notes = crl::write_notes(office, &[issuer], crl::Urgency::Now, By::signer(clock()))?;
    let seconds = begun.elapsed().as_secs_f64();
    let [note] = notes.as_slice() else {
        return Err("one list was expected".into());
    };
    let list = office.registry.wait(|store| store.crl(note))?;
    Ok((seconds, list.ok_or("the list is not in the registry")?))
}

/// Writes what is due; how long that takes, and how many lists there are then.
fn due(office: &Office<SqliteStore>, alias: &str) -> Result<(f64, usize), Box<dyn Error>> {
    let issuer = office.issuer(alias)?;
    let begun = Instant::now();
    let notes = crl::write_notes(office, &[issuer], crl::Urgency::Due, By::signer(clock()))?;
    Ok((begun.elapsed().as_secs_f64(), notes.len()))
}

/// Reads the entries and does nothing with them.
fn read(office: &Office<SqliteStore>, alias: &str) -> Result<f64, Box<dyn Error>> {
    let query = ListQuery {
        authority: office.issuer(alias)?.id(),
        scope: ListScope::Whole,
        cut: None,
        archived_since: 0,
        full: Part::Wanted,
        delta: None,
    };
    let begun = Instant::now();
    let _listing = office.registry.wait(|store| store.listing(&query))?;
    Ok(begun.elapsed().as_secs_f64())
}

fn counted(list: &Crl, entries: u32) -> Result<(), Box<dyn Error>> {
    let (_, read) = CertificateRevocationList::from_der(&list.der)?;
    let count = read.iter_revoked_certificates().count();
    if count != entries as usize {
        return Err(format!("{count} entries stand on a list of {entries}").into());
    }
    Ok(())
}

/// Revokes the OCSP signer that the first delta finds, or makes one for it.
fn revoke_again(office: &Office<SqliteStore>) -> Result<(), Box<dyn Error>> {
    let issuer = office.issuer("p256")?;
    let now = clock();
    let _ =
        hufu_signer::ca::ocsp_signer::current(office, &issuer, issuer.algorithm, By::signer(now))?;
    let signers = office
        .registry
        .wait(|store| store.ocsp_signers(issuer.id(), now))?;
    let signer = signers.first().ok_or("no OCSP signer")?;
    let revocation = Revocation {
        id: signer.id,
        reason: RevocationReason::Superseded,
        ground: "bench".to_owned(),
        at: now,
        invalidity_date: None,
    };
    office
        .registry
        .wait(|store| store.revoke(&revocation, By::person("bench", now)))?;
    Ok(())
}

/// Revoked certificates of every issuing authority, 256 to a revision.
async fn populate(options: SqliteConnectOptions, entries: u32) -> Result<(), sqlx::Error> {
    let pool = SqlitePool::connect_with(options).await?;
    sqlx::query(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)
         INSERT INTO certificate (authority, serial, kind, state, not_before, not_after, reserved_at, issued_at,
             revision, revoked_at, reason)
         SELECT a.id, unhex('41' || hex(randomblob(15))), 'authority', 'revoked', 1700000000, 4000000000, 1700000000,
             1700000000, 1 + i / 256, 1750000000 + i, 1
         FROM n, authority a WHERE a.parent IS NOT NULL",
    )
    .bind(i64::from(entries))
    .execute(&pool)
    .await?;
    sqlx::query("UPDATE revision SET newest = $1")
        .bind(1 + i64::from(entries) / 256)
        .execute(&pool)
        .await?;
    pool.close().await;
    Ok(())
}
