//! A client that asks about one certificate again and again over one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use wire::cert_id::{CertIdForm, CertIdHash, Parameters, cert_id_prefix};
use wire::request::build_request;
use wire::response::{OcspResponse, SingleStatus};
use wire::serial::Serial;

/// What CertIDs of an issuer begin with, SHA-1 and SHA-256.
#[derive(Clone)]
pub struct Questions(Vec<Vec<u8>>);

/// A connection to a responder.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

impl Questions {
    /// From the issuer's certificate, DER.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn about(issuer: &[u8]) -> Result<Self, Error> {
        let (_, read) = x509_parser::parse_x509_certificate(issuer)?;
        let (name, key) = (read.subject().as_raw(), read.public_key());
        let prefix = |hash, with| {
            let name = digest(with, name);
            let key = digest(with, &key.subject_public_key.data);
            let form = CertIdForm::new(hash, Parameters::Null);
            cert_id_prefix(form, name.as_ref(), key.as_ref())
        };
        Ok(Self(vec![
            prefix(CertIdHash::Sha1, &SHA1_FOR_LEGACY_USE_ONLY)?,
            prefix(CertIdHash::Sha256, &SHA256)?,
        ]))
    }

    /// How many forms there are to ask in.
    #[must_use]
    pub fn forms(&self) -> usize {
        self.0.len()
    }
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// What is said of a serial; none if nothing is.
    ///
    /// # Errors
    /// When the connection fails or the answer is none.
    pub fn status(
        &mut self,
        questions: &Questions,
        form: usize,
        serial: &Serial,
    ) -> Result<Option<SingleStatus>, Error> {
        let prefix = questions.0.get(form).ok_or("no such form")?;
        let request = build_request(prefix, serial.content(), None);
        let head = format!(
            "POST / HTTP/1.1\r\nHost: hufu\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
            request.len()
        );
        let octets = [head.as_bytes(), &request].concat();
        let body = self.exchange(&octets)?;
        let response = OcspResponse::parse(&body).map_err(|error| error.to_string())?;
        Ok(response.basic.map(|basic| basic.first.status))
    }

    /// A document.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn get(&mut self, path: &str) -> Result<Vec<u8>, Error> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: hufu\r\n\r\n");
        self.exchange(request.as_bytes())
    }

    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let mut chunk = [0; 16_384];
        loop {
            let read = self.stream.read(&mut chunk)?;
            if read == 0 {
                return Err("the responder closed the connection".into());
            }
            self.buffer.extend_from_slice(&chunk[..read]);
            if let Some((from, octets)) = body(&self.buffer)?
                && self.buffer.len() >= from + octets
            {
                return Ok(self.buffer[from..from + octets].to_vec());
            }
        }
    }
}

/// Where the body begins and how long it is, once the head is there.
fn body(answer: &[u8]) -> Result<Option<(usize, usize)>, Error> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .ok_or("no Content-Length")?;
    if !head.starts_with("http/1.1 200") {
        return Err(head.lines().next().unwrap_or_default().to_owned().into());
    }
    Ok(Some((end + 4, length.trim().parse()?)))
}
