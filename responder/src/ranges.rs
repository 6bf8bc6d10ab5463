//! Parts of a document: what a Range asks for, and whether it still may (RFC 9110 §14, §13.1.5).
//!
//! One range is served: it is how an interrupted download goes on. Several at once are answered with the whole document,
//! as RFC 9110 §14.2 allows: no client of lists asks so, and many small overlapping ones have been an attack since 2011.

use std::ops::Range;

use hyper::HeaderMap;
use hyper::header::{IF_RANGE, RANGE};

/// What of a document is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Part {
    /// All of it: no range was asked, or one that is passed over.
    Whole,
    /// These octets.
    Octets(Range<usize>),
    /// None of those that were asked are there.
    Unsatisfiable,
}

/// What a GET asks of a document of `octets` octets whose strong tag is `tag`, quotation marks included.
pub(crate) fn asked(headers: &HeaderMap, tag: &[u8], octets: usize) -> Part {
    let Some(range) = headers.get(RANGE) else {
        return Part::Whole;
    };
    // RFC 9110 §13.1.5: a part is sent only if If-Range, compared strongly, names what is there now; else the whole.
    // A date never does: the encoded forms of a document share it, and parts of two of them make no file.
    let still = headers
        .get(IF_RANGE)
        .is_none_or(|condition| condition.as_bytes().trim_ascii() == tag);
    let mut lines = headers.get_all(RANGE).iter();
    if !still || lines.nth(1).is_some() {
        return Part::Whole;
    }
    read(range.as_bytes(), octets)
}

// RFC 9110 §14.2: a Range in a unit that is not known MUST be ignored; so is one that cannot be read.
fn read(range: &[u8], octets: usize) -> Part {
    let Some((unit, set)) = range.split_at_checked(UNIT.len()) else {
        return Part::Whole;
    };
    if !unit.eq_ignore_ascii_case(UNIT) || set.contains(&b',') {
        return Part::Whole;
    }
    let set = set.trim_ascii();
    let Some(dash) = set.iter().position(|octet| *octet == b'-') else {
        return Part::Whole;
    };
    let (first, last) = (&set[..dash], &set[dash + 1..]);
    match (number(first), number(last)) {
        // The last so many.
        (None, Some(suffix)) if first.is_empty() => {
            part(octets.saturating_sub(suffix), octets, suffix > 0)
        }
        (Some(first), None) if last.is_empty() => part(first, octets, true),
        (Some(first), Some(last)) if first <= last => {
            part(first, octets.min(last.saturating_add(1)), true)
        }
        _ => Part::Whole,
    }
}

fn part(first: usize, end: usize, asks_for_some: bool) -> Part {
    if asks_for_some && first < end {
        Part::Octets(first..end)
    } else {
        Part::Unsatisfiable
    }
}

/// A number of any length; what no document reaches is as good as infinite.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_usize, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        Some(number.saturating_mul(10).saturating_add(usize::from(digit)))
    })
}

const UNIT: &[u8] = b"bytes=";

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &[u8] = b"\"now\"";

    fn of_ten(range: &str) -> Part {
        let headers = HeaderMap::from_iter([(RANGE, range.parse().unwrap())]);
        asked(&headers, TAG, 10)
    }

    #[test]
    fn download_goes_on_at_the_wrong_octet() {
        for (range, octets) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-9", 0..10),
            ("bytes=3-", 3..10),
            ("bytes=9-", 9..10),
            ("bytes=2-4", 2..5),
            ("bytes=2-400", 2..10),
            ("bytes=2-99999999999999999999999", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=-10", 0..10),
            ("bytes=-11", 0..10),
            ("BYTES= 2-4 ", 2..5),
        ] {
            assert_eq!(of_ten(range), Part::Octets(octets), "{range}");
        }
    }

    #[test]
    fn range_beyond_the_end_is_answered_with_nothing() {
        for range in [
            "bytes=10-",
            "bytes=10-12",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(of_ten(range), Part::Unsatisfiable, "{range}");
        }
    }

    // RFC 9110 §14.2: a Range in a unit that is not known MUST be ignored; so is one that cannot be read.
    #[test]
    fn range_that_is_none_or_several_is_answered_with_a_part() {
        for range in [
            "bytes=",
            "bytes=-",
            "bytes=5",
            "bytes=5-4",
            "bytes=a-b",
            "bytes=0-4x",
            "bytes=--1",
            "lines=0-4",
            "bytes",
            "",
            "bytes=0-1,3-4",
            "bytes=0-1,",
        ] {
            assert_eq!(of_ten(range), Part::Whole, "{range}");
        }
        let mut two = HeaderMap::new();
        two.append(RANGE, "bytes=0-1".parse().unwrap());
        two.append(RANGE, "bytes=2-3".parse().unwrap());
        assert_eq!(asked(&two, TAG, 10), Part::Whole);
    }

    // RFC 9110 §13.1.5: a part is sent only if If-Range, compared strongly, names what is there now; else the whole.
    #[test]
    fn parts_of_two_documents_make_one_file() {
        for (condition, part) in [
            ("\"now\"", Part::Octets(4..10)),
            ("\"before\"", Part::Whole),
            ("W/\"now\"", Part::Whole),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Part::Whole),
            ("", Part::Whole),
        ] {
            let headers = HeaderMap::from_iter([
                (RANGE, "bytes=4-".parse().unwrap()),
                (IF_RANGE, condition.parse().unwrap()),
            ]);
            assert_eq!(asked(&headers, TAG, 10), part, "{condition}");
        }
    }
}
