//! `follow`: keep an edge's own verified copy of a store up to date, and read it again bit by bit.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::{FollowArgs, Outcome, REFUSED, sentence};
use crate::durable::FsDisk;
use crate::follow::{Followed, Follower};
use crate::scrub::{Scrubbed, Scrubber};
use crate::seal::read_pins;
use crate::store::Store;

pub(super) fn run(args: &FollowArgs) -> Outcome {
    let pins = read_pins(&args.pin)?;
    let (source, edge) = (Store::at(&args.store), Store::at(&args.edge));
    let mut follower = Follower::open(&FsDisk, source, edge.clone(), pins.clone())?;
    if args.once {
        return once(&mut follower);
    }
    let mut scrub = Scrub::new(Scrubber::new(edge, pins), args.scrub << 20);
    tracing::info!(
        store = %args.store.display(),
        edge = %args.edge.display(),
        number = follower.number(),
        "following"
    );
    loop {
        // What is refused was logged, once; the generation in place serves on and the next poll tries again.
        let pause = match follower.poll_and_log() {
            Ok(_) => Duration::from_millis(args.every),
            Err(_) => Duration::from_millis(args.every.max(AFTER_A_REFUSAL_MS)),
        };
        scrub.go_on(&follower);
        std::thread::sleep(pause);
    }
}

fn once(follower: &mut Follower<'_>) -> Outcome {
    match follower.poll()? {
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

/// Reads the edge's files again, so many octets a second; a damaged one is fetched anew.
struct Scrub {
    scrubber: Scrubber,
    octets_a_second: u64,
    due: Instant,
    round_began: Instant,
}

impl Scrub {
    fn new(scrubber: Scrubber, octets_a_second: u64) -> Self {
        let now = Instant::now();
        Self {
            scrubber,
            octets_a_second,
            due: now + ROUND,
            round_began: now,
        }
    }

    fn go_on(&mut self, follower: &Follower<'_>) {
        let now = Instant::now();
        if now < self.due || self.octets_a_second == 0 {
            return;
        }
        self.due = now + Duration::from_secs(1);
        match self.scrubber.step(self.octets_a_second) {
            Ok(Scrubbed::Sound) => {}
            Ok(Scrubbed::RoundDone) => {
                // A small edge is not read without end.
                self.due = self.due.max(self.round_began + ROUND);
                self.round_began = self.due;
            }
            Ok(Scrubbed::Damaged {
                entry,
                path,
                damage,
            }) => {
                tracing::error!(path = %path.display(), name = %entry.name, %damage, "scrub: a file is damaged");
                match follower.fetch(&entry) {
                    Ok(()) => tracing::info!(name = %entry.name, "scrub: fetched anew"),
                    Err(refusal) => {
                        tracing::error!(name = %entry.name, reason = %sentence(&refusal), "scrub: not fetched");
                    }
                }
            }
            // The pointer or manifest moved under the step, or cannot be read.
            Err(error) => tracing::warn!(reason = %sentence(&error), "scrub: put off"),
        }
    }
}

/// A store that is wrong stays wrong for a while; asking it again twenty times a second helps nobody.
const AFTER_A_REFUSAL_MS: u64 = 500;
/// No round of the scrub begins sooner than this after the one before.
const ROUND: Duration = Duration::from_secs(10);
