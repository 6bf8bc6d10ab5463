//! Fills a registry with synthetic certificates, for measuring: rows without octets, all valid for a year.
//!
//! `cargo run --release -p hufu-signer --example fill -- --data hufu-data --ca p256 --records 10000000`
//!
//! Ten million take a minute or two: rows are made inside the database, and its indexes after them.

use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use clap::Parser;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

/// Fill a founded registry with synthetic certificates.
#[derive(Parser)]
struct Args {
    /// The data folder; nothing may be serving it.
    #[arg(long)]
    data: PathBuf,
    /// The issuing authority.
    #[arg(long, default_value = "p256")]
    ca: String,
    /// How many.
    #[arg(long)]
    records: u64,
    /// One in so many is revoked.
    #[arg(long, default_value_t = 100)]
    revoked_one_in: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let begun = Instant::now();
    runtime.block_on(fill(&args))?;
    println!(
        "{} certificates of {} in {:.1} s",
        args.records,
        args.ca,
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

async fn fill(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_secs();
    let file = args.data.join("signer/registry.sqlite");
    let options = SqliteConnectOptions::new().filename(file);
    let mut db: SqliteConnection = options.pragma("synchronous", "OFF").connect().await?;
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "SELECT name, sql FROM sqlite_master
         WHERE type = 'index' AND tbl_name = 'certificate' AND sql IS NOT NULL",
    )
    .fetch_all(&mut db)
    .await?;
    for (name, _) in &indexes {
        db.execute(AssertSqlSafe(format!("DROP INDEX {name}")))
            .await?;
    }
    let revision: i64 = sqlx::query_scalar(
        "UPDATE revision SET newest = newest + 1 WHERE only_row = 1 RETURNING newest",
    )
    .fetch_one(&mut db)
    .await?;
    // Serials of sixteen octets in rising order: the letter A and fifteen digits. Not of kind `subject`: such a one would
    // need an application.
    sqlx::query(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)
         INSERT INTO certificate (authority, serial, kind, state, not_before, not_after,
             reserved_at, issued_at, revision, revoked_at, reason)
         SELECT (SELECT id FROM authority WHERE alias = $2), CAST(printf('A%015d', i) AS BLOB),
             'authority', CASE WHEN i % $3 = 0 THEN 'revoked' ELSE 'issued' END,
             $4 - 86400, $4 + 31536000, $4, $4, $5,
             CASE WHEN i % $3 = 0 THEN $4 - 3600 END, CASE WHEN i % $3 = 0 THEN 1 END
         FROM n",
    )
    .bind(i64::try_from(args.records)?)
    .bind(&args.ca)
    .bind(i64::try_from(args.revoked_one_in)?)
    .bind(i64::try_from(now)?)
    .bind(revision)
    .execute(&mut db)
    .await?;
    for (_, sql) in indexes {
        db.execute(AssertSqlSafe(sql)).await?;
    }
    db.execute("ANALYZE").await?;
    db.close().await?;
    Ok(())
}
