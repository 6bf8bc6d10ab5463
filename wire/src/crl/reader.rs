//! The list around its entries: names, times, extensions, signature. Entries are not touched until they are asked for.

use super::distribution::IssuingDistributionPoint;
use super::entry::{CrlEntries, CrlEntry, read_entry};
use crate::der::{Reader, Tlv, tag};
use crate::request::read_extension;
use crate::time::{UnixSeconds, parse_time, parse_time_with_fraction};
use crate::{DecodeError, Rule, oid};

/// A list, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Crl<'a> {
    /// The whole TLV of `tbsCertList`: what is signed.
    pub tbs: &'a [u8],
    /// The whole TLV of the signature's `AlgorithmIdentifier`, the same inside and outside.
    pub algorithm: &'a [u8],
    /// The signature, without the count of unused bits.
    pub signature: &'a [u8],
    /// True for version 2; version 1 has no extensions.
    pub is_v2: bool,
    /// The whole TLV of the issuer's Name.
    pub issuer: &'a [u8],
    /// `thisUpdate`.
    pub this_update: UnixSeconds,
    /// `nextUpdate`; RFC 5280 demands it, real lists lack it.
    pub next_update: Option<UnixSeconds>,
    /// The extensions of the list.
    pub extensions: CrlExtensions<'a>,
    pub(super) entries: Reader<'a>,
}

/// What the extensions of a list say. All of them were looked at; none was judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct CrlExtensions<'a> {
    /// The content octets of the list's number.
    pub number: Option<&'a [u8]>,
    /// The content octets of the number of the list that this one changes: a delta CRL if there is one.
    pub base_number: Option<&'a [u8]>,
    /// What the list is about.
    pub distribution_point: Option<IssuingDistributionPoint<'a>>,
    /// The whole TLV of the `AuthorityKeyIdentifier`.
    pub authority_key_identifier: Option<&'a [u8]>,
    /// `keyIdentifier` inside it.
    pub key_identifier: Option<&'a [u8]>,
    /// The whole TLV of `freshestCRL`'s value.
    pub freshest: Option<&'a [u8]>,
    /// `expiredCertsOnCRL`: certificates that expired after this are still listed.
    pub expired_kept_since: Option<UnixSeconds>,
    /// The whole TLV of the identifier of the first critical extension not known here. RFC 5280 §5.2: such a list must
    /// not be used to decide a status.
    pub unknown_critical: Option<&'a [u8]>,
}

impl<'a> Crl<'a> {
    /// Reads everything but the entries, which [`entries`](Self::entries) gives one by one.
    pub fn parse(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(octets);
        let mut list = input.sequence()?;
        input.finish()?;
        let tbs_value = list.read(tag::SEQUENCE)?;
        let algorithm = list.read(tag::SEQUENCE)?;
        let signature = list.bit_string_octets()?.content;
        list.finish()?;

        let mut tbs = tbs_value.reader();
        let is_v2 = read_version(&mut tbs)?;
        let inner_algorithm = tbs.read(tag::SEQUENCE)?;
        // RFC 5280 §5.1.1.2: both MUST be the same. What is outside is not signed.
        if inner_algorithm.raw != algorithm.raw {
            return Err(inner_algorithm.error(Rule::AlgorithmsDiffer));
        }
        let issuer = tbs.read(tag::SEQUENCE)?.raw;
        let this_update = read_time(&mut tbs)?;
        let next_update = match tbs.peek() {
            Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => {
                let at = tbs.offset();
                let next_update = read_time(&mut tbs)?;
                if next_update < this_update {
                    return Err(Rule::DatesBackwards.at(at));
                }
                Some(next_update)
            }
            _ => None,
        };
        // RFC 5280 §5.1.2.6: an empty list MUST be left out; it is taken when written.
        // It is validly signed out there and says the same.
        let entries = match tbs.optional(tag::SEQUENCE)? {
            Some(entries) => entries.reader(),
            None => Reader::new(&[]),
        };
        let extensions = match tbs.optional(tag::context_constructed(0))? {
            Some(explicit) if !is_v2 => return Err(explicit.error(Rule::ExtensionsInV1)),
            Some(explicit) => CrlExtensions::read(&explicit)?,
            None => CrlExtensions::default(),
        };
        tbs.finish()?;
        Ok(Self {
            tbs: tbs_value.raw,
            algorithm: algorithm.raw,
            signature,
            is_v2,
            issuer,
            this_update,
            next_update,
            extensions,
            entries,
        })
    }

    /// The entries, one by one, read as they are asked for. After an error the iterator ends.
    pub fn entries(&self) -> CrlEntries<'a> {
        CrlEntries::new(self.entries, self.is_v2)
    }

    /// Reads the entry at an [`offset`](super::CrlEntry::offset) that the iterator gave. An offset in the middle of an
    /// entry gives an error or nonsense, as it may.
    pub fn entry_at(&self, offset: usize) -> Result<CrlEntry<'a>, DecodeError> {
        let mut list = self
            .entries
            .skipped_to(offset)
            .ok_or(Rule::Truncated.at(offset))?;
        read_entry(&mut list, self.is_v2)
    }

    /// Octets of all entries.
    pub fn entries_octets(&self) -> usize {
        self.entries.rest().len()
    }

    /// True if this list only says what changed since another.
    pub fn is_delta(&self) -> bool {
        self.extensions.base_number.is_some()
    }
}

impl<'a> CrlExtensions<'a> {
    fn read(explicit: &Tlv<'a>) -> Result<Self, DecodeError> {
        let mut inside = explicit.reader();
        let mut list = inside.sequence()?;
        inside.finish()?;
        let mut found = Self::default();
        while !list.is_empty() {
            let start = list.offset();
            let extension = read_extension(&mut list)?;
            let mut value = extension.value.reader();
            let repeated = match extension.oid {
                known if known == oid::CRL_NUMBER => {
                    found.number.replace(read_number(&mut value)?).is_some()
                }
                known if known == oid::DELTA_CRL_INDICATOR => found
                    .base_number
                    .replace(read_number(&mut value)?)
                    .is_some(),
                known if known == oid::ISSUING_DISTRIBUTION_POINT => found
                    .distribution_point
                    .replace(IssuingDistributionPoint::read(&mut value)?)
                    .is_some(),
                known if known == oid::AUTHORITY_KEY_IDENTIFIER => {
                    let identifier = value.read(tag::SEQUENCE)?;
                    found.key_identifier = identifier
                        .reader()
                        .optional(tag::context(0))?
                        .map(|key| key.content);
                    found
                        .authority_key_identifier
                        .replace(identifier.raw)
                        .is_some()
                }
                known if known == oid::FRESHEST_CRL => found
                    .freshest
                    .replace(value.read(tag::SEQUENCE)?.raw)
                    .is_some(),
                known if known == oid::EXPIRED_CERTS_ON_CRL => {
                    let since = value.read(tag::GENERALIZED_TIME)?;
                    let since = parse_time_with_fraction(since.content)
                        .map_err(|rule| since.error(rule))?;
                    found.expired_kept_since.replace(since).is_some()
                }
                other => {
                    value = Reader::new(&[]);
                    if extension.is_critical
                        && other != oid::ISSUER_ALT_NAME
                        && found.unknown_critical.is_none()
                    {
                        found.unknown_critical = Some(other);
                    }
                    false
                }
            };
            value.finish()?;
            if repeated {
                return Err(Rule::ExtensionRepeated.at(start));
            }
        }
        Ok(found)
    }
}

/// `version`: 1 is v2. Absent is v1; the value 0 would be v1 too but is not one RFC 5280 knows.
fn read_version(tbs: &mut Reader<'_>) -> Result<bool, DecodeError> {
    if tbs.peek() != Some(tag::INTEGER) {
        return Ok(false);
    }
    let version = tbs.integer(4)?;
    match version.content {
        [1] => Ok(true),
        _ => Err(version.error(Rule::VersionUnknown)),
    }
}

/// The number of a list: an INTEGER. RFC 5280 §5.2.3 wants it non-negative and of at most 20 octets; a longer one only has
/// to be compared.
fn read_number<'a>(value: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    value.integer(32).map(|number| number.content)
}

/// A `Time`: `UTCTime` or `GeneralizedTime`. RFC 5280 §5.1.2.4 wants `UTCTime` through 2049; real lists use either, both
/// are DER and say the same.
#[inline]
pub(super) fn read_time(reader: &mut Reader<'_>) -> Result<UnixSeconds, DecodeError> {
    let value = reader.any()?;
    parse_time(value.tag, value.content).map_err(|rule| value.error(rule))
}
