//! `follow`: keep an edge's own verified copy of a store up to date, and read it again bit by bit.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::outward::BucketArgs;
use super::{Outcome, REFUSED, now, sentence};
use crate::admin;
use crate::bucket::{BucketSource, Place};
use crate::digest::Digest;
use crate::durable::FsDisk;
use crate::follow::nudge::Nudges;
use crate::follow::{Followed, Follower, HealRound, Limits};
use crate::metrics::FollowMetrics;
use crate::nudge::FolderWatch;
use crate::scrub::{DELTAS_EVERY, Scrubbed, Scrubber};
use crate::seal::{PublicKey, read_pins};
use crate::store::Store;

#[derive(Debug, Args)]
pub(super) struct FollowArgs {
    #[arg(
        long,
        value_name = "STORE",
        help = "The published store: a folder, s3://bucket/prefix, or https://host/prefix"
    )]
    store: Place,
    /// This edge's own copy
    #[arg(long, value_name = "DIR")]
    edge: PathBuf,
    /// The sealing keys that are believed, 64 hexadecimal digits a line: the current one, and the next
    #[arg(long, value_name = "FILE")]
    pin: PathBuf,
    /// How often the store is looked at [default: 50 for a folder, 2000 otherwise]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
    /// By how much each pause is longer or shorter at random, so that edges do not ask all at once
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(..=100))]
    jitter: u64,
    /// Look at once when this address gets an HTTP POST (the publisher's --nudge)
    #[arg(long, value_name = "ADDR")]
    nudge: Option<SocketAddr>,
    /// What this edge's objects may take on the disk; two full generations fit, or a new one is refused
    #[arg(long, value_name = "MEBIBYTES", value_parser = mebibytes())]
    disk_budget: Option<u64>,
    /// What stays free on the disk whatever comes
    #[arg(long, value_name = "MEBIBYTES", default_value_t = 64, value_parser = mebibytes())]
    keep_free: u64,
    /// How much of the copy is read again each second to find damage; 0 for its deltas alone, each minute
    #[arg(long, value_name = "MEBIBYTES", default_value_t = 4, value_parser = mebibytes())]
    scrub: u64,
    /// Tell metrics at this address, /metrics and /healthz: 127.0.0.1:2566 [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Fetch what is there and end
    #[arg(long)]
    once: bool,
    /// Take the store's generation NUMBER although its history is not the one this edge knows, and end
    #[arg(long, value_name = "NUMBER")]
    accept_fork: Option<u64>,
    #[command(flatten)]
    access: BucketArgs,
}

/// As many as octets can be counted of.
fn mebibytes() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(..=1 << 40)
}

pub(super) fn run(args: &FollowArgs) -> Outcome {
    let pins = read_pins(&args.pin)?;
    let edge = Store::at(&args.edge);
    let mut follower = open(args, &edge, &pins)?;
    follower.limit(Limits {
        budget: args.disk_budget.map(|mebibytes| mebibytes << 20),
        keep_free: args.keep_free << 20,
    });
    if let Some(number) = args.accept_fork {
        follower.accept_fork(number);
    }
    if args.once || args.accept_fork.is_some() {
        return once(&mut follower);
    }
    let mut pace = Pace::of(args)?;
    let mut metrics = FollowMetrics::new(follower.number())?;
    if let Some(address) = args.metrics {
        let asked = metrics.clone();
        let address = admin::serve(address, move || asked.text())?;
        tracing::info!(%address, "telling metrics");
    }
    let mut scrub = Scrub::new(Scrubber::new(edge, pins), args.scrub << 20);
    tracing::info!(
        store = %args.store,
        edge = %args.edge.display(),
        number = follower.number(),
        "following"
    );
    loop {
        // What is refused was logged, once; the generation in place serves on and a later poll tries again.
        let began = Instant::now();
        let outcome = follower.poll_and_log();
        metrics.polled(&outcome, began.elapsed(), now());
        scrub.go_on(&follower, &metrics);
        match outcome {
            Ok(_) => pace.sleep(),
            Err(_) => pace.sleep_after_a_refusal(&follower),
        }
    }
}

fn open(
    args: &FollowArgs,
    edge: &Store,
    pins: &[PublicKey],
) -> Result<Follower<'static>, Box<dyn std::error::Error>> {
    let (edge, pins) = (edge.clone(), pins.to_vec());
    Ok(match &args.store {
        Place::Folder(path) => Follower::open(&FsDisk, Store::at(path), edge, pins)?,
        place => {
            let source = BucketSource::new(args.access.open(place)?);
            Follower::open(&FsDisk, source, edge, pins)?
        }
    })
}

fn once(follower: &mut Follower<'_>) -> Outcome {
    match follower.poll_and_log()? {
        Followed::Empty => {
            eprintln!("error: the store holds no generation yet");
            return Ok(ExitCode::from(REFUSED));
        }
        Followed::Unchanged => println!("generation {} is in place already", number(follower)),
        Followed::Took(taken) => println!(
            "generation {}: {} files fetched, {} octets",
            taken.number, taken.files, taken.octets
        ),
    }
    Ok(ExitCode::SUCCESS)
}

fn number(follower: &Follower<'_>) -> u64 {
    follower.number().unwrap_or_default()
}

/// How often the store is asked: at random intervals about the setting, sooner when nudged or when the kernel tells of a
/// new name in its folder, later while it is wrong.
struct Pace {
    every: Duration,
    jitter_percent: u64,
    random: u64,
    nudges: Option<Nudges>,
    /// Of a store that is a folder: its pointer is renamed into it.
    watch: FolderWatch,
    store: Option<PathBuf>,
}

impl Pace {
    fn of(args: &FollowArgs) -> Result<Pace, Box<dyn std::error::Error>> {
        let default = match args.store {
            Place::Folder(_) => FOLDER_EVERY_MS,
            _ => BUCKET_EVERY_MS,
        };
        let nudges = match args.nudge {
            Some(address) => Some(
                Nudges::listen(address).map_err(|error| format!("--nudge {address}: {error}"))?,
            ),
            None => None,
        };
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        Ok(Pace {
            every: Duration::from_millis(args.every.unwrap_or(default)),
            jitter_percent: args.jitter,
            // Zero would stay zero.
            random: seed | 1,
            nudges,
            watch: FolderWatch::new(),
            store: match &args.store {
                Place::Folder(store) => Some(store.clone()),
                _ => None,
            },
        })
    }

    fn sleep(&mut self) {
        let pause = self.jittered(self.every);
        if let Some(store) = &self.store {
            self.watch.add(store);
        }
        self.sleep_for(pause);
    }

    fn sleep_for(&self, pause: Duration) {
        match &self.nudges {
            Some(nudges) => nudges.sleep(pause),
            None => self.watch.wait(pause),
        }
    }

    /// What was refused is not fetched again at every poll, it may be large; something else is looked for as often as
    /// ever, unless the store is away altogether.
    fn sleep_after_a_refusal(&mut self, follower: &Follower<'_>) {
        let times = follower.tally().refusals_in_a_row().saturating_sub(1);
        let least = self.every.clamp(AFTER_A_REFUSAL, LONGEST_WAIT);
        let longer = least.saturating_mul(1 << times.min(6));
        let wait = self.jittered(longer.min(LONGEST_WAIT));
        let began = Instant::now();
        loop {
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                return;
            }
            let step = self.jittered(least).min(left);
            self.sleep_for(step);
            if follower.offers_another() {
                return;
            }
        }
    }

    /// xorshift: good enough to keep a fleet from marching in step.
    fn jittered(&mut self, pause: Duration) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let percent = 100 - self.jitter_percent + self.random % (2 * self.jitter_percent + 1);
        pause.mul_f64(percent as f64 / 100.0)
    }
}

/// Reads the edge's files again, so many octets a second; a damaged one is fetched anew, or written anew if it is one of the
/// follower's own.
struct Scrub {
    scrubber: Scrubber,
    octets_a_second: u64,
    due: Instant,
    round_began: Instant,
    /// No round begins sooner than this after the one before.
    round: Duration,
    /// When it is tried next whether all that is in place can be opened.
    heal_due: Instant,
    healing: HealRound,
    /// What could not be fetched anew in this round and in the one before: each is said once.
    fails: BTreeSet<Digest>,
    failed_before: BTreeSet<Digest>,
    /// Why the last step was put off: said once.
    put_off: Option<String>,
}

impl Scrub {
    fn new(scrubber: Scrubber, octets_a_second: u64) -> Self {
        let now = Instant::now();
        // A responder that starts refuses a damaged delta, and serves nothing until somebody fetches it anew.
        let (scrubber, octets_a_second, round) = match octets_a_second {
            0 => (scrubber.of_deltas(), DELTAS_OCTETS, DELTAS_EVERY),
            octets => (scrubber, octets, ROUND),
        };
        Self {
            scrubber,
            octets_a_second,
            // At once: a responder may be waiting for what rotted while nobody looked.
            due: now,
            round_began: now,
            round,
            heal_due: now,
            healing: HealRound::default(),
            fails: BTreeSet::new(),
            failed_before: BTreeSet::new(),
            put_off: None,
        }
    }

    /// Fetches what keeps a responder from opening what is in place: some files a step, a round of them each minute, or as long
    /// as a cold disk takes.
    fn heal(&mut self, now: Instant, follower: &Follower<'_>, metrics: &FollowMetrics) {
        let healing = follower.heal(&mut self.healing, &mut || now.elapsed() >= HEAL_STEP);
        for name in &healing.fetched {
            metrics.scrubbed("damaged");
            metrics.scrubbed("fetched_anew");
            tracing::info!(name, "scrub: fetched anew");
        }
        if let Some((file, refusal)) = &healing.failed {
            // Counted each time: it lasts.
            metrics.scrubbed("not_fetched");
            if self.fails.insert(*file) && !self.failed_before.contains(file) {
                tracing::error!(%file, reason = %sentence(refusal), "scrub: a file in place cannot be opened");
            }
        }
        if healing.is_done {
            self.heal_due = now + DELTAS_EVERY;
            self.failed_before = std::mem::take(&mut self.fails);
        }
    }

    fn go_on(&mut self, follower: &Follower<'_>, metrics: &FollowMetrics) {
        let now = Instant::now();
        if now >= self.heal_due {
            self.heal(now, follower, metrics);
        }
        if now < self.due {
            return;
        }
        // A poll that comes seldom reads for the seconds that have passed.
        let seconds = now
            .duration_since(self.due)
            .as_secs()
            .min(MAX_SECONDS_A_STEP)
            + 1;
        self.due = now + Duration::from_secs(1);
        let step = self.scrubber.step(now, self.octets_a_second * seconds);
        if step.is_ok() {
            self.put_off = None;
        }
        match step {
            Ok(Scrubbed::Sound) => {}
            Ok(Scrubbed::RoundDone) => {
                metrics.scrubbed("round_done");
                mend_own(follower, metrics);
                // A small edge is not read without end.
                self.due = self.due.max(self.round_began + self.round);
                self.round_began = self.due;
            }
            Ok(Scrubbed::Damaged {
                entry,
                path,
                damage,
            }) => {
                tracing::error!(path = %path.display(), name = %entry.name, %damage, "scrub: a file is damaged");
                metrics.scrubbed("damaged");
                match follower.fetch(&entry) {
                    Ok(()) => {
                        tracing::info!(name = %entry.name, "scrub: fetched anew");
                        metrics.scrubbed("fetched_anew");
                    }
                    Err(refusal) => {
                        metrics.scrubbed("not_fetched");
                        tracing::error!(name = %entry.name, reason = %sentence(&refusal), "scrub: not fetched");
                    }
                }
            }
            // The pointer or the manifest is damaged.
            Err(error) => {
                let reason = sentence(&error);
                if !mend_own(follower, metrics) && self.put_off.as_ref() != Some(&reason) {
                    tracing::warn!(reason, "scrub: put off");
                    self.put_off = Some(reason);
                }
            }
        }
    }
}

/// Writes the follower's own small files again if they are damaged; whether any was.
fn mend_own(follower: &Follower<'_>, metrics: &FollowMetrics) -> bool {
    match follower.mend() {
        Ok(mended) => {
            for name in &mended {
                metrics.scrubbed("damaged");
                metrics.scrubbed("fetched_anew");
                tracing::error!(
                    name,
                    "scrub: a file of the edge's own was damaged, and is written anew"
                );
            }
            !mended.is_empty()
        }
        Err(refusal) => {
            metrics.scrubbed("not_fetched");
            tracing::error!(reason = %sentence(&refusal), "scrub: a file of the edge's own is damaged and cannot be written");
            false
        }
    }
}

/// Looking at a pointer on a disk costs microseconds.
const FOLDER_EVERY_MS: u64 = 50;
/// Looking at one in a bucket costs a request, and money.
const BUCKET_EVERY_MS: u64 = 2000;
/// A store that is wrong stays wrong for a while; asking it again twenty times a second helps nobody.
const AFTER_A_REFUSAL: Duration = Duration::from_millis(500);
/// However long it has been wrong, it is asked this often.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// No round of the whole scrub begins sooner than this after the one before.
const ROUND: Duration = Duration::from_secs(10);
/// How long one step of opening what is in place may hold a poll up: thousands of packs that were opened before, some
/// dozens on a cold disk.
const HEAL_STEP: Duration = Duration::from_millis(250);
/// Read a second where nothing but deltas is read.
const DELTAS_OCTETS: u64 = 4 << 20;
/// Seconds' worth that one step of the scrub reads at most.
const MAX_SECONDS_A_STEP: u64 = 60;

pub(super) const FOLLOW_EXAMPLES: &str = "\
Examples:
  hufu-loader follow --store hufu-data/store --edge hufu-data/edge --pin hufu-data/loader/seal.pub
  hufu-loader follow --once --store /mnt/store --edge /var/lib/hufu/edge --pin /etc/hufu/seal.pub
  A bucket, with keys that may only read, asked every ten seconds and whenever the publisher nudges:
    export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…
    hufu-loader follow --store s3://status/city --edge /var/lib/hufu/edge --pin /etc/hufu/seal.pub \\
      --every 10000 --nudge 0.0.0.0:2570 --disk-budget 4096
  The same store behind a content delivery network:
    hufu-loader follow --store https://cdn.example/city --edge /var/lib/hufu/edge --pin /etc/hufu/seal.pub

Every file is hashed as it is fetched; a generation is taken only whole, only sealed by a pinned key, only if its number is
higher than the highest ever taken. DIR/highest remembers that number: the folder must be writable by nobody else.
What is refused stands in the log once, and in DIR/follow.json. Redirects of a store are not followed.

A store that was restored from a backup or begun anew has another history, and is refused as forked. If that was on
purpose, stop the follower, take its generation once by number, and start the follower again:
  hufu-loader follow --accept-fork 101 --store s3://status/city --edge /var/lib/hufu/edge --pin /etc/hufu/seal.pub";
