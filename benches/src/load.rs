//! One run of `wrk` on the client's core: how many answers came, and whether HTTP found anything wrong with one.
//! What the answers said is another matter: every OCSP error is an HTTP 200, so `hufu-compare` asks hufu's own counters.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::server::{Server, cores};

/// How a run is shaped.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Connections open at a time.
    pub connections: u32,
    /// Seconds a run lasts.
    pub seconds: u32,
}

/// Microseconds of the server's processor time for an answer, over one run.
///
/// # Errors
/// When [`drive`] finds any, or the server has died.
pub fn micros_an_answer(server: &Server, script: &Path, shape: Shape) -> std::io::Result<f64> {
    // A short warm-up, not counted: page cache, branch predictors, connection tables.
    drive(
        server.address(),
        script,
        Shape {
            seconds: 1,
            ..shape
        },
    )?;
    let before = server.run_time_nanos()?;
    let answers = drive(server.address(), script, shape)?;
    let nanos = server.run_time_nanos()? - before;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a figure for people, three digits are enough"
    )]
    Ok(nanos as f64 / answers as f64 / 1000.0)
}

/// Seconds that wrk may take longer than it is told: its own timeout, and a slow start.
const GRACE_SECS: u32 = 60;

/// Drives `address` with the requests of `script` and returns the number of answers.
///
/// # Errors
/// When `wrk` cannot be run, or when any answer failed: a figure over failed answers means nothing.
pub fn drive(address: SocketAddr, script: &Path, shape: Shape) -> std::io::Result<u64> {
    let output = Command::new("taskset")
        .args([
            "-c",
            &cores()?.1,
            // A run that does not end is an error, not a comparison that stands still.
            "timeout",
            "--kill-after=5",
            &(shape.seconds + GRACE_SECS).to_string(),
            "wrk",
            "-t1",
            &format!("-c{}", shape.connections),
            &format!("-d{}s", shape.seconds),
            // Its own two seconds are short for 2,000 connections with sixteen requests each under way.
            "--timeout",
            "10s",
            "-s",
        ])
        .arg(script)
        .arg(format!("http://{address}"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let figure = |name: &str| {
        said.lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|value| value.trim().parse::<u64>().ok())
    };
    match (figure("answers "), figure("failed ")) {
        (Some(answers @ 1..), Some(0)) => Ok(answers),
        _ => Err(std::io::Error::other(format!(
            "wrk against {address} did not get good answers only ({}):\n{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}
