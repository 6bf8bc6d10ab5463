//! The requests every server is asked, and the `wrk` scripts that carry them.
//!
//! All servers get the same octets: GETs of percent-encoded base64 (RFC 6960 Appendix A.1), as NSS and nginx
//! send them, or POSTs, of serials drawn at random from the whole population and asked in turn. Ten thousand of them stay
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

/// By which method a request comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// In the path.
    Get,
    /// In the body.
    Post,
}

impl Method {
    /// As HTTP writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

impl Carriage {
    /// A word for file names and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep-alive",
            Self::AConnectionARequest => "close",
            Self::Pipelined => "pipelined",
        }
    }
}

/// The octets of one HTTP request that carries these of an OCSP request.
#[must_use]
pub fn http_request(question: &[u8], method: Method, carriage: Carriage) -> Vec<u8> {
    let version = match carriage {
        Carriage::AConnectionARequest => "HTTP/1.0",
        Carriage::KeepAlive | Carriage::Pipelined => "HTTP/1.1",
    };
    match method {
        Method::Get => {
            let path = get_path(question);
            format!("GET {path} {version}\r\nHost: ocsp\r\n\r\n").into_bytes()
        }
        Method::Post => {
            let head = format!(
                "POST / {version}\r\nHost: ocsp\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
                question.len()
            );
            [head.as_bytes(), question].concat()
        }
    }
}

/// Writes the `wrk` script that asks `questions` in turn and prints `answers N` and `failed N` at its end.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_script(
    folder: &Path,
    questions: &[Vec<u8>],
    method: Method,
    carriage: Carriage,
) -> std::io::Result<PathBuf> {
    let at_once = match carriage {
        Carriage::Pipelined => PIPELINE_DEPTH,
        Carriage::KeepAlive | Carriage::AConnectionARequest => 1,
    };
    let groups = questions.chunks_exact(at_once).map(|group| {
        let requests = group.iter();
        let requests = requests.map(|question| http_request(question, method, carriage));
        requests.collect::<Vec<_>>().concat()
    });
    let name = format!("{}-{}", method.name(), carriage.name());
    write_script_of(folder, &name, groups)
}

/// The same of whole HTTP requests, or of some to be sent at once.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_script_of(
    folder: &Path,
    name: &str,
    requests: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> std::io::Result<PathBuf> {
    let mut script = String::from("local requests = {\n");
    for request in requests {
        script.push('"');
        quote(request.as_ref(), &mut script);
        script.push_str("\",\n");
    }
    script.push_str(SCRIPT_END);
    let path = folder.join(format!("{name}.lua"));
    fs::write(&path, script)?;
    Ok(path)
}

/// Octets as Lua reads them between quotation marks.
fn quote(octets: &[u8], script: &mut String) {
    for octet in octets {
        match octet {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => {
                write!(script, "\\{octet:03}").expect("writing to a string cannot fail");
            }
            _ => script.push(char::from(*octet)),
        }
    }
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
