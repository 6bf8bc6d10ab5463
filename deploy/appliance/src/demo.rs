//! The demo's files (`deploy/demo/`), carried in the binary and laid out in `DIR/demo/` at founding.

use std::fs;
use std::path::Path;

use crate::error::UpError;

/// The folders below `forms/`, in the order they are submitted, with what `hufu signer submit` is told about each.
pub(crate) const SUBMISSIONS: [Submission; 6] = [
    Submission {
        ca: "p256",
        kind: "person",
    },
    Submission {
        ca: "p256",
        kind: "unit",
    },
    Submission {
        ca: "p256",
        kind: "device",
    },
    Submission {
        ca: "sm2",
        kind: "person",
    },
    Submission {
        ca: "sm2",
        kind: "unit",
    },
    Submission {
        ca: "sm2",
        kind: "device",
    },
];

/// One application with its schedule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Submission {
    pub(crate) ca: &'static str,
    pub(crate) kind: &'static str,
}

/// Writes forms, certificate requests and the other authority's CRL below `folder`.
pub(crate) fn lay_out(folder: &Path) -> Result<(), UpError> {
    for (name, octets) in FILES {
        let path = folder.join(name);
        let parent = path.parent().expect("a file has a folder");
        fs::create_dir_all(parent).map_err(UpError::file("cannot make", parent))?;
        fs::write(&path, octets).map_err(UpError::file("cannot write", &path))?;
        if !name.contains('.') {
            make_executable(&path)?;
        }
    }
    Ok(())
}

/// The only files without an extension are scripts.
fn make_executable(path: &Path) -> Result<(), UpError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(UpError::file("cannot make executable", path))
}

/// Name below `deploy/demo/`, and octets; the list is made by `build.rs`.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/demo_files.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_submission_has_its_two_forms_and_every_request_it_names() {
        let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        for Submission { ca, kind } in SUBMISSIONS {
            for form in ["application", "schedule"] {
                let wanted = format!("forms/{ca}-{kind}/{form}.csv");
                let (_, octets) = FILES
                    .iter()
                    .find(|(name, _)| *name == wanted)
                    .expect(&wanted);
                let text = std::str::from_utf8(octets).unwrap();
                for request in text
                    .split([',', '\r', '\n'])
                    .filter(|cell| cell.ends_with(".csr"))
                {
                    assert!(
                        names.contains(&format!("forms/csr/{request}").as_str()),
                        "{wanted} names {request}"
                    );
                }
            }
        }
    }

    #[test]
    fn no_private_key_is_carried() {
        for (name, octets) in FILES {
            assert!(!octets.windows(11).any(|w| w == b"PRIVATE KEY"), "{name}");
        }
    }
}
