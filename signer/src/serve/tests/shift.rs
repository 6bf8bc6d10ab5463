//! A shift after another one, in a process that starts programs of others.

use super::*;
use std::time::Duration;

/// Takes the spool's lock. A program that another test starts holds what is open here until it runs, and so the lock of a
/// shift that has ended.
#[track_caller]
pub(crate) fn begin<S: Store>(office: &Office<S>) -> Shift<'_, S> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match Shift::begin(office) {
            Err(ServeError::Locked(_)) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            begun => return begun.unwrap(),
        }
    }
}
