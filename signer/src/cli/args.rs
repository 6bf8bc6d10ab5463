//! The words of the command line, each verb with an example to copy.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wire::serial::Serial;

use super::examples::{
    ADOPT, APPROVE, EXAMPLES, EXPORT, FOUND, HOLD, ISSUE, LIST, LIVE, REVOKE, SERVE, SHOW, SIGN,
    SUBMIT, TURN_AWAY,
};
use crate::registry::{CertificateState, SubjectKind};

/// Forms in; certificates, CRLs and OCSP responses signed ahead of time out
#[derive(Debug, Parser)]
#[command(name = "hufu-signer", version, after_help = EXAMPLES, infer_subcommands = false)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// Read settings from this TOML file; without it, the defaults
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Write log lines to standard error as JSON
    #[arg(long, global = true)]
    pub(super) log_json: bool,
    /// End when the process with this id, our parent, does
    #[arg(long, global = true, hide = true, value_name = "PID")]
    pub(super) exit_with_parent: Option<i32>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Found two roots with an issuing authority each: ECDSA P-256 and SM2
    #[command(after_help = FOUND)]
    Found(FoundArgs),
    /// Take in an application form with its schedule (提交, 受理)
    #[command(after_help = SUBMIT)]
    Submit(SubmitArgs),
    /// Approve a submission as a second officer (审批)
    #[command(after_help = APPROVE)]
    Approve(ApproveArgs),
    /// Say no to a submission (不予受理, 审批不通过)
    #[command(after_help = TURN_AWAY)]
    Refuse(TurnAwayArgs),
    /// Send a submission back to its filing unit to be corrected (退回)
    #[command(after_help = TURN_AWAY)]
    Return(TurnAwayArgs),
    /// Take a submission back for its filing unit (撤回)
    #[command(after_help = TURN_AWAY)]
    Withdraw(TurnAwayArgs),
    /// Make the certificates of an approved submission
    #[command(after_help = ISSUE)]
    Issue(IssueArgs),
    /// Revoke a certificate on a ground (撤销)
    #[command(after_help = REVOKE)]
    Revoke(RevokeArgs),
    /// Suspend a certificate until it is released or revoked (暂停)
    #[command(after_help = HOLD)]
    Hold(HoldArgs),
    /// Make a suspended certificate good again (恢复)
    #[command(after_help = HOLD, alias = "unhold")]
    Release(ReleaseArgs),
    /// Write and sign every authority's CRL now
    Crl(PassArgs),
    /// Sign everything that is due into the spool, once
    #[command(after_help = SIGN)]
    Sign(SignArgs),
    /// Keep signing whatever changes or falls due, until stopped
    #[command(after_help = SERVE)]
    Serve(ServeArgs),
    /// Answer live what is not signed ahead: nonces, several certificates, other forms of CertID
    #[command(after_help = LIVE)]
    Live(LiveArgs),
    /// Verify the CRLs of other authorities that the loader staged, and sign their answers
    #[command(after_help = ADOPT)]
    Adopt(PassArgs),
    /// List certificates, submissions or authorities
    #[command(after_help = LIST)]
    List(ListArgs),
    /// Show all about one certificate or submission, or the audit trail
    #[command(after_help = SHOW)]
    Show(ShowArgs),
    /// Write certificates as PEM
    #[command(after_help = EXPORT)]
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub(super) struct Data {
    /// The data folder
    #[arg(long = "data", value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Print JSON for machines
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct FoundArgs {
    /// What the certificates say of where OCSP, CRLs and issuer certificates are; fixed for ever
    #[arg(long, value_name = "URL")]
    pub(super) public_url: String,
    /// In whose name it is recorded
    #[arg(long, value_name = "NAME", value_parser = person, default_value = "founder")]
    pub(super) officer: String,
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    /// The schedule (业务申请明细表), CSV
    #[arg(long, value_name = "FILE")]
    pub(super) form: PathBuf,
    /// The application form (业务申请表), CSV of one row
    #[arg(long, value_name = "FILE")]
    pub(super) application: PathBuf,
    /// What the schedule's rows are about
    #[arg(long, value_enum)]
    pub(super) kind: SubjectKind,
    /// The authority that shall issue: p256 or sm2
    #[arg(long, value_name = "ALIAS")]
    pub(super) ca: String,
    /// Where the CSR files named in the schedule are [default: the schedule's folder]
    #[arg(long, value_name = "DIR")]
    pub(super) csr_dir: Option<PathBuf>,
    /// Who takes it in (受理人)
    #[arg(long, value_name = "NAME", value_parser = person)]
    pub(super) clerk: String,
    /// Another certificate for units or devices that hold one: they order and pay for more
    #[arg(long)]
    pub(super) additional: bool,
    /// Judge and show only, record nothing
    #[arg(long)]
    pub(super) preview: bool,
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
pub(super) struct ApproveArgs {
    /// The submission's number
    pub(super) submission: u64,
    /// Who approves (审核人); never the clerk
    #[arg(long, value_name = "NAME", value_parser = person)]
    pub(super) officer: String,
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
pub(super) struct TurnAwayArgs {
    /// The submission's number
    pub(super) submission: u64,
    /// In whose name
    #[arg(long, value_name = "NAME", value_parser = person)]
    pub(super) officer: String,
    /// Why: it is told to whoever asks later
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(super) why: String,
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
pub(super) struct IssueArgs {
    /// The submission's number
    pub(super) submission: u64,
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// The issuing authority: p256 or sm2
    #[arg(long, value_name = "ALIAS")]
    pub(super) ca: Option<String>,
    /// The certificate's serial number, hexadecimal
    #[arg(long, value_name = "HEX", value_parser = serial)]
    pub(super) serial: Option<Serial>,
    /// The subject's name, as on the form
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// The subject's number: identity number, unit code
    #[arg(long, value_name = "NUMBER")]
    pub(super) number: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    pub(super) which: Which,
    /// 私钥泄露 key-compromise, 私钥遗失 key-lost, 被冒用 misused, 信息变更 information-changed,
    /// 调动 moved, 离职 resigned, 合并重组 merged
    #[arg(long, value_name = "GROUND", value_parser = ground)]
    pub(super) ground: crate::ra::ground::Ground,
    /// Who orders it
    #[arg(long, value_name = "NAME", value_parser = person)]
    pub(super) officer: String,
    /// Since when the key is thought bad (发生日期), not before the certificate begins: 2026-09-29 or
    /// 2026-09-29T08:00:00+08:00
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) invalidity_date: Option<u64>,
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    #[command(flatten)]
    pub(super) which: Which,
    /// Why: it is told to whoever asks later
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(super) why: String,
    /// Who orders it
    #[arg(long, value_name = "NAME", value_parser = person)]
    pub(super) officer: String,
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    pub(super) which: Which,
    /// Who orders it
    #[arg(long, value_name = "NAME", value_parser = person)]
    pub(super) officer: String,
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
pub(super) struct PassArgs {
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
pub(super) struct SignArgs {
    /// Sign everything anew, whatever was signed before: the spool or the loader's data was lost
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Check the configuration and the registry, then stop
    #[arg(long)]
    pub(super) check: bool,
    /// Tell metrics at this address, /metrics and /healthz: 127.0.0.1:2564 [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    pub(super) metrics: Option<SocketAddr>,
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
pub(super) struct LiveArgs {
    /// Where responders ask; off loopback with --tls-cert, --tls-key and --client-ca only
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2562")]
    pub(super) listen: std::net::SocketAddr,
    /// The certificate of this port, PEM, and what is above it
    #[arg(long, value_name = "FILE")]
    pub(super) tls_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE")]
    pub(super) tls_key: Option<PathBuf>,
    /// The authority of the responders that may ask, PEM
    #[arg(long, value_name = "FILE")]
    pub(super) client_ca: Option<PathBuf>,
    /// Tell metrics at this address too, /metrics and /healthz, without TLS: 127.0.0.1:2567 [default: where it listens only]
    #[arg(long, value_name = "ADDR")]
    pub(super) metrics: Option<SocketAddr>,
    /// Check the configuration, the registry and the keys, then stop
    #[arg(long)]
    pub(super) check: bool,
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Submissions instead of certificates
    #[arg(long, conflicts_with_all = ["authorities", "ca", "serial", "name", "number", "state", "submission", "all"])]
    pub(super) submissions: bool,
    /// Authorities instead of certificates
    #[arg(long, conflicts_with_all = ["ca", "serial", "name", "number", "state", "submission", "all"])]
    pub(super) authorities: bool,
    #[command(flatten)]
    pub(super) which: Which,
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub(super) state: Option<CertificateState>,
    /// Only those of this submission
    #[arg(long, value_name = "NUMBER")]
    pub(super) submission: Option<u64>,
    /// The signer's own certificates too: authorities, OCSP signers
    #[arg(long)]
    pub(super) all: bool,
    /// At most so many; 0: all
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) data: Data,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["submission", "serial", "name", "audit"]))]
pub(super) struct ShowArgs {
    /// A submission: its state, its items, what was refused and why
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["serial", "name", "audit"])]
    pub(super) submission: Option<u64>,
    #[command(flatten)]
    pub(super) which: Which,
    /// The audit trail
    #[arg(long, conflicts_with_all = ["serial", "name"])]
    pub(super) audit: bool,
    /// Audit entries after this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(super) after: u64,
    #[command(flatten)]
    pub(super) data: Data,
}

/// Which of an authority's own certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// Its root.
    Root,
    /// The authority itself.
    Issuer,
    /// Itself and everything above it.
    Chain,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub(super) which: Which,
    /// Certificates of the authority --ca itself
    #[arg(long, value_enum, requires = "ca", conflicts_with_all = ["serial", "name", "number"])]
    pub(super) what: Option<What>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) data: Data,
}

/// Somebody who can be held to account: a name that is seen.
fn person(text: &str) -> Result<String, String> {
    if crate::ra::is_name(text) {
        Ok(text.trim().to_owned())
    } else {
        Err("a name of 1 to 64 visible characters, and not `signer`".to_owned())
    }
}

/// A reason somebody can read.
fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) || text.chars().count() > 256 {
        return Err("a reason of 1 to 256 visible characters, in one line".to_owned());
    }
    Ok(text.trim().to_owned())
}

fn serial(text: &str) -> Result<Serial, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    digits
        .parse()
        .map_err(|_| "a serial number is up to 64 hexadecimal digits".to_owned())
}

fn ground(text: &str) -> Result<crate::ra::ground::Ground, String> {
    crate::ra::ground::Ground::parse(text).ok_or_else(|| {
        let known: Vec<_> = crate::ra::ground::Ground::ALL
            .iter()
            .map(|g| format!("{} {}", g.chinese(), g.english()))
            .collect();
        format!("a ground is one of {}", known.join(", "))
    })
}

fn state(text: &str) -> Result<CertificateState, String> {
    CertificateState::from_name(text).ok_or_else(|| {
        let known: Vec<_> = CertificateState::ALL.iter().map(|s| s.name()).collect();
        format!("a state is one of {}", known.join(", "))
    })
}

/// A moment: RFC 3339, or a day, which begins at midnight in China.
fn moment(text: &str) -> Result<u64, String> {
    let stamp: Result<jiff::Timestamp, _> = text.parse();
    let stamp = stamp.or_else(|_| format!("{text}T00:00:00+08:00").parse());
    let seconds = stamp
        .ok()
        .and_then(|stamp| u64::try_from(stamp.as_second()).ok());
    seconds.ok_or_else(|| "a time is 2026-09-29 or 2026-09-29T08:00:00+08:00".to_owned())
}
