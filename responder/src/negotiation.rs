//! Which content coding a client gets of a document (RFC 9110 §12.5.3).

use hufu_loader::manifest::Encoding;
use hyper::HeaderMap;
use hyper::header::ACCEPT_ENCODING;

/// What suits the client best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Choice {
    /// The document as it is.
    Identity,
    /// In this coding.
    Encoded(Encoding),
    /// The client refuses all there is.
    Nothing,
}

/// Chooses among `offered`, the smallest first: the heaviest wins, of equals the smallest.
pub(crate) fn choose(headers: &HeaderMap, offered: impl Iterator<Item = Encoding>) -> Choice {
    let wishes = Wishes::read(headers);
    // RFC 9110 §12.5.3: who sends no Accept-Encoding accepts any, and is served what everybody can read.
    if !wishes.said {
        return Choice::Identity;
    }
    let mut best = None;
    for encoding in offered {
        let weight = wishes.weight(Coding::from(encoding)).unwrap_or(0);
        if weight > best.map_or(0, |(_, heaviest)| heaviest) {
            best = Some((encoding, weight));
        }
    }
    match (best, wishes.identity()) {
        (Some((encoding, weight)), identity) if weight >= identity => Choice::Encoded(encoding),
        (_, 0) => Choice::Nothing,
        _ => Choice::Identity,
    }
}

/// Codings that a client may name and that we can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Zstd,
    Identity,
    /// `*`: whatever is not named.
    Any,
}

impl From<Encoding> for Coding {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Gzip => Self::Gzip,
            Encoding::Zstd => Self::Zstd,
        }
    }
}

impl Coding {
    fn read(name: &[u8]) -> Option<Self> {
        match () {
            // RFC 9110 §8.4.1.3: x-gzip SHOULD be taken for gzip.
            () if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") => {
                Some(Self::Gzip)
            }
            () if name.eq_ignore_ascii_case(b"zstd") => Some(Self::Zstd),
            () if name.eq_ignore_ascii_case(b"identity") => Some(Self::Identity),
            () if name == b"*" => Some(Self::Any),
            () => None,
        }
    }
}

/// The weights a client gave, in thousandths.
#[derive(Default)]
struct Wishes {
    said: bool,
    weights: [Option<u16>; 4],
}

impl Wishes {
    fn read(headers: &HeaderMap) -> Self {
        let mut wishes = Self::default();
        for line in headers.get_all(ACCEPT_ENCODING) {
            wishes.said = true;
            for element in line.as_bytes().split(|octet| *octet == b',') {
                let mut parts = element.split(|octet| *octet == b';');
                let name = parts.next().unwrap_or_default().trim_ascii();
                let Some(coding) = Coding::read(name) else {
                    continue;
                };
                // An element that cannot be read is no wish.
                if let Some(weight) = parts.next().map_or(Some(FULL), read_weight) {
                    wishes.weights[coding as usize] = Some(weight);
                }
            }
        }
        wishes
    }

    fn weight(&self, coding: Coding) -> Option<u16> {
        self.weights[coding as usize].or(self.weights[Coding::Any as usize])
    }

    // RFC 9110 §12.5.3: the document as it is stays acceptable unless `identity;q=0` or `*;q=0` says otherwise.
    fn identity(&self) -> u16 {
        let named = self.weights[Coding::Identity as usize];
        let refused = self.weights[Coding::Any as usize] == Some(0);
        // Not named, it is the last resort.
        named.unwrap_or(if refused { 0 } else { 1 })
    }
}

/// `q=0.5` → 500. Nothing if it is no weight.
fn read_weight(parameter: &[u8]) -> Option<u16> {
    let parameter = parameter.trim_ascii();
    let [b'q' | b'Q', b'=', whole, rest @ ..] = parameter else {
        return None;
    };
    let mut weight = match whole {
        b'0' => 0,
        b'1' => FULL,
        _ => return None,
    };
    let digits = match rest {
        [] => return Some(weight),
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    for (digit, worth) in digits.iter().zip([100, 10, 1]) {
        weight += u16::from(digit.is_ascii_digit().then(|| digit - b'0')?) * worth;
    }
    (weight <= FULL).then_some(weight)
}

/// `q=1`.
const FULL: u16 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use Choice::{Encoded, Identity, Nothing};
    use Encoding::{Gzip, Zstd};

    fn chosen(lines: &[&str]) -> Choice {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, line.parse().unwrap());
        }
        choose(&headers, [Zstd, Gzip].into_iter())
    }

    // RFC 9110 §12.5.3: who sends no Accept-Encoding accepts any, and is served what everybody can read.
    // RFC 9110 §8.4.1.3: x-gzip SHOULD be taken for gzip.
    #[test]
    fn client_gets_octets_that_it_cannot_read() {
        for (accepts, choice) in [
            ("", Identity),
            ("gzip", Encoded(Gzip)),
            ("GZip", Encoded(Gzip)),
            ("x-gzip", Encoded(Gzip)),
            ("zstd", Encoded(Zstd)),
            ("deflate, gzip, br, zstd", Encoded(Zstd)),
            ("gzip;q=1.0, zstd;q=0.5", Encoded(Gzip)),
            ("gzip; q=0.2 , zstd ; q=0.201", Encoded(Zstd)),
            ("gzip;q=0", Identity),
            ("gzip;q=0.000, zstd;q=0", Identity),
            ("br", Identity),
            ("deflate;q=0.5", Identity),
            ("identity", Identity),
            ("identity;q=0.5, gzip;q=0.4", Identity),
            ("identity;q=0.5, gzip;q=0.5", Encoded(Gzip)),
            ("*", Encoded(Zstd)),
            ("*;q=0.1, zstd;q=0", Encoded(Gzip)),
            ("gzip;q=0, *", Encoded(Zstd)),
        ] {
            assert_eq!(chosen(&[accepts]), choice, "{accepts}");
        }
        assert_eq!(chosen(&[]), Identity);
        assert_eq!(chosen(&["br", "gzip"]), Encoded(Gzip));
    }

    // RFC 9110 §12.5.3: the document as it is stays acceptable unless `identity;q=0` or `*;q=0` says otherwise.
    #[test]
    fn client_that_refuses_plain_octets_gets_them() {
        for refuses in [
            "identity;q=0",
            "*;q=0",
            "br, identity;q=0",
            "gzip;q=0, zstd;q=0, identity;q=0",
            "*;q=0, gzip;q=0",
        ] {
            assert_eq!(chosen(&[refuses]), Nothing, "{refuses}");
        }
        assert_eq!(chosen(&["identity;q=0, gzip"]), Encoded(Gzip));
        assert_eq!(chosen(&["*;q=0, identity"]), Identity);
    }

    #[test]
    fn weights_that_are_none_decide() {
        for bad in [
            "gzip;q=2",
            "gzip;q=",
            "gzip;q",
            "gzip;q=1.001",
            "gzip;q=0.0001",
            "gzip;q=-1",
            "gzip;level=9",
            "gzip;q=0,5",
        ] {
            assert_eq!(chosen(&[bad]), Identity, "{bad}");
        }
    }
}
