//! A day of a city, in minutes: steady questions by GET and POST, bursts, nonces, several certificates at once, lists whole, in
//! deltas and in parts, revocations, generations one after another, and a responder that is killed and started anew. Every
//! answer is judged: what it says against what was true when it was asked, its signature, its times, its nonce.
//!
//! `tests/city` runs the long day, `tests/it/city_day.rs` a short one.
//!
//! - [`mod@line`]: the programs, each a process;
//! - [`truth`]: what may be said of a certificate, and when;
//! - [`witness`]: reads and verifies an answer, with no code of the rooms;
//! - [`crowd`]: who asks for answers;
//! - [`readers`]: who fetches lists;
//! - [`tally`]: what came of it.

pub mod crowd;
pub mod line;
pub mod readers;
pub mod tally;
pub mod truth;
pub mod witness;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use self::crowd::Crowd;
use self::line::Line;
use self::tally::Tally;
use self::truth::Truth;
use self::witness::Witness;
use crate::process::Raises;

/// How long, how much, how strictly.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How long the day is.
    pub length: Duration,
    /// Certificates of the authority, one in a hundred revoked before the day.
    pub records: u64,
    /// Questions a second by GET, all connections together.
    pub gets: u32,
    /// The same by POST.
    pub posts: u32,
    /// Questions a second with a nonce, or about several certificates.
    pub live: u32,
    /// Lists fetched a second.
    pub lists: u32,
    /// A burst is so many times the steady GETs, for a twentieth of the day, four times a day.
    pub burst: u32,
    /// Certificates revoked, one after another, all day long.
    pub revocations: u32,
    /// Past this, counted from the word of the command, an answer that does not say "revoked" is wrong.
    pub visible_within: Duration,
    /// The same for lists.
    pub listed_within: Duration,
    /// A killed responder serves again within this.
    pub restarted_within: Duration,
}

/// One day, from founding to the last revocation's being seen.
///
/// # Errors
/// With what could not be started or awaited. Wrong answers are no error: they stand in the tally.
pub fn day(data: &Path, plan: &Plan) -> Result<Tally, String> {
    let line = Line::found(data, plan)?;
    let truth = Truth::new(plan, line.serials());
    let witness = Witness::new(line.issuer())?;
    let first = line.generation()?;
    let tally = Tally::new(plan);
    let over = AtomicBool::new(false);
    let crowd = Crowd {
        line: &line,
        truth: &truth,
        witness: &witness,
        tally: &tally,
        plan,
        over: &over,
        dawn: Instant::now(),
    };
    std::thread::scope(|scope| {
        crowd.start(scope);
        scope.spawn(|| readers::read(&crowd));
        // Whatever becomes of the events, a panic too, the crowd goes home after them.
        let _home = Raises(&over);
        events(&crowd)
    })?;
    tally.generations(line.generation()?.saturating_sub(first));
    Ok(tally)
}

/// Revocations spread over the day, the restart in the middle of it, and in the evening the wait for what is not seen yet.
fn events(crowd: &Crowd<'_>) -> Result<(), String> {
    let (plan, dawn) = (crowd.plan, crowd.dawn);
    let mut killed = false;
    for number in 0..plan.revocations {
        // The last fifth of the day has none, so that what they come to is asked for as well.
        let due = plan
            .length
            .mul_f64(0.8 * f64::from(number) / f64::from(plan.revocations));
        crowd.sleep_until(dawn + due);
        if !killed && due * 2 >= plan.length.mul_f64(0.8) {
            killed = true;
            crowd
                .tally
                .restarted(crowd.line.restart(plan.restarted_within)?);
        }
        let victim = crowd.truth.victim(number);
        crowd.truth.revoking(victim);
        crowd.line.revoke(crowd.truth.hex(victim))?;
        crowd.truth.revoked(victim);
        crowd.tally.revoked();
    }
    crowd.sleep_until(dawn + plan.length);
    let evening = Instant::now();
    while crowd.truth.unseen().next().is_some() && evening.elapsed() < plan.visible_within {
        crowd.line.check()?;
        std::thread::sleep(Duration::from_millis(20));
    }
    for which in crowd.truth.unseen() {
        crowd.tally.unseen(crowd.truth.hex(which));
    }
    crowd.tally.visible(crowd.truth.visible());
    Ok(())
}
