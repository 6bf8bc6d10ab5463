//! One long-running child: started, looked at, started again with growing pauses, asked to end.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::Program;

/// What runs (or ran, or will run) under one name.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) name: &'static str,
    words: Vec<OsString>,
    life: Life,
    /// Ends in a row, each within [`SHORT_LIFE`] of its start.
    pub(crate) short_lives: u32,
}

#[derive(Debug)]
enum Life {
    Running {
        process: process::Child,
        since: Instant,
    },
    Waiting {
        until: Instant,
    },
    Over,
}

impl Child {
    /// Not started yet; the first [`tend`](Self::tend) does.
    pub(crate) fn new(name: &'static str, words: Vec<OsString>, now: Instant) -> Self {
        Self {
            name,
            words,
            life: Life::Waiting { until: now },
            short_lives: 0,
        }
    }

    /// Notices an end, starts what is due. Returns when to look again, if waiting for a signal is not enough.
    pub(crate) fn tend(&mut self, program: &Program, now: Instant) -> Option<Instant> {
        if let Life::Running { process, since } = &mut self.life {
            let ended = match process.try_wait() {
                Ok(None) => return None,
                Ok(Some(status)) => status.to_string(),
                Err(error) => error.to_string(),
            };
            let lived = now.saturating_duration_since(*since);
            self.wait_after(&ended, lived, now);
        }
        if let Life::Waiting { until } = self.life
            && until <= now
        {
            match self.spawn(program) {
                Ok(process) => {
                    self.life = Life::Running {
                        process,
                        since: now,
                    }
                }
                Err(error) => {
                    self.wait_after(&format!("cannot start: {error}"), Duration::ZERO, now);
                }
            }
        }
        match self.life {
            Life::Waiting { until } => Some(until),
            Life::Running { .. } | Life::Over => None,
        }
    }

    fn spawn(&self, program: &Program) -> io::Result<process::Child> {
        // A group of its own: Ctrl-C reaches `hufu up` alone, which then ends its children in order.
        program
            .command(&self.words)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
    }

    fn wait_after(&mut self, ended: &str, lived: Duration, now: Instant) {
        self.short_lives = if lived < SHORT_LIFE {
            self.short_lives + 1
        } else {
            1
        };
        let pause = pause_after(self.short_lives);
        eprintln!(
            "hufu up: child={} ended=\"{ended}\" lived_ms={} restart_in_ms={}",
            self.name,
            lived.as_millis(),
            pause.as_millis()
        );
        self.life = Life::Waiting { until: now + pause };
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn ask_to_end(&mut self) {
        match &self.life {
            // An error means it is gone already.
            Life::Running { process, .. } => {
                let _ = kill_process(Pid::from_child(process), Signal::TERM);
            }
            Life::Waiting { .. } | Life::Over => self.life = Life::Over,
        }
    }

    /// Whether it has ended after being asked.
    pub(crate) fn has_ended(&mut self) -> bool {
        match &mut self.life {
            Life::Running { process, .. } => !matches!(process.try_wait(), Ok(None)),
            Life::Waiting { .. } | Life::Over => true,
        }
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        if let Life::Running { process, .. } = &mut self.life {
            // Errors mean it is gone already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// 200 ms, doubled each time, at most half a minute.
fn pause_after(short_lives: u32) -> Duration {
    let doublings = short_lives.saturating_sub(1).min(16);
    (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A child that lived longer did its work; its end starts the count anew.
const SHORT_LIFE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let pauses: Vec<u128> = (1..=10).map(|n| pause_after(n).as_millis()).collect();
        assert_eq!(
            pauses,
            [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]
        );
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn a_long_life_starts_the_count_anew() {
        let now = Instant::now();
        let mut child = Child::new("loader run", Vec::new(), now);
        for _ in 0..5 {
            child.wait_after("exit status: 1", Duration::ZERO, now);
        }
        assert_eq!(child.short_lives, 5);
        child.wait_after("signal: 9", SHORT_LIFE, now);
        assert_eq!(child.short_lives, 1);
    }
}
