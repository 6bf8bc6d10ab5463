//! The connections to the file: one writes, some read, one folds the log; and the file beside it that wakes whoever waits
//! for a revision.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::listing;
use crate::registry::{Answer, RegistryError};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// Connections that read: for changes, for base shards, and two for papers, which read a long list with both. One more for
/// whoever asks beside them, so that a revocation waits for nobody.
const READERS: u32 = 5;
/// Pages in the write-ahead log at which whoever commits folds it into the file (64 MiB): where nobody else does, see
/// [`Store::fold`].
const FOLD_PAGES: &str = "16384";
/// Extension of the file beside the registry that is written after each new revision.
pub const NUDGE: &str = "nudge";
/// How long a change of another thread or process is waited for: the longest is a submission of 200,000 rows.
const BUSY: Duration = Duration::from_secs(300);

/// The registry in one SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
    /// Folds the log, beside whoever writes.
    pub(super) folder: SqlitePool,
    nudge: PathBuf,
}

impl SqliteStore {
    /// Opens the file, makes it if there is none, and brings its schema up to date.
    pub async fn open(file: &Path) -> Answer<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .pragma("wal_autocheckpoint", FOLD_PAGES)
            .statement_cache_capacity(256);
        let pool = |size| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(BUSY)
        };
        let writer = pool(1).connect_with(options.clone()).await?;
        MIGRATIONS
            .run(&writer)
            .await
            .map_err(RegistryError::Schema)?;
        let options = options.create_if_missing(false);
        let folder = pool(1).connect_lazy_with(options.clone());
        let readers = pool(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self {
            writer,
            readers,
            folder,
            nudge: file.with_extension(NUDGE),
        })
    }

    /// Tells whoever watches the folder that there is a new revision. It is there already; who does not watch looks by
    /// itself before long, so a failure is none.
    pub(super) fn nudge(&self) {
        let _ = std::fs::write(&self.nudge, b"\n");
    }

    /// Opens the file to read: it must be there, its schema is left as it is, and what would write is refused by SQLite.
    pub async fn open_to_read(file: &Path) -> Answer<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .read_only(true)
            .busy_timeout(BUSY)
            .statement_cache_capacity(256);
        let pool = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY);
        let readers = pool.connect_with(options).await?;
        Ok(Self {
            writer: readers.clone(),
            folder: readers.clone(),
            readers,
            nudge: file.with_extension(NUDGE),
        })
    }

    /// Closes all connections, folding the write-ahead log into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.folder.close().await;
        self.writer.close().await;
    }

    /// A transaction that may write; it holds the only lock from its first statement.
    pub(super) async fn write(&self) -> Answer<Transaction<'static, Sqlite>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// A transaction that sees one moment of the registry.
    pub(super) async fn view(&self) -> Answer<Transaction<'static, Sqlite>> {
        Ok(self.readers.begin().await?)
    }

    /// Another transaction that sees the same lists; none if something changed meanwhile, which hardly ever happens.
    pub(super) async fn view_like(
        &self,
        view: &mut SqliteConnection,
    ) -> Answer<Option<Transaction<'static, Sqlite>>> {
        let shown = listing::revision(view).await?;
        let mut beside = self.view().await?;
        let same = listing::revision(&mut beside).await? == shown;
        Ok(same.then_some(beside))
    }
}
