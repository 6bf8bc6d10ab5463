//! A list that is never held whole: where its parts lie, its entries out of whatever octets are at hand, and everything
//! around them judged by the same reader that reads a whole list.
//!
//! ```text
//! ├─ outer header ─┬──────────────── tbsCertList ────────────────┬─ algorithm, signature ─┤
//!                  ├─ head ─┬─ header ─┬─ entries … ─┬─ extensions ┤
//! ```
//!
//! A caller reads some kilooctets, asks [`Places::find`] where the entries lie, lets [`next_entry`] read them one after
//! the other, and gives head and tail to [`Outline`].

use alloc::vec::Vec;
use core::ops::Range;

use super::entry::{CrlEntry, read_entry};
use super::reader::{Crl, read_time};
use crate::der::{Reader, push_header, tag};
use crate::{DecodeError, Rule};

/// Where the parts of a list lie, in octets from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The whole TLV of `tbsCertList`: what is signed.
    pub tbs: Range<usize>,
    /// The content of `tbsCertList` before `revokedCertificates`.
    pub head: Range<usize>,
    /// The content of `revokedCertificates`; empty where there is none.
    pub entries: Range<usize>,
    /// The whole TLV of the `AlgorithmIdentifier` inside the signed part.
    pub algorithm: Range<usize>,
    /// The whole TLV of the issuer's Name.
    pub issuer: Range<usize>,
    /// The end of the list: nothing may follow.
    pub end: usize,
    /// A version stands there, so entries may have extensions.
    pub is_v2: bool,
}

impl Places {
    /// Finds them from the first octets of a list. [`Rule::Truncated`] also where the head is longer than what was given.
    pub fn find(start: &[u8]) -> Result<Self, DecodeError> {
        let mut list = Reader::new(start);
        let length = list.enter(tag::SEQUENCE)?;
        let end = within(list.offset(), length, usize::MAX, 0)?;
        let tbs_start = list.offset();
        let length = list.enter(tag::SEQUENCE)?;
        let tbs_end = within(list.offset(), length, end, tbs_start)?;

        let signed = start.get(list.offset()..tbs_end.min(start.len()));
        let mut signed = Reader::at(signed.unwrap_or_default(), list.offset());
        let head = signed.offset();
        let is_v2 = signed.optional(tag::INTEGER)?.is_some();
        let algorithm = signed.offset();
        signed.read(tag::SEQUENCE)?;
        let algorithm = algorithm..signed.offset();
        signed.read(tag::SEQUENCE)?;
        let issuer = algorithm.end..signed.offset();
        read_time(&mut signed)?;
        // What follows may lie behind the octets at hand: then nobody could tell an absent field from an unread one.
        if signed.is_empty() && signed.offset() < tbs_end {
            return Err(signed.error(Rule::Truncated));
        }
        if let Some(tag::UTC_TIME | tag::GENERALIZED_TIME) = signed.peek() {
            read_time(&mut signed)?;
        }
        let head = head..signed.offset();
        let entries = if signed.peek() == Some(tag::SEQUENCE) {
            let at = signed.offset();
            let length = signed.enter(tag::SEQUENCE)?;
            signed.offset()..within(signed.offset(), length, tbs_end, at)?
        } else if signed.is_empty() && signed.offset() < tbs_end {
            return Err(signed.error(Rule::Truncated));
        } else {
            head.end..head.end
        };
        Ok(Self {
            tbs: tbs_start..tbs_end,
            head,
            entries,
            algorithm,
            issuer,
            end,
            is_v2,
        })
    }

    /// What follows the entries.
    pub fn tail(&self) -> Range<usize> {
        self.entries.end..self.end
    }
}

/// The end of a value whose content starts at `start`; it may not lie behind that of the value around it.
fn within(start: usize, length: usize, end: usize, at: usize) -> Result<usize, DecodeError> {
    match start.checked_add(length) {
        Some(own) if own <= end => Ok(own),
        Some(_) => Err(Rule::Truncated.at(at)),
        None => Err(Rule::LengthTooLong.at(at)),
    }
}

/// Reads the first entry of `octets`, which stand at `offset` of the list, and says how many octets it has; `None` if it
/// goes on behind them. An entry that claims more than [`MAX_ENTRY_OCTETS`] is refused.
#[inline]
pub fn next_entry(
    octets: &[u8],
    offset: usize,
    is_v2: bool,
) -> Result<Option<(CrlEntry<'_>, usize)>, DecodeError> {
    let mut list = Reader::at(octets, offset);
    let length = match list.announced() {
        Ok(length) if length > MAX_ENTRY_OCTETS => return Err(list.error(Rule::TooLong)),
        Ok(length) => length,
        Err(error) if error.rule == Rule::Truncated => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > octets.len() {
        return Ok(None);
    }
    read_entry(&mut list, is_v2).map(|entry| Some((entry, length)))
}

/// A list without its entries, to be read as [`Crl`]. What it gives as `tbs` is not what was signed.
#[derive(Clone, Debug)]
pub struct Outline {
    octets: Vec<u8>,
    /// Runs of `octets`: where each starts there, and where in the list.
    runs: Vec<(usize, usize)>,
}

impl Outline {
    /// From the octets before the entries' content and those behind it. Both are as long as `places` says.
    pub fn new(places: &Places, before: &[u8], tail: &[u8]) -> Result<Self, DecodeError> {
        let missing = |at| Rule::Truncated.at(at);
        let head = before
            .get(places.head.clone())
            .ok_or(missing(places.head.start))?;
        let signed = places.tbs.end - places.entries.end;
        let (signed, unsigned) = tail
            .split_at_checked(signed)
            .ok_or(missing(places.entries.end))?;
        let empty: &[u8] = if places.entries.start > places.head.end {
            &[tag::SEQUENCE, 0]
        } else {
            &[]
        };
        let length = head.len() + empty.len() + signed.len();
        let mut tbs = Vec::with_capacity(length + 8);
        push_header(&mut tbs, tag::SEQUENCE, length);
        let mut octets = Vec::with_capacity(tbs.len() + length + unsigned.len() + 8);
        push_header(
            &mut octets,
            tag::SEQUENCE,
            tbs.len() + length + unsigned.len(),
        );
        let mut runs = Vec::from([(0, 0), (octets.len(), places.tbs.start)]);
        octets.append(&mut tbs);
        runs.push((octets.len(), places.head.start));
        octets.extend_from_slice(head);
        runs.push((octets.len(), places.head.end));
        octets.extend_from_slice(empty);
        runs.push((octets.len(), places.entries.end));
        octets.extend_from_slice(signed);
        octets.extend_from_slice(unsigned);
        Ok(Self { octets, runs })
    }

    /// Everything of the list but `tbs` and its entries, read as strictly as a whole one.
    pub fn read(&self) -> Result<Crl<'_>, DecodeError> {
        Crl::parse(&self.octets).map_err(|error| error.rule.at(self.in_list(error.offset)))
    }

    /// Where in the list an offset of the outline lies.
    fn in_list(&self, offset: usize) -> usize {
        let run = self.runs.iter().rev().find(|(start, _)| *start <= offset);
        run.map_or(offset, |(start, list)| list + (offset - start))
    }
}

/// Octets of an entry. A serial, a date and the extensions of RFC 5280 take a hundred; a certificateIssuer some more.
pub const MAX_ENTRY_OCTETS: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::crl::fuzz::in_pieces;

    /// A list of this many entries whose serials are not all of one length.
    fn list(entries: u8) -> Vec<u8> {
        let mut writer = crate::crl::CrlWriter::new();
        for number in 0..entries {
            writer.push(&[1, number], 1_700_000_000, None, None);
        }
        let algorithm = crate::algorithm::SignatureAlgorithm::Ed25519;
        let tbs = writer.finish(&crate::crl::CrlHeader {
            algorithm,
            issuer: &[0x30, 0],
            this_update: 1_700_000_000,
            next_update: 1_800_000_000,
            number: 1,
            key_identifier: &[7; 20],
            base_number: None,
            distribution_point: None,
            freshest_uri: None,
        });
        crate::crl::assemble_crl(&tbs, algorithm, &[1; 64]).unwrap()
    }

    #[test]
    fn an_entry_cut_by_the_end_of_the_octets_at_hand_is_lost_or_read_twice() {
        let octets = list(40);
        let whole: Vec<_> = Crl::parse(&octets).unwrap().entries().collect();
        for piece in [20, 21, 64, 1000, 5000] {
            let pieces = in_pieces(&octets, piece).unwrap();
            let whole: Vec<_> = whole.iter().map(|entry| entry.unwrap().serial).collect();
            assert_eq!(pieces, whole, "{piece} octets at a time");
        }
    }

    #[test]
    fn a_head_that_is_not_all_there_is_taken_for_one_without_entries() {
        let octets = list(3);
        let places = Places::find(&octets).unwrap();
        assert!(!places.entries.is_empty());
        for cut in 0..places.entries.start {
            let found = Places::find(&octets[..cut]);
            assert_eq!(found.unwrap_err().rule, Rule::Truncated, "{cut} octets");
        }
        for cut in places.entries.start..octets.len() {
            assert_eq!(
                Places::find(&octets[..cut]).unwrap(),
                places,
                "{cut} octets"
            );
        }
    }

    #[test]
    fn an_error_behind_the_entries_is_told_at_another_octet() {
        let octets = list(40);
        let places = Places::find(&octets).unwrap();
        for at in places.entries.end..octets.len() {
            let mut broken = octets.clone();
            broken[at] ^= 0x20;
            let outline = Outline::new(&places, &broken, &broken[places.tail()]).unwrap();
            let whole = Crl::parse(&broken).map(drop);
            assert_eq!(outline.read().map(drop), whole, "octet {at}");
        }
    }

    #[test]
    fn an_entry_as_long_as_the_list_is_waited_for() {
        let mut endless = vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff];
        endless.extend([0; 100]);
        assert_eq!(
            next_entry(&endless, 7, true).unwrap_err(),
            Rule::TooLong.at(7)
        );
    }
}
