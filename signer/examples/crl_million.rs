//! How long a list of a million entries takes, from the registry to the signed and linted document on the disk.
//!
//! ```text
//! cargo run --release -p hufu-signer --example crl_million [entries]
//! ```
//!
//! The registry is a real one, in a folder of its own; its rows are made inside the database, with random serials. Then the
//! list is written as `hufu-signer crl` writes it (read, sorted, encoded, signed, read back and linted, stored), by an ECDSA
//! P-256 and by an SM2 authority, each a full list of all and one that a delta stands beside.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use hufu_signer::ca::crl::policy::ListConfig;
use hufu_signer::ca::{crl, found};
use hufu_signer::home::Home;
use hufu_signer::office::Office;
use hufu_signer::registry::{Blocking, By, ListQuery, ListScope, Part, SqliteStore, Store};
use hufu_signer::serve::clock;
use hufu_signer::settings::{Settings, SettingsConfig};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

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
    let lists = ListConfig {
        delta: true,
        ..ListConfig::default()
    };
    let settings = Settings::new(SettingsConfig {
        crl: BTreeMap::from([("p256".to_owned(), lists)]),
        ..SettingsConfig::default()
    })?;
    let office = Office::new(home, registry, settings)?;
    let by = By::person("bench", clock());
    found::found(&office, "http://127.0.0.1:2560", by)?;
    let options = SqliteConnectOptions::new().filename(&file);
    office.registry.drive(populate(options, entries))?;
    for alias in ["p256", "sm2"] {
        let issuer = office.issuer(alias)?;
        let query = ListQuery {
            authority: issuer.id(),
            scope: ListScope::Whole,
            cut: None,
            archived_since: 0,
            full: Part::Wanted,
            delta: None,
        };
        let begun = Instant::now();
        let listing = office.registry.wait(|store| store.listing(&query))?;
        let read = begun.elapsed();
        let begun = Instant::now();
        let notes = crl::write_notes(&office, &[issuer], crl::Urgency::Now, By::signer(clock()))?;
        println!(
            "{alias}: {} entries read in {:.3} s; {} lists read, signed, linted and stored in {:.3} s",
            listing.full.len(),
            read.as_secs_f64(),
            notes.len(),
            begun.elapsed().as_secs_f64(),
        );
    }
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
