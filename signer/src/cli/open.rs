//! Opening what a verb works on: registry alone, or the whole office with its keys.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::args::Common;
use crate::config;
use crate::error::SignerError;
use crate::home::Home;
use crate::office::Office;
use crate::registry::{Blocking, SqliteStore};
use crate::settings::Settings;

/// The registry of a data folder that is founded.
pub(super) fn registry(data: &Path) -> Result<Blocking<SqliteStore>, SignerError> {
    let file = Home::new(data).signer().join(REGISTRY);
    if !file.exists() {
        return Err(SignerError::NotFounded(data.to_owned()));
    }
    Ok(Blocking::open(
        || async move { SqliteStore::open(&file).await },
    )?)
}

/// The office of a data folder that is founded, to read and to sign with: its registry is not written to.
pub(super) fn reading_office(
    settings: Settings,
    data: &Path,
) -> Result<Office<SqliteStore>, SignerError> {
    let file = Home::new(data).signer().join(REGISTRY);
    if !file.exists() {
        return Err(SignerError::NotFounded(data.to_owned()));
    }
    let registry = Blocking::open(|| async move { SqliteStore::open_to_read(&file).await })?;
    fitting(Office::new(Home::new(data), registry, settings)?)
}

/// The whole office of a data folder that is founded.
pub(super) fn office(common: &Common, data: &Path) -> Result<Office<SqliteStore>, SignerError> {
    let settings = config::read(common.config.as_deref())?;
    fitting(Office::new(Home::new(data), registry(data)?, settings)?)
}

/// The office of a data folder that may be empty or not be there at all.
pub(super) fn new_office(common: &Common, data: &Path) -> Result<Office<SqliteStore>, SignerError> {
    let settings = config::read(common.config.as_deref())?;
    let home = Home::new(data);
    let folder = home.signer();
    make(&folder).map_err(|source| SignerError::File {
        path: folder.clone(),
        source,
    })?;
    let file = folder.join(REGISTRY);
    let registry = Blocking::open(|| async move { SqliteStore::open(&file).await })?;
    fitting(Office::new(home, registry, settings)?)
}

/// An office whose settings fit its authorities: what those sign with stands in the registry only.
fn fitting(office: Office<SqliteStore>) -> Result<Office<SqliteStore>, SignerError> {
    for issuer in office.issuers()? {
        office
            .settings
            .check_for(issuer.alias(), issuer.algorithm)?;
    }
    Ok(office)
}

/// The data folder as others make theirs; inside it, keys and names of persons for its owner only.
fn make(folder: &Path) -> io::Result<()> {
    if let Some(data) = folder.parent() {
        fs::create_dir_all(data)?;
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// The registry's file in `DIR/signer/`.
const REGISTRY: &str = "registry.sqlite";
