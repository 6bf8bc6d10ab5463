//! PKCS#12 deliveries of demonstration keys: `DIR/signer/out/<serial>.p12` and `<serial>.password` beside it, both 0600.
//!
//! A signing key belongs to its holder and should never pass through here; this is for trying things out.

use super::CaError;
use crate::durable::{self, Existing, Secrecy};
use crate::home::Home;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Packs key, certificate and the chain above it; answers the file's path.
///
/// Delivering twice replaces the first delivery: the password is then another one, and both files agree.
///
/// # Errors
/// [`CaError::Pkcs12`], [`CaError::File`].
pub fn deliver(home: &Home, name: &str, pkcs8: &[u8], chain: &[&[u8]]) -> Result<PathBuf, CaError> {
    let mut random = Zeroizing::new([0; 18]);
    getrandom::fill(random.as_mut_slice()).map_err(|_| crate::key::KeyError::Random)?;
    let password = Zeroizing::new(URL_SAFE_NO_PAD.encode(random.as_slice()));
    let packed = pack(name, pkcs8, chain, &password)?;
    let folder = home.deliveries();
    let failed = |path: &PathBuf| {
        let path = path.clone();
        move |source| CaError::File { path, source }
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(failed(&folder))?;
    // The password first: a delivery without its password is worth nothing, and the other way round does no harm.
    let beside = folder.join(format!("{name}.password"));
    durable::write(
        &beside,
        password.as_bytes(),
        Secrecy::Private,
        Existing::Replace,
    )
    .map_err(failed(&beside))?;
    let path = folder.join(format!("{name}.p12"));
    durable::write(&path, &packed, Secrecy::Private, Existing::Replace).map_err(failed(&path))?;
    Ok(path)
}

fn pack(name: &str, pkcs8: &[u8], chain: &[&[u8]], password: &str) -> Result<Vec<u8>, CaError> {
    let refused = |error: p12_keystore::error::Error| CaError::Pkcs12(error.to_string());
    let key = PrivateKey::from_der(pkcs8).map_err(refused)?;
    let certificates = chain
        .iter()
        .map(|der| Certificate::from_der(der).map_err(refused))
        .collect::<Result<Vec<_>, _>>()?;
    let mut store = KeyStore::new();
    let entry = PrivateKeyChain::new(name, key, certificates);
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(entry));
    // The password has 144 random bits, so the crate's defaults (10,000 rounds) would only cost time.
    let writer = store
        .writer(password)
        .encryption_iterations(2_048)
        .mac_iterations(2_048);
    writer.write().map_err(refused)
}
