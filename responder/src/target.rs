//! The path of a GET → the octets of the OCSP request in it.
//!
//! RFC 6960 appendix A.1: the DER encoding, base64, URL-encoded. Real clients differ, so all of these are read as the
//! same request: `+`, `/` and `=` bare or percent-encoded; base64url (`-`, `_`); padding absent or itself encoded;
//! a space (mostly `%20`) where a proxy has "decoded" a plus; any number of slashes in front (`http://host/` + `/MFEw…`).
//! What cannot be base64 at all is [`NotBase64`], answered like any other request that cannot be parsed.
//!
//! Slashes inside are base64 digits: the path must never be normalised before it comes here.

/// The path is not base64, however liberally read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotBase64;

/// Decodes `path` into the front of `out`; how many octets there are. Never writes beyond `out`: what does not fit is
/// not a request.
pub(crate) fn decode(path: &[u8], out: &mut [u8]) -> Result<usize, NotBase64> {
    // RFC 6960 §A.1: the path of a GET is the URL-encoded base64 of the request.
    let mut symbols = path;
    while let [b'/', rest @ ..] = symbols {
        symbols = rest;
    }
    let mut written = 0;
    loop {
        // Quads of plain digits, which is nearly all of every path.
        while let [a, b, c, d, rest @ ..] = symbols {
            let digits = [digit(*a), digit(*b), digit(*c), digit(*d)];
            if digits.iter().any(|digit| *digit > MAX_DIGIT) {
                break;
            }
            written += put(digits, 3, out, written)?;
            symbols = rest;
        }
        // One quad symbol by symbol: escapes, padding, the end.
        let mut digits = [0; 4];
        let mut held = 0;
        while held < 4 {
            match next_symbol(symbols) {
                None => return finish(digits, held, out, written),
                Some((b'=', rest)) => {
                    only_padding(rest)?;
                    return finish(digits, held, out, written);
                }
                Some((symbol, rest)) => {
                    digits[held] = digit(symbol);
                    if digits[held] > MAX_DIGIT {
                        return Err(NotBase64);
                    }
                    held += 1;
                    symbols = rest;
                }
            }
        }
        written += put(digits, 3, out, written)?;
    }
}

/// The last quad, `held` digits of it there.
fn finish(
    digits: [u8; 4],
    held: usize,
    out: &mut [u8],
    written: usize,
) -> Result<usize, NotBase64> {
    match held {
        0 => Ok(written),
        // A lone digit is six bits, which no encoder writes.
        1 => Err(NotBase64),
        _ => Ok(written + put(digits, held - 1, out, written)?),
    }
}

/// At most one more `=` after the first; a digit after padding is a second message glued on.
fn only_padding(symbols: &[u8]) -> Result<(), NotBase64> {
    match next_symbol(symbols) {
        None => Ok(()),
        Some((b'=', [])) => Ok(()),
        Some(_) => Err(NotBase64),
    }
}

/// Writes the first `octets` octets of a quad at `written`.
#[inline]
fn put(digits: [u8; 4], octets: usize, out: &mut [u8], written: usize) -> Result<usize, NotBase64> {
    let [a, b, c, d] = digits.map(u32::from);
    let [_, x, y, z] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
    let slot = out.get_mut(written..written + octets).ok_or(NotBase64)?;
    slot.copy_from_slice(&[x, y, z][..octets]);
    Ok(octets)
}

/// The next symbol, its percent-encoding undone.
fn next_symbol(symbols: &[u8]) -> Option<(u8, &[u8])> {
    match symbols {
        [b'%', high, low, rest @ ..] => {
            let decoded = hex(*high).zip(hex(*low)).map(|(h, l)| h << 4 | l);
            // A broken escape becomes a symbol that is no digit.
            Some((decoded.unwrap_or(b'%'), rest))
        }
        [symbol, rest @ ..] => Some((*symbol, rest)),
        [] => None,
    }
}

fn hex(symbol: u8) -> Option<u8> {
    (symbol as char).to_digit(16).map(|value| value as u8)
}

fn digit(symbol: u8) -> u8 {
    DIGITS[usize::from(symbol)]
}

const MAX_DIGIT: u8 = 63;

/// Value of each symbol in both alphabets; anything above [`MAX_DIGIT`] is no digit.
const DIGITS: [u8; 256] = {
    let mut table = [0xff; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0;
    while value < 64 {
        table[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    table[b'-' as usize] = 62;
    table[b' ' as usize] = 62;
    table[b'_' as usize] = 63;
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    fn decoded(path: &str) -> Result<Vec<u8>, NotBase64> {
        let mut out = [0; 600];
        decode(path.as_bytes(), &mut out).map(|length| out[..length].to_vec())
    }

    /// Octets whose base64 has all three awkward symbols, in each length modulo 3.
    fn messages() -> Vec<Vec<u8>> {
        (0..64usize)
            .map(|length| {
                (0..length)
                    .map(|i| [0xfb, 0xef, 0xff, 0x3e][i % 4])
                    .collect()
            })
            .collect()
    }

    #[test]
    fn form_of_some_real_client_is_not_understood() {
        for message in messages() {
            let plain = STANDARD.encode(&message);
            let forms = [
                format!("/{plain}"),
                format!("///{plain}"),
                format!("/{}", plain.trim_end_matches('=')),
                format!("/{}", URL_SAFE_NO_PAD.encode(&message)),
                format!("/{}", plain.replace('+', " ")),
                format!("/{}", plain.replace('+', "%20")),
                format!(
                    "/{}",
                    plain
                        .replace('+', "%2B")
                        .replace('/', "%2F")
                        .replace('=', "%3D")
                ),
                format!(
                    "/{}",
                    plain
                        .replace('+', "%2b")
                        .replace('/', "%2f")
                        .replace('=', "%3d")
                ),
                format!(
                    "/{}",
                    plain
                        .bytes()
                        .map(|b| format!("%{b:02X}"))
                        .collect::<String>()
                ),
            ];
            for form in forms {
                // A leading '/' digit cannot be told from a slash in front; DER requests begin with 'M'.
                if plain.starts_with('/') && !form.starts_with("/%2") {
                    continue;
                }
                assert_eq!(decoded(&form).as_ref(), Ok(&message), "{form}");
            }
        }
    }

    #[test]
    fn octets_from_nowhere() {
        for bad in [
            "/M",
            "/MFEw=MFE",
            "/M~~~",
            "/MFE%",
            "/MFE%2",
            "/MFE%zz",
            "/MFE====",
            "/MF\u{e9}w",
        ] {
            assert_eq!(decoded(bad), Err(NotBase64), "{bad}");
        }
        assert_eq!(decoded("/"), Ok(vec![]));
        assert_eq!(decoded(""), Ok(vec![]));
    }

    #[test]
    fn long_path_overruns_the_buffer() {
        for octets in 598..610 {
            let path = format!("/{}", STANDARD.encode(vec![7; octets]));
            assert_eq!(decoded(&path).is_ok(), octets <= 600, "{octets}");
        }
    }

    #[test]
    fn slash_inside_the_base64_is_taken_for_a_path_separator() {
        assert_eq!(
            decoded("/MA//MA").unwrap(),
            STANDARD.decode("MA//MA==").unwrap()
        );
    }
}
