//! `hufu up`: the order of a start.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

use crate::children::Child;
use crate::data::{Data, Recorded, State};
use crate::error::UpError;
use crate::options::Up;
use crate::program::{Program, words};
use crate::scrape::Teller;
use crate::step::{Steps, say};
use crate::supervise::{RESPONDER, Service};
use crate::{found, paste, ports};

/// Runs until SIGTERM or SIGINT. `0` after an orderly stop, `1` when refused, failed or given up.
pub(crate) fn run(up: &Up) -> ExitCode {
    match start(up) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hufu up: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn start(up: &Up) -> Result<(), UpError> {
    let started = Instant::now();
    let data = Data::lock(&up.data)?;
    let state = data.state()?;
    let before = match state {
        // Nothing of an interrupted founding counts, the public URL it was told included.
        State::Empty | State::HalfFounded => None,
        State::Founded => data.recorded()?,
    };
    let settings = Recorded::settle(up, before.as_ref())?;
    if data.left_in_disorder {
        ports::wait_until_free(&settings.addresses())?;
    } else {
        ports::prove_free(&settings.addresses())?;
    }

    let program = match state {
        State::Empty | State::HalfFounded => first_start(&data, state, &settings)?,
        State::Founded => later_start(&data, before.as_ref(), &settings)?,
    };
    for (issuer, as_of) in data.replayed() {
        say(&format!(
            "REPLAYED: the CRL of issuer {issuer} is judged as of {as_of}, not of today; its answers are marked so"
        ));
    }

    let service = Service {
        children: children(&data, up, &settings),
        program: program.clone(),
        admin: settings.admin,
    };
    service.run(|| {
        say(&format!(
            "\nready after {:.2} s",
            started.elapsed().as_secs_f64()
        ));
        paste::print(&program, &data, &settings);
    })
}

/// Founds the demo; complete, with the files in `DIR/demo/`, before anything can be asked.
fn first_start(data: &Data, state: State, settings: &Recorded) -> Result<Program, UpError> {
    say(&format!(
        "hufu up: first start in {}",
        data.root().display()
    ));
    if state == State::HalfFounded {
        say(
            "an earlier founding was interrupted; nothing of it was ever served, so it is cleared and done anew",
        );
    }
    data.begin_founding()?;
    if state == State::HalfFounded {
        data.clear_half_founded()?;
    }
    let steps = Steps::new(Program::this(), found::COMMANDS);
    found::found(&steps, data, settings)?;
    data.record(settings)?;
    data.end_founding()?;
    Ok(steps.finish())
}

/// Nothing to do but to start: what fell due meanwhile is signed and sealed by the children, and until then `/readyz` of the
/// responder says what is stale. What is still fresh is served at once, however long the signing takes.
fn later_start(
    data: &Data,
    before: Option<&Recorded>,
    settings: &Recorded,
) -> Result<Program, UpError> {
    say(&format!(
        "hufu up: {} is founded; public URL {}",
        data.root().display(),
        settings.public_url
    ));
    if before != Some(settings) {
        data.record(settings)?;
    }
    let steps = Steps::new(Program::this(), 1);
    found::make_seal(&steps, data.root())?;
    Ok(steps.finish())
}

/// In the order status flows.
fn children(data: &Data, up: &Up, settings: &Recorded) -> Vec<Child> {
    let (root, now) = (data.root(), Instant::now());
    let mut responder = words(
        "responder --edge {} --pin {} --ocsp {} --admin {} --live {} --nonce {}",
        &[
            &root.join("edge"),
            &root.join("loader/seal.pub"),
            &settings.ocsp.to_string(),
            &settings.admin.to_string(),
            &settings.live.to_string(),
            &up.nonce,
        ],
    );
    if let Some(workers) = up.workers {
        responder.extend(words("--workers {}", &[&workers.to_string()]));
    }
    let told = |words, teller| told_at(words, settings, teller);
    let signer = words("signer serve --data {}", &[&root]);
    let loader = words("loader run --data {}", &[&root]);
    let follower = found::follow_words(root);
    let lane = words(
        "signer live --data {} --listen {}",
        &[&root, &settings.live.to_string()],
    );
    vec![
        Child::new("signer serve", told(signer, Teller::Signer), now),
        Child::new("signer live", told(lane, Teller::Lane), now),
        Child::new("loader run", told(loader, Teller::Loader), now),
        Child::new("loader follow", told(follower, Teller::Follower), now),
        Child::new(RESPONDER, responder, now),
    ]
}

/// The words with where its metrics are told.
fn told_at(mut command: Vec<OsString>, settings: &Recorded, teller: Teller) -> Vec<OsString> {
    if let Some(address) = settings.metrics.of(teller) {
        command.extend(words("--metrics {}", &[&address.to_string()]));
    }
    command
}
