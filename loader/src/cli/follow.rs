//! `follow`: keep an edge's own verified copy of a store up to date.

use std::process::ExitCode;
use std::time::Duration;

use super::{FollowArgs, Outcome, REFUSED};
use crate::durable::FsDisk;
use crate::follow::{Followed, Follower};
use crate::seal::read_pins;
use crate::store::Store;

pub(super) fn run(args: &FollowArgs) -> Outcome {
    let pins = read_pins(&args.pin)?;
    let (source, edge) = (Store::at(&args.store), Store::at(&args.edge));
    let mut follower = Follower::open(&FsDisk, source, edge, pins)?;
    if args.once {
        return once(&mut follower);
    }
    tracing::info!(store = %args.store.display(), edge = %args.edge.display(), number = follower.number(), "following");
    loop {
        // What is refused was logged, once; the generation in place serves on and the next poll tries again.
        let pause = match follower.poll_and_log() {
            Ok(_) => Duration::from_millis(args.every),
            Err(_) => Duration::from_millis(args.every.max(AFTER_A_REFUSAL_MS)),
        };
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

/// A store that is wrong stays wrong for a while; asking it again twenty times a second helps nobody.
const AFTER_A_REFUSAL_MS: u64 = 500;
