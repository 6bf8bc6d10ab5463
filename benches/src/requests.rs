//! The requests every server is asked, and the `wrk` scripts that carry them.
//!
//! All servers get the same octets: GETs of percent-encoded base64 (RFC 6960 Appendix A.1), as NSS and nginx
//! send them, of serials drawn at random from the whole population and asked in turn. Ten thousand of them stay
//! in the caches of a large processor after the first second; what a cold record costs is for the benches of lookup.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How requests are put on connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// HTTP/1.1, connections kept.
    KeepAlive,
    /// HTTP/1.0, a connection a request, as OpenSSL, GnuTLS, nginx and Apache ask.
    AConnectionARequest,
    /// HTTP/1.1, sixteen requests sent at once.
    Pipelined,
}

/// Requests sent at once when pipelining.
pub const PIPELINE_DEPTH: usize = 16;

/// The path of a GET: `/` and the base64 of `request`, with `+`, `/` and `=` percent-encoded.
#[must_use]
pub fn get_path(request: &[u8]) -> String {
    let encoded = STANDARD.encode(request);
    format!(
        "/{}",
        encoded
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D")
    )
}

/// The octets of one GET.
#[must_use]
pub fn http_request(path: &str, carriage: Carriage) -> String {
    match carriage {
        Carriage::AConnectionARequest => format!("GET {path} HTTP/1.0\r\nHost: ocsp\r\n\r\n"),
        Carriage::KeepAlive | Carriage::Pipelined => {
            format!("GET {path} HTTP/1.1\r\nHost: ocsp\r\n\r\n")
        }
    }
}

/// Writes the `wrk` script that sends `paths` in turn and prints `answers N` and `failed N` at its end.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_script(
    folder: &Path,
    paths: &[String],
    carriage: Carriage,
) -> std::io::Result<PathBuf> {
    let (name, at_once) = match carriage {
        Carriage::KeepAlive => ("keep-alive", 1),
        Carriage::AConnectionARequest => ("close", 1),
        Carriage::Pipelined => ("pipelined", PIPELINE_DEPTH),
    };
    let mut script = String::from("local requests = {\n");
    for group in paths.chunks_exact(at_once) {
        let octets: String = group
            .iter()
            .map(|path| http_request(path, carriage))
            .collect();
        let quoted = octets.replace('\r', "\\r").replace('\n', "\\n");
        writeln!(script, "\"{quoted}\",").expect("writing to a string cannot fail");
    }
    script.push_str(SCRIPT_END);
    let path = folder.join(format!("{name}.lua"));
    fs::write(&path, script)?;
    Ok(path)
}

const SCRIPT_END: &str = r#"}
local next = 0
function request()
  next = next % #requests + 1
  return requests[next]
end
function done(summary)
  local e = summary.errors
  io.write("answers ", summary.requests, "\n")
  io.write("failed ", e.connect + e.read + e.write + e.status + e.timeout, "\n")
end
"#;
