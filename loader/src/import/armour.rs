//! DER out of a file that holds DER or PEM, without holding either.

use std::io::{self, BufRead, Read};

use wire::Rule;
use wire::crl::{Armour, PemLabel, PemLines};

/// Reads DER, whatever the file is written in.
pub struct DerInput<R> {
    input: R,
    form: Form,
}

enum Form {
    Unseen(PemLabel),
    Der,
    Pem(Box<Pem>),
}

struct Pem {
    lines: PemLines,
    line: Vec<u8>,
    der: Vec<u8>,
    /// Octets of `der` that were given away.
    given: usize,
    is_closed: bool,
}

impl<R: BufRead> DerInput<R> {
    /// Of a file that may hold other things before the armour of this label.
    pub fn new(input: R, label: PemLabel) -> Self {
        Self {
            input,
            form: Form::Unseen(label),
        }
    }

    /// Looks at the first octet, once.
    fn recognise(&mut self) -> io::Result<()> {
        if let Form::Unseen(label) = self.form {
            // A SEQUENCE header is never the start of PEM text: 0x30 is the digit 0.
            self.form = match self.input.fill_buf()?.first() {
                Some(0x30) => Form::Der,
                _ => Form::Pem(Box::new(Pem {
                    lines: PemLines::new(label),
                    line: Vec::new(),
                    der: Vec::new(),
                    given: 0,
                    is_closed: false,
                })),
            };
        }
        Ok(())
    }
}

impl Pem {
    fn ready(&mut self, input: &mut impl BufRead) -> io::Result<&[u8]> {
        if self.given == self.der.len() {
            self.der.clear();
            self.given = 0;
            while self.der.len() < READ_AHEAD && !self.is_closed {
                self.line.clear();
                // A body may stand on one line of any length: then it comes in parts.
                let read = (&mut *input)
                    .take(MOST_LINE_OCTETS)
                    .read_until(b'\n', &mut self.line)?;
                if read == 0 {
                    return Err(broken(Rule::PemForm));
                }
                let armour = self.lines.take(&self.line, &mut self.der).map_err(broken)?;
                self.is_closed = armour == Armour::Closed;
            }
        }
        Ok(&self.der[self.given..])
    }
}

impl<R: BufRead> Read for DerInput<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.recognise()?;
        let Form::Pem(pem) = &mut self.form else {
            // Into the reader's own memory, past the buffer, if that is as long as the buffer.
            return self.input.read(out);
        };
        let ready = pem.ready(&mut self.input)?;
        let octets = ready.len().min(out.len());
        out[..octets].copy_from_slice(&ready[..octets]);
        pem.given += octets;
        Ok(octets)
    }
}

fn broken(rule: Rule) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, rule)
}

const READ_AHEAD: usize = 64 << 10;
const MOST_LINE_OCTETS: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use wire::crl::pem_or_der;

    use super::*;

    fn read(octets: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        DerInput::new(octets, PemLabel::Crl).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn pem_that_is_read_in_parts_says_something_else() {
        let der: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
        let body = STANDARD.encode(&der);
        let lines: Vec<&str> = body
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        for body in [lines.join("\n"), lines.join("\r\n"), body.clone()] {
            let pem =
                format!("text\n-----BEGIN X509 CRL-----\n{body}\n-----END X509 CRL-----\nmore\n");
            assert_eq!(read(pem.as_bytes()).unwrap(), der);
            let whole = pem_or_der(pem.as_bytes(), PemLabel::Crl).unwrap();
            assert_eq!(whole, der);
            let cut = &pem.as_bytes()[..pem.len() - 40];
            assert!(read(cut).is_err());
        }
        let sequence = [&[0x30, 0x82], der.as_slice()].concat();
        assert_eq!(read(&sequence).unwrap(), sequence);
        assert!(read(b"").is_err());
        assert!(read(b"neither\n").is_err());
    }
}
