//! `live`: answers signed when they are asked for.

use std::process::ExitCode;

use super::args::{Common, LiveArgs};
use super::say::say;
use super::{Outcome, open};
use crate::live::settings::Port;
use crate::live::{self, LiveError};
use crate::{config, serve};

pub(super) fn live(common: &Common, args: &LiveArgs) -> Outcome {
    let (settings, live) = config::read_both(common.config.as_deref())?;
    let (certificate, key) = (args.tls_cert.clone(), args.tls_key.clone());
    let port = Port::new(args.listen, certificate, key, args.client_ca.clone());
    let port = Port {
        metrics: args.metrics,
        ..port.map_err(LiveError::from)?
    };
    let office = open::reading_office(settings, &args.data.folder)?;
    if args.check {
        let issuers = live::check(&office, &live, &port, serve::clock())?;
        say!("configuration, registry and keys are in order; issuers answered for: {issuers}");
        return Ok(ExitCode::SUCCESS);
    }
    live::run(office, &live, &port, serve::clock)?;
    Ok(ExitCode::SUCCESS)
}
