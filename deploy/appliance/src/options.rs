//! The command line of `hufu` itself; the sub-programs parse their own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::scrape::Scrape;

/// Hufu: an OCSP and CRL responder with its issuing back office.
#[derive(Debug, Parser)]
#[command(name = "hufu", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: Up,
}

/// The sub-programs are listed for `--help` only: `main` hands them over before clap sees them.
#[derive(Debug, Subcommand)]
enum Command {
    /// Found the demo on the first start, then run signer, loader and responder (what `hufu` alone does).
    Up(Box<Up>),
    /// The back office: forms in, certificates, CRLs and pre-signed responses out (= hufu-signer).
    Signer,
    /// Imports, packs, seals, publishes and follows (= hufu-loader).
    Loader,
    /// Answers OCSP and CRL requests (= hufu-responder).
    Responder,
}

/// What `hufu up` is told. An address left out is the recorded one, on the first start the default.
#[derive(Debug, Clone, Args)]
pub(crate) struct Up {
    /// The data folder.
    #[arg(long, value_name = "DIR", default_value = "hufu-data")]
    pub(crate) data: PathBuf,
    /// Where OCSP, CRLs and issuer certificates are served [default: 127.0.0.1:2560].
    #[arg(long, value_name = "ADDR")]
    pub(crate) ocsp: Option<SocketAddr>,
    /// Where metrics, health and readiness are served [default: 127.0.0.1:2561].
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,
    /// Where the live lane listens, on this machine only: it signs what is not signed ahead [default: 127.0.0.1:2562].
    #[arg(long, value_name = "ADDR")]
    pub(crate) live: Option<SocketAddr>,
    /// Where signer, loader, follower and live lane tell metrics: four ports in a row from here on, or `off`
    /// [default: 127.0.0.1:2564].
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<Scrape>,
    /// What certificates say about where to ask; fixed when the demo is founded [default: http://<--ocsp address>].
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// What becomes of a nonce: `ignore` (the pre-signed answer, without it) or `live` (signed anew with it).
    #[arg(long, value_name = "POLICY", default_value = "ignore", value_parser = ["ignore", "live"])]
    pub(crate) nonce: String,
    /// Serving threads of the responder [default: one a core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,
}

impl Cli {
    /// `up` is the only command of our own.
    pub(crate) fn into_up(self) -> Up {
        match self.command {
            Some(Command::Up(up)) => *up,
            _ => self.up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(args: &[&str]) -> Up {
        Cli::try_parse_from(args).unwrap().into_up()
    }

    #[test]
    fn no_arguments_mean_up_with_defaults() {
        let up = up(&["hufu"]);
        assert_eq!(up.data, PathBuf::from("hufu-data"));
        assert_eq!(up.ocsp, None);
    }

    #[test]
    fn the_word_up_may_be_left_out() {
        assert_eq!(
            up(&["hufu", "--data", "x"]).data,
            up(&["hufu", "up", "--data", "x"]).data
        );
    }

    #[test]
    fn an_address_that_is_none_is_a_usage_error() {
        assert!(Cli::try_parse_from(["hufu", "up", "--ocsp", "localhost"]).is_err());
    }
}
