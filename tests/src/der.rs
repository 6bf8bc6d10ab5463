//! As much DER as the rig needs: nested elements in, nested elements out.

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// The identifier octet.
    pub tag: u8,
    /// Identifier, length and content.
    pub whole: &'a [u8],
    /// The content alone.
    pub content: &'a [u8],
}

impl<'a> Element<'a> {
    /// The only element in these octets.
    ///
    /// # Panics
    /// If they hold none, or more.
    #[must_use]
    pub fn only(octets: &'a [u8]) -> Self {
        let mut elements = elements(octets);
        let element = elements.next().expect("an element");
        assert!(elements.next().is_none(), "octets after the only element");
        element
    }

    /// The elements inside.
    #[must_use]
    pub fn inside(&self) -> Elements<'a> {
        elements(self.content)
    }
}

/// Elements one after the other.
#[derive(Debug, Clone)]
pub struct Elements<'a>(&'a [u8]);

/// The elements in these octets, one after the other.
#[must_use]
pub fn elements(octets: &[u8]) -> Elements<'_> {
    Elements(octets)
}

impl<'a> Elements<'a> {
    /// The next element, if it has this tag.
    pub fn next_if(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.0.first() == Some(&tag) {
            self.next()
        } else {
            None
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    /// # Panics
    /// If a length runs past the end: the rig reads what it has been told is right.
    fn next(&mut self) -> Option<Element<'a>> {
        let tag = *self.0.first()?;
        let first = usize::from(self.0[1]);
        let (header, length) = if first < 0x80 {
            (2, first)
        } else {
            let octets = first & 0x7F;
            let length = self.0[2..2 + octets]
                .iter()
                .fold(0, |length, octet| length << 8 | usize::from(*octet));
            (2 + octets, length)
        };
        let (whole, rest) = self.0.split_at(header + length);
        self.0 = rest;
        Some(Element {
            tag,
            whole,
            content: &whole[header..],
        })
    }
}

/// An element around this content.
#[must_use]
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut whole = vec![tag];
    let length = content.len().to_be_bytes();
    match content.len() {
        0..0x80 => whole.push(length[7]),
        0x80..0x100 => whole.extend([0x81, length[7]]),
        0x100..0x1_0000 => whole.extend([0x82, length[6], length[7]]),
        _ => whole.extend([0x83, length[5], length[6], length[7]]),
    }
    whole.extend_from_slice(content);
    whole
}

/// A SEQUENCE of these.
#[must_use]
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

/// A GeneralizedTime's content, `YYYYMMDDHHMMSSZ`, as Unix seconds.
///
/// # Panics
/// If it is written otherwise.
#[must_use]
pub fn generalized_time(content: &[u8]) -> u64 {
    assert!(
        content.len() == 15 && content[14] == b'Z',
        "{:?}",
        String::from_utf8_lossy(content)
    );
    let number = |from: usize, to: usize| -> i64 {
        content[from..to]
            .iter()
            .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
    };
    // Days since 1970-01-01, counted from a March so that the leap day comes last (Howard Hinnant's algorithm).
    let (year, month, day) = (number(0, 4), number(4, 6), number(6, 8));
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let year_of_era = shifted - era * 400;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100
        + day_of_year
        - 719_468;
    let seconds = days * 86_400 + number(8, 10) * 3_600 + number(10, 12) * 60 + number(12, 14);
    u64::try_from(seconds).expect("a time since 1970")
}

/// The first PEM block with this label, decoded.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn pem(text: &str, label: &str) -> Vec<u8> {
    use base64::Engine as _;
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let body = text
        .split(&begin)
        .nth(1)
        .and_then(|rest| rest.split(&end).next())
        .expect(label);
    let packed: String = body.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD
        .decode(packed)
        .expect("base64 between the marks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_day_and_the_turn_of_a_century_are_counted() {
        assert_eq!(generalized_time(b"19700101000000Z"), 0);
        assert_eq!(generalized_time(b"20000229235959Z"), 951_868_799);
        assert_eq!(generalized_time(b"21000301000000Z"), 4_107_542_400);
    }

    #[test]
    fn lengths_of_every_width_are_read_as_they_are_written() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let whole = element(0x04, &content);
            assert_eq!(Element::only(&whole).content, content);
        }
    }
}
