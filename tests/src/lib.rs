//! The rig: what every promise needs before it can be tested.
//!
//! Next door, `tests/it/` holds the promises themselves, a file each.

use std::path::{Path, PathBuf};

/// The workspace's top folder.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies one below the top")
}

/// The folder of other authorities' CRLs that `HUFU_CORPUS` names; `None` where there is none.
#[must_use]
pub fn corpus() -> Option<PathBuf> {
    std::env::var_os("HUFU_CORPUS")
        .map(PathBuf::from)
        .filter(|folder| folder.join("MANIFEST.tsv").is_file())
}
