//! What publishing is about to do, step by step: made first, printed if asked, then carried out.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::manifest::TrustedManifest;
use crate::store::Pointer;

/// What will be done, in order; [`fmt::Display`] says it one line a step.
#[derive(Debug)]
#[must_use = "a plan does nothing until it is carried out"]
pub struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) next: TrustedManifest,
}

/// One step of a plan.
#[derive(Debug)]
pub enum Step {
    /// A sealed file gets its name.
    Place {
        /// In `tmp/`.
        temp: PathBuf,
        /// In `objects/`.
        path: PathBuf,
    },
    /// The names in a folder become durable.
    SyncFolder {
        /// Which folder.
        folder: PathBuf,
    },
    /// The manifest becomes durable.
    WriteManifest {
        /// In `manifests/`.
        path: PathBuf,
    },
    /// The new generation is opened as a responder will.
    Rehearse,
    /// `current` names the new generation.
    MovePointer {
        /// Its two lines.
        pointer: Pointer,
    },
    /// A file that no recent manifest names goes.
    Retire {
        /// Which.
        path: PathBuf,
    },
}

impl Plan {
    /// The number the generation will have.
    pub fn number(&self) -> u64 {
        self.next.manifest().number
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl Step {
    /// The file that goes.
    pub(super) fn retired(&self) -> Option<&Path> {
        match self {
            Step::Retire { path } => Some(path),
            _ => None,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |path: &Path| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let name = |path: &Path| name(path).unwrap_or_default();
        match self {
            Step::Place { temp, path } => {
                write!(f, "place {} as objects/{}", name(temp), name(path))
            }
            Step::SyncFolder { folder } => write!(f, "sync {}/", name(folder)),
            Step::WriteManifest { path } => write!(f, "write manifests/{}", name(path)),
            Step::Rehearse => f.write_str("rehearse: open it as a responder will"),
            Step::MovePointer { pointer } => write!(f, "point current at {}", pointer.number),
            Step::Retire { path } => write!(f, "retire {}", name(path)),
        }
    }
}
