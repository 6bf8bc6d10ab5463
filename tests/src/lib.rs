//! The rig: what every promise needs before it can be tested.
//!
//! - [`process`]: the real programs, found, started, stopped;
//! - [`demo`]: one appliance with its demo PKI, founded once and shared by the tests of a binary;
//! - [`http`]: a client that shows raw octets and headers;
//! - [`office`]: the rooms run apart, command by command;
//! - [`mod@patient`]: commands to paste, for a busy machine;
//! - [`holders`]: certificates with keys, for programs that speak TLS;
//! - [`pki`]: OCSP requests and responses by a second reading of RFC 6960, sharing no code with the rooms;
//! - [`der`]: the little DER under it;
//! - [`judge`]: OpenSSL, GnuTLS, BouncyCastle and the JDK, asked from outside;
//! - [`crl`]: CRLs as `x509-parser` reads them, and the folder of real ones;
//! - [`city`]: all of it at once, for a day of a few minutes.
//!
//! Next door, `tests/it/` holds the promises themselves, a file each.

pub mod city;
pub mod crl;
pub mod demo;
pub mod der;
pub mod holders;
pub mod http;
pub mod judge;
pub mod office;
pub mod patient;
pub mod pki;
pub mod process;
pub mod served;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The workspace's top folder.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies one below the top")
}

/// A folder that this process's tests share, under a name of its own. It outlives the process, since statics are never
/// dropped; the next one removes it.
///
/// # Panics
/// If it cannot be made.
#[must_use]
pub fn shared_folder(name: &str) -> PathBuf {
    static TOP: OnceLock<PathBuf> = OnceLock::new();
    const PREFIX: &str = "hufu-tests-";
    let top = TOP.get_or_init(|| {
        let all = std::env::temp_dir();
        for entry in fs::read_dir(&all)
            .expect("the temporary folder can be listed")
            .flatten()
        {
            let name = entry.file_name();
            let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                // Another test process may be removing it too.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        all.join(format!("{PREFIX}{}", std::process::id()))
    });
    let folder = top.join(name);
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}
