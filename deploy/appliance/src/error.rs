//! Why `hufu up` refuses to start or gives up. Each message says what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Display is one level; `source()` holds the system's own words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpError {
    #[error("{action} {path}")]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },

    #[error(
        "another `hufu up` (process {pid}) works on {data}; stop it first or use another --data"
    )]
    Locked { data: PathBuf, pid: String },

    #[error("{path} is not what `hufu up` writes: {rule}")]
    Recorded { path: PathBuf, rule: String },

    #[error(
        "{data} has no registry but holds {found}/: that is not a folder `hufu up` made; use another --data, or move {found}/ away"
    )]
    NotOurs { data: PathBuf, found: &'static str },

    #[error(
        "this demo was founded with the public URL {founded}, which stands in every certificate it issued; {asked} is another. \
         Leave --public-url out, or found a new demo with another --data"
    )]
    OtherPublicUrl { founded: String, asked: String },

    #[error("--public-url {url:?}: {rule}")]
    PublicUrl { url: String, rule: &'static str },

    #[error("--ocsp {address} listens on every address, which certificates cannot name: say --public-url http://NAME:{} too", address.port())]
    UnspecifiedAddress { address: SocketAddr },

    #[error(
        "--live {address} could be reached from other machines, and whoever reaches it makes us sign: name a loopback address. \
         Run apart, `hufu signer live` listens elsewhere with --tls-cert, --tls-key and --client-ca"
    )]
    LiveOffLoopback { address: SocketAddr },

    #[error("{option} {address}: port 0 would be another port on every start; name one")]
    PortZero {
        option: &'static str,
        address: SocketAddr,
    },

    #[error(
        "{option} {address} cannot be listened on; stop what uses it, or say {option} ADDR:PORT"
    )]
    PortBusy {
        option: &'static str,
        address: SocketAddr,
        source: io::Error,
    },

    #[error("cannot start `{command}`")]
    Spawn { command: String, source: io::Error },

    #[error("`{command}` failed ({status}); it said:\n{output}")]
    Step {
        command: String,
        status: std::process::ExitStatus,
        output: String,
    },

    #[error("`{command}` answered what `hufu up` cannot use: {missing}")]
    Answer { command: String, missing: String },

    #[error(
        "the responder ended {times} times in a row within seconds of its start; its own words are above"
    )]
    ResponderGivesUp { times: u32 },

    #[error("not every child ended in time when asked; {killed} had to be killed")]
    Killed { killed: String },

    #[error("signals cannot be waited for")]
    Signals { source: io::Error },
}

impl UpError {
    /// For `map_err` on file operations.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
