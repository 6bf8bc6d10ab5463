//! Whose files they are, and who else may write them.
//!
//! The sealing key vouches for generations, and an edge's `highest` for "never back": neither is worth more than the modes
//! of its file and folder. A key that others may write is refused; a key that others may read, and a folder that others may
//! write, are said in the log at each start: how a machine is shared is for its owner to judge.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A key file that cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// Group or others may write it.
    #[error("{} may be written by others (mode {mode:04o}); say `chmod 600 {}` if its content is still yours", path.display(), path.display())]
    Writable {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Somebody else's.
    #[error("{} belongs to user {owner}, and this program runs as {us}", path.display())]
    Owner {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// The system refused.
    #[error("cannot look at {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Refuses a private key that others may write, or that belongs to somebody else; warns of one that others may read.
pub fn check_key_file(path: &Path) -> Result<(), OwnershipError> {
    let metadata = fs::metadata(path).map_err(|source| OwnershipError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let mode = mode(&metadata);
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(OwnershipError::Writable {
            path: path.to_owned(),
            mode,
        });
    }
    if !is_ours(&metadata) {
        return Err(OwnershipError::Owner {
            path: path.to_owned(),
            owner: metadata.uid(),
            us: us(),
        });
    }
    if mode & READABLE_BY_OTHERS != 0 {
        tracing::warn!(path = %path.display(), mode = %format_args!("{mode:04o}"), "others may read this private key");
    }
    Ok(())
}

/// Warns of a folder that others may write; `what` they could change.
pub(crate) fn warn_of_folder(folder: &Path, what: &str) {
    // One that cannot be looked at fails elsewhere, with a better reason.
    let Ok(metadata) = fs::metadata(folder) else {
        return;
    };
    let mode = mode(&metadata);
    if is_exposed(&metadata) {
        tracing::warn!(path = %folder.display(), mode = %format_args!("{mode:04o}"), owner = metadata.uid(), "others may write this folder, and change {what}");
    }
}

fn is_exposed(metadata: &Metadata) -> bool {
    mode(metadata) & WRITABLE_BY_OTHERS != 0 || !is_ours(metadata)
}

/// Ours, or root's, who may do anything anyhow.
fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == us() || metadata.uid() == 0
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

const WRITABLE_BY_OTHERS: u32 = 0o022;
const READABLE_BY_OTHERS: u32 = 0o044;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_sealing_key_that_others_may_write_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("seal.key");
        fs::write(&key, b"key").unwrap();
        for sound in [0o600, 0o400, 0o640] {
            set(&key, sound);
            assert!(check_key_file(&key).is_ok(), "{sound:o}");
        }
        for exposed in [0o620, 0o602, 0o666, 0o777] {
            set(&key, exposed);
            let refused = check_key_file(&key).unwrap_err();
            assert!(refused.to_string().contains("chmod 600"), "{refused}");
        }
        fs::remove_file(&key).unwrap();
        assert!(check_key_file(&key).is_err());
    }

    #[test]
    fn a_folder_that_others_may_write_is_passed_over_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, exposed) in [
            (0o755, false),
            (0o700, false),
            (0o775, true),
            (0o1777, true),
        ] {
            set(folder.path(), mode);
            let metadata = fs::metadata(folder.path()).unwrap();
            assert_eq!(is_exposed(&metadata), exposed, "{mode:o}");
        }
    }
}
