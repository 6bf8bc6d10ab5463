//! The little PEM this crate's callers need (RFC 7468): one CRL or certificate, or DER as it is.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::Rule;

/// What the armour says is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PemLabel {
    /// `X509 CRL`.
    Crl,
    /// `CERTIFICATE`.
    Certificate,
}

impl PemLabel {
    const fn text(self) -> &'static str {
        match self {
            Self::Crl => "X509 CRL",
            Self::Certificate => "CERTIFICATE",
        }
    }
}

/// DER as it is, or out of the first PEM armour of this label. Text before the armour is passed over.
pub fn pem_or_der(octets: &[u8], label: PemLabel) -> Result<Cow<'_, [u8]>, Rule> {
    // A SEQUENCE header is never the start of PEM text: 0x30 is the digit 0.
    if octets.first() == Some(&0x30) {
        return Ok(Cow::Borrowed(octets));
    }
    let mut der = Vec::new();
    let mut lines = PemLines::new(label);
    for line in octets.split(|&octet| octet == b'\n') {
        if lines.take(line, &mut der)? == Armour::Closed {
            return Ok(Cow::Owned(der));
        }
    }
    Err(Rule::PemForm)
}

/// What [`pem_or_der`] does, for text that is not held whole: line by line.
pub struct PemLines {
    label: PemLabel,
    inside: bool,
    decoder: Base64,
}

/// Whether the armour looked for has been read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armour {
    /// Not yet.
    Open,
    /// Yes; nothing behind it counts.
    Closed,
}

impl PemLines {
    /// Looks for the first armour of this label.
    #[must_use]
    pub fn new(label: PemLabel) -> Self {
        Self {
            label,
            inside: false,
            decoder: Base64::default(),
        }
    }

    /// Takes the next line, or a part of a line that is no armour, and appends what it says to `der`.
    pub fn take(&mut self, line: &[u8], der: &mut Vec<u8>) -> Result<Armour, Rule> {
        let line = line.trim_ascii();
        let label = self.label.text().as_bytes();
        if let Some(found) = armour(line, b"-----BEGIN ") {
            if self.inside {
                return Err(Rule::PemForm);
            }
            self.inside = found == label;
        } else if let Some(found) = armour(line, b"-----END ") {
            if self.inside {
                if found != label {
                    return Err(Rule::PemForm);
                }
                self.decoder.finish()?;
                return Ok(Armour::Closed);
            }
        } else if self.inside {
            self.decoder.line(line, der)?;
        }
        Ok(Armour::Open)
    }
}

/// The label of an armour line.
fn armour<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(start)?.strip_suffix(b"-----")
}

/// Base64 as RFC 7468 has it: padded, line breaks anywhere.
#[derive(Default)]
struct Base64 {
    bits: u32,
    count: u8,
    padding: u8,
}

impl Base64 {
    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), Rule> {
        for &c in line {
            let value = match c {
                b'A'..=b'Z' => c - b'A',
                b'a'..=b'z' => c - b'a' + 26,
                b'0'..=b'9' => c - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => {
                    self.padding += 1;
                    if self.padding > 2 {
                        return Err(Rule::PemForm);
                    }
                    continue;
                }
                _ => return Err(Rule::PemForm),
            };
            if self.padding > 0 {
                return Err(Rule::PemForm);
            }
            self.bits = (self.bits << 6) | u32::from(value);
            self.count += 1;
            if self.count == 4 {
                let [_, a, b, c] = self.bits.to_be_bytes();
                out.extend_from_slice(&[a, b, c]);
                (self.bits, self.count) = (0, 0);
            } else {
                // The last group is written once its padding shows how long it is.
            }
        }
        self.flush(out)
    }

    /// Writes a group that its padding completed.
    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Rule> {
        match (self.count, self.padding) {
            (_, 0) | (0, _) => Ok(()),
            (3, 1) => {
                let [_, a, b, _] = (self.bits << 6).to_be_bytes();
                out.extend_from_slice(&[a, b]);
                self.count = 0;
                Ok(())
            }
            (2, 2) => {
                let [_, a, _, _] = (self.bits << 12).to_be_bytes();
                out.push(a);
                self.count = 0;
                Ok(())
            }
            _ => Err(Rule::PemForm),
        }
    }

    fn finish(&self) -> Result<(), Rule> {
        if self.count == 0 {
            Ok(())
        } else {
            Err(Rule::PemForm)
        }
    }
}

#[cfg(test)]
mod tests;
