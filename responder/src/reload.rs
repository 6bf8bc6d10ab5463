//! A new generation: noticed, opened aside, touched, swapped in; off the serving threads. (The first is touched while it
//! serves: a restart waits for no disk.)
//!
//! `hufu-loader follow` moves the pointer in the edge folder once everything it names is there and verified. A thread
//! here looks at the pointer when the kernel tells of a new name in that folder, and ten times a second. What does not open (torn, not sealed by a pinned key, numbered lower
//! than what is served) is refused: counted by reason, told in the log once, and the old generation serves on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hufu_loader::error::{OpenError, StoreError};
use hufu_loader::manifest::ManifestError;
use hufu_loader::nudge::FolderWatch;
use hufu_loader::seal::PublicKey;
use hufu_loader::snapshot::Snapshot;
use hufu_loader::store::{Pointer, Store};

use crate::histogram::Histogram;
use crate::live::Shelf;
use crate::worker::Current;

/// What is served, and how the last changes went: written by the reload thread, read by workers and `admin`.
pub(crate) struct Edge {
    pub(crate) current: Current,
    /// What the way to the live lane knows of it, if there is such a way.
    pub(crate) live: Option<Shelf>,
    /// Set when the process has been told to stop: not ready any more.
    pub(crate) draining: AtomicBool,
    taken: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
    refusal: Mutex<Option<String>>,
    visible: Histogram,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            current: Current::default(),
            live: None,
            draining: AtomicBool::default(),
            taken: AtomicU64::default(),
            refused: Default::default(),
            refusal: Mutex::default(),
            visible: Histogram::new(visible::BOUNDS),
        }
    }
}

impl Edge {
    /// One that tells the way to the live lane of its generations.
    pub(crate) fn with(live: Option<Shelf>) -> Self {
        Self {
            live,
            ..Self::default()
        }
    }

    /// The generation being served.
    pub(crate) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full()
    }

    /// Generations taken since the start.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// How long changes of status were under way when they came to be served.
    pub(crate) fn visible(&self) -> &Histogram {
        &self.visible
    }

    /// Generations refused since the start, by reason.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Reason::ALL.into_iter().map(|reason| {
            (
                reason.label(),
                self.refused[reason as usize].load(Ordering::Relaxed),
            )
        })
    }

    /// Why what the pointer names now is not served; none if it is.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_refusal(&self, refusal: Option<String>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }
}

/// Why a generation is refused, as a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Reason {
    /// A file is missing or cannot be read.
    Unreadable,
    /// Octets are not what their hash, seal or form says.
    Torn,
    /// Sealed by a key that is not pinned.
    UnknownKey,
    /// Numbered no higher than what has been accepted, and another.
    Lower,
    /// Sealed and whole, but of a format or of contents this program cannot serve.
    Unfit,
}

impl Reason {
    const ALL: [Self; 5] = [
        Self::Unreadable,
        Self::Torn,
        Self::UnknownKey,
        Self::Lower,
        Self::Unfit,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Torn => "torn",
            Self::UnknownKey => "unknown_key",
            Self::Lower => "lower",
            Self::Unfit => "unfit",
        }
    }
}

impl From<&OpenError> for Reason {
    fn from(error: &OpenError) -> Self {
        use hufu_loader::pack::PackError;
        match error {
            OpenError::Empty { .. }
            | OpenError::Store(StoreError::Unreadable { .. })
            | OpenError::Pack(PackError::Unreadable { .. }) => Self::Unreadable,
            OpenError::Store(StoreError::Manifest { source, .. }) => match source {
                ManifestError::UnknownKey { .. } => Self::UnknownKey,
                ManifestError::NoSeal | ManifestError::BadSeal { .. } => Self::Torn,
                _ => Self::Unfit,
            },
            OpenError::Store(_)
            | OpenError::Object { .. }
            | OpenError::Damaged { .. }
            | OpenError::Pack(_) => Self::Torn,
            OpenError::Lower { .. } | OpenError::SameNumber { .. } => Self::Lower,
            OpenError::OtherPack { .. } | OpenError::Misfit { .. } => Self::Unfit,
        }
    }
}

/// Why a generation is not served.
#[derive(Debug, thiserror::Error)]
enum Unopened {
    /// It cannot be trusted, read or understood.
    #[error(transparent)]
    Refused(#[from] OpenError),
    /// This program fails over it.
    #[error("opening it panicked: a defect of the responder")]
    Defect,
}

impl Unopened {
    fn reason(&self) -> Reason {
        match self {
            Self::Refused(error) => Reason::from(error),
            Self::Defect => Reason::Unfit,
        }
    }

    fn is_defect(&self) -> bool {
        matches!(self, Self::Defect)
    }
}

/// The watcher of the edge folder.
pub(crate) struct Reload {
    root: PathBuf,
    store: Store,
    pins: Vec<PublicKey>,
    edge: Arc<Edge>,
    serving: Option<Pointer>,
    refused: Option<Refused>,
    /// Generations that workers may still look into. Dropped here, where unmapping delays nobody.
    retired: Vec<Arc<Snapshot>>,
    /// The first generation, while nobody reads it ahead.
    untouched: Option<Arc<Snapshot>>,
    /// When files of the generation served are looked at next.
    repairs_at: Option<Instant>,
}

struct Refused {
    text: String,
    /// What named it; none if the pointer itself cannot be read.
    pointer: Option<Pointer>,
    /// How often the same has been refused before.
    times: u32,
    retry_at: Instant,
}

impl Reload {
    pub(crate) fn new(root: PathBuf, pins: Vec<PublicKey>, edge: Arc<Edge>) -> Self {
        Self {
            store: Store::at(&root),
            root,
            pins,
            edge,
            serving: None,
            refused: None,
            retired: Vec::new(),
            untouched: None,
            repairs_at: None,
        }
    }

    /// Looks when something appears in the edge folder, and every `poll`, until the other end of `stop` is gone.
    pub(crate) fn run(mut self, poll: Duration, stop: &Receiver<()>) {
        let mut watch = FolderWatch::new();
        while stop.try_recv() == Err(TryRecvError::Empty) {
            watch.add(&self.root);
            self.look(Instant::now());
            self.touch_first();
            watch.wait(poll);
        }
    }

    /// Has a thread of its own read the first generation ahead: it may take minutes, and new ones do not wait for it.
    /// Failing that, each page is read when it is asked for.
    fn touch_first(&mut self) {
        if let Some(first) = self.untouched.take() {
            // It ends by itself, or with the process.
            let _ = std::thread::Builder::new()
                .name("touch".to_owned())
                .spawn(move || first.touch_new(None));
        }
    }

    /// Takes the generation that the pointer names, if it is another than the one served.
    pub(crate) fn look(&mut self, now: Instant) {
        self.look_by(now, Self::open);
    }

    /// The same with another way to open it.
    fn look_by(&mut self, now: Instant, open: impl FnOnce(&Self) -> Result<Snapshot, Unopened>) {
        self.retired.retain(|old| Arc::strong_count(old) > 1);
        let found = self.store.read_pointer();
        let pointer = found.as_ref().ok().copied().flatten();
        if pointer.is_some() && pointer == self.serving {
            self.refused = None;
            self.edge.set_refusal(None);
            self.look_for_repairs(now);
            return;
        }
        // Only what has been refused waits: a good generation may come right after it.
        if self
            .refused
            .as_ref()
            .is_some_and(|refused| now < refused.retry_at && refused.pointer == pointer)
        {
            return;
        }
        let opened = found.map_err(OpenError::Store);
        let opened = opened.map(|_| unless_it_panics(|| open(self)));
        match opened.unwrap_or_else(|error| Err(error.into())) {
            Ok(snapshot) => self.take(snapshot),
            Err(error) => self.refuse(&error, pointer, now),
        }
    }

    /// A file that was found damaged and fetched anew has its name again, but mapped is the damaged one: the generation is
    /// opened once more, and shares all that was not replaced.
    fn look_for_repairs(&mut self, now: Instant) {
        if self.repairs_at.is_some_and(|at| now < at) {
            return;
        }
        self.repairs_at = Some(now + REPAIRS_EVERY);
        let serving = self.edge.snapshot();
        if !serving.is_some_and(|serving| serving.has_replaced_files(&self.root)) {
            return;
        }
        match unless_it_panics(|| self.open()) {
            Ok(snapshot) => {
                tracing::info!(
                    generation = snapshot.number(),
                    "a file was repaired, and is opened anew"
                );
                self.serve(snapshot);
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(error, "what was repaired cannot be opened");
                self.repairs_at = Some(now + RETRY_DEFECT_AT_LEAST_EVERY);
            }
        }
    }

    /// Opens, and touches what is to replace another generation; nobody is served from it yet. The first one is served at
    /// once: to read all of it ahead would keep the ports closed for as long ([`run`](Self::run) does it meanwhile).
    fn open(&self) -> Result<Snapshot, Unopened> {
        let Some(previous) = self.edge.snapshot() else {
            // `open` itself looks at the highest number that `follow` has noted in the folder.
            let snapshot = Snapshot::open(&self.root, &self.pins, None)?;
            snapshot.prove_deltas(None)?;
            return Ok(snapshot);
        };
        let snapshot = Snapshot::open_next(&self.root, &self.pins, &previous)?;
        snapshot.prove_deltas(Some(&previous))?;
        snapshot.touch_new(Some(&previous));
        Ok(snapshot)
    }

    fn take(&mut self, snapshot: Snapshot) {
        tracing::info!(
            generation = snapshot.number(),
            revision = snapshot.revision(),
            valid_until = snapshot.valid_until(),
            "serving a new generation"
        );
        self.edge.taken.fetch_add(1, Ordering::Relaxed);
        self.serve(snapshot);
    }

    fn serve(&mut self, snapshot: Snapshot) {
        // Its own: the folder's may have moved on between our look at it and the opening.
        self.serving = Some(snapshot.pointer());
        self.refused = None;
        self.edge.set_refusal(None);
        if let Some(live) = &self.edge.live {
            live.learn(&snapshot);
        }
        let snapshot = Arc::new(snapshot);
        let replaced = self.edge.current.swap(Some(Arc::clone(&snapshot)));
        if let Some(old) = replaced {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            if let Some(time) = visible::under_way(&snapshot, &old, now.unwrap_or_default()) {
                self.edge.visible.observe(time);
            }
            self.retired.push(old);
        } else {
            self.untouched = Some(snapshot);
        }
    }

    /// Counts and tells a refusal once, and tries the same again only after a while: a store may be repaired in place.
    fn refuse(&mut self, error: &Unopened, pointer: Option<Pointer>, now: Instant) {
        let text = with_causes(error);
        // A defect has the same words for every generation.
        let is_same = |refused: &&Refused| {
            refused.text == text && (!error.is_defect() || refused.pointer == pointer)
        };
        let before = self.refused.as_ref().filter(is_same);
        let times = before.map_or(0, |refused| refused.times.saturating_add(1));
        if before.is_none() {
            let reason = error.reason();
            self.edge.refused[reason as usize].fetch_add(1, Ordering::Relaxed);
            tracing::error!(reason = reason.label(), error = text, "generation refused");
            self.edge.set_refusal(Some(text.clone()));
        }
        // What this program fails over it will mostly fail over again, and a panic is no small thing to repeat each second. But
        // with nothing to serve there is nothing better to do.
        let pause = if error.is_defect() && self.edge.snapshot().is_some() {
            let doubled = RETRY_AFTER.saturating_mul(1 << times.min(MAX_DOUBLINGS));
            doubled.min(RETRY_DEFECT_AT_LEAST_EVERY)
        } else {
            RETRY_AFTER
        };
        self.refused = Some(Refused {
            text,
            pointer,
            times,
            retry_at: now + pause,
        });
    }
}

/// A generation that trips over a defect of ours is refused like any other: the old one serves on.
fn unless_it_panics(
    open: impl FnOnce() -> Result<Snapshot, Unopened>,
) -> Result<Snapshot, Unopened> {
    catch_unwind(AssertUnwindSafe(open)).unwrap_or(Err(Unopened::Defect))
}

/// An error with everything it says about its causes, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Looking at the names of some thousand files costs some milliseconds.
const REPAIRS_EVERY: Duration = Duration::from_secs(10);
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_DEFECT_AT_LEAST_EVERY: Duration = Duration::from_secs(300);
/// 2 to this power seconds are more than that.
const MAX_DOUBLINGS: u32 = 9;

mod visible;

#[cfg(test)]
mod tests;
