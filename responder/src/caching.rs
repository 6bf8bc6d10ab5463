//! What tells caches how long an answer lives and whether theirs is still the same (RFC 9919 §6, RFC 9110 §13).
//!
//! Dates are formatted when a window is first met on this core and then kept, not formatted for each answer.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use wire::time::UnixSeconds;

/// The header values that follow from a window.
#[derive(Clone, Debug)]
pub(crate) struct Freshness {
    /// thisUpdate.
    pub(crate) last_modified: HeaderValue,
    /// nextUpdate.
    pub(crate) expires: HeaderValue,
    /// How long, and that nobody may alter it.
    pub(crate) cache_control: HeaderValue,
}

impl Freshness {
    /// Formats the values.
    pub(crate) fn of(this_update: UnixSeconds, next_update: UnixSeconds, max_age: u64) -> Self {
        Self {
            last_modified: http_date(this_update),
            expires: http_date(next_update),
            cache_control: cache_control(max_age),
        }
    }
}

/// `max-age` for something that expires at `expires`: the policy, or less.
pub(crate) fn max_age(policy_secs: u32, expires: UnixSeconds, now: UnixSeconds) -> u64 {
    // RFC 9919 §7.2: max-age ends before nextUpdate.
    u64::from(policy_secs).min(expires.saturating_sub(now))
}

/// `Cache-Control` of everything that may be kept.
pub(crate) fn cache_control(max_age: u64) -> HeaderValue {
    // RFC 9919 §7.2: Cache-Control is max-age, public, no-transform, must-revalidate, and never no-cache or no-store.
    let text = format!("max-age={max_age}, public, no-transform, must-revalidate");
    HeaderValue::try_from(text).expect("letters and digits make a header value")
}

/// A date as HTTP writes it.
pub(crate) fn http_date(time: UnixSeconds) -> HeaderValue {
    HeaderValue::from_bytes(&wire::time::http_date(time)).expect("a date is ASCII")
}

/// The formatted windows of one core: direct-mapped, so that a lookup is one comparison and its size is fixed. max-age
/// is part of the key; it stays at the policy for nearly all of a window's life.
pub(crate) struct FreshnessCache {
    slots: Box<[(Key, Option<Freshness>)]>,
}

type Key = (UnixSeconds, UnixSeconds, u64);

impl FreshnessCache {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![((0, 0, 0), None); SLOTS].into(),
        }
    }

    /// The values for a window with this max-age, formatted only if they are not there already.
    pub(crate) fn of(
        &mut self,
        this_update: UnixSeconds,
        next_update: UnixSeconds,
        max_age: u64,
    ) -> &Freshness {
        let key = (this_update, next_update, max_age);
        // Windows of a rolling schedule differ by a few seconds: neighbours fall into different slots.
        let index = (this_update ^ next_update.rotate_left(5)) as usize % SLOTS;
        let slot = &mut self.slots[index];
        if slot.0 != key {
            *slot = (key, None);
        }
        slot.1
            .get_or_insert_with(|| Freshness::of(this_update, next_update, max_age))
    }
}

const SLOTS: usize = 1024;

/// Octets of the tag of an answer, quotation marks included.
const TAG_OCTETS: usize = 34;

/// The strong tag of an answer: the identity of its pack and the first octets of its signature, so that nothing is hashed
/// for a request. Two answers to one question differ in at least one of them.
pub(crate) fn entity_tag((pack, signature): (u64, u64)) -> [u8; TAG_OCTETS] {
    let mut tag = [b'"'; TAG_OCTETS];
    tag[1..17].copy_from_slice(&hex(pack));
    tag[17..33].copy_from_slice(&hex(signature));
    tag
}

fn hex(number: u64) -> [u8; 16] {
    let mut text = [0; 16];
    for (octet, pair) in number.to_be_bytes().iter().zip(text.chunks_exact_mut(2)) {
        pair.copy_from_slice(&[
            HEX_DIGITS[usize::from(octet >> 4)],
            HEX_DIGITS[usize::from(octet & 15)],
        ]);
    }
    text
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// True if the client's copy, named by its conditions, is the one it would get: 304.
pub(crate) fn unchanged(
    headers: &HeaderMap,
    tag: &[u8],
    last_modified: Option<UnixSeconds>,
) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter();
    let since = headers.get(IF_MODIFIED_SINCE);
    names_copy(
        tags.map(HeaderValue::as_bytes),
        since.map(HeaderValue::as_bytes),
        tag,
        last_modified,
    )
}

/// The same of the values of If-None-Match and If-Modified-Since, wherever they lie.
///
/// If-Modified-Since counts only if it is our own Last-Modified given back. A later date may be the client's own clock, or the Date of its copy: an answer that was signed before that
/// moment and published after it would never reach this client.
pub(crate) fn names_copy<'a>(
    tags: impl Iterator<Item = &'a [u8]>,
    since: Option<&[u8]>,
    tag: &[u8],
    last_modified: Option<UnixSeconds>,
) -> bool {
    // RFC 9110 §13.2.2: If-Modified-Since counts only without If-None-Match.
    let mut tags = tags.peekable();
    if tags.peek().is_some() {
        return tags.any(|list| names_tag(list, tag));
    }
    // RFC 9110 §13.1.3: an If-Modified-Since that is no date MUST be ignored.
    since
        .and_then(read_date)
        .is_some_and(|since| last_modified == Some(since))
}

/// True if the client asks for something only as it was, and it is not: 412.
pub(crate) fn is_not_met(
    headers: &HeaderMap,
    tag: &[u8],
    last_modified: Option<UnixSeconds>,
) -> bool {
    // RFC 9110 §13.1.1: If-Match MUST be compared strongly; `*` is met by whatever is there.
    if headers.contains_key(IF_MATCH) {
        let lines = headers.get_all(IF_MATCH).iter();
        let mut listed = lines.flat_map(|line| line.as_bytes().split(|octet| *octet == b','));
        return !listed.any(|one| one.trim_ascii() == b"*" || one.trim_ascii() == tag);
    }
    // RFC 9110 §13.1.4: If-Unmodified-Since counts only without If-Match.
    let since = headers
        .get(IF_UNMODIFIED_SINCE)
        .and_then(|date| read_date(date.as_bytes()));
    since
        .zip(last_modified)
        .is_some_and(|(since, changed)| changed > since)
}

/// The Last-Modified of something that is valid from `this_update`: none within that very second or before it.
///
/// Within the second it would name two answers, if a status
/// changes at once after it was signed.
pub(crate) fn last_modified(this_update: UnixSeconds, now: UnixSeconds) -> Option<UnixSeconds> {
    // RFC 9110 §8.8.2.1: Last-Modified MUST NOT be later than now.
    // RFC 9919 §7.2: Last-Modified is thisUpdate.
    (this_update < now).then_some(this_update)
}

/// True if a list of tags holds `tag` or is `*`. Compared weakly (RFC 9110 §13.1.2): a `W/` in front is passed over, for
/// caches that weaken tags when they compress. A tag holds no quotation mark, so what stands between them is a tag.
fn names_tag(list: &[u8], tag: &[u8]) -> bool {
    // RFC 9110 §13.1.2: If-None-Match MUST be compared weakly; `*` is met by whatever is there.
    list.trim_ascii() == b"*" || list.windows(tag.len()).any(|candidate| candidate == tag)
}

/// Reads a date in any of the three forms HTTP has had; nothing if it is none, so that the condition is passed over.
fn read_date(value: &[u8]) -> Option<UnixSeconds> {
    let date = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    let since = date.duration_since(SystemTime::UNIX_EPOCH);
    Some(since.unwrap_or(Duration::ZERO).as_secs())
}

/// A header value of octets that are known to be printable ASCII.
pub(crate) fn ascii(octets: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(octets).expect("digits and quotation marks make a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    const TAG: &[u8; 5] = b"\"abc\"";

    // RFC 9110 §13.1.2: If-None-Match MUST be compared weakly; `*` is met by whatever is there.
    #[test]
    fn cache_downloads_again_what_it_has() {
        for value in [
            "\"abc\"",
            "*",
            " * ",
            "W/\"abc\"",
            "\"x\", \"abc\"",
            "\"x\",W/\"abc\" , \"y\"",
        ] {
            assert!(
                unchanged(&conditions(&[("if-none-match", value)]), TAG, Some(5)),
                "{value}"
            );
        }
        let two_lines = conditions(&[("if-none-match", "\"x\""), ("if-none-match", "\"abc\"")]);
        assert!(unchanged(&two_lines, TAG, Some(5)));
    }

    #[test]
    fn cache_keeps_what_has_changed() {
        for value in ["\"abd\"", "abc", "\"abcd\"", "\"xabc\"", "", "\"\""] {
            assert!(
                !unchanged(&conditions(&[("if-none-match", value)]), TAG, Some(5)),
                "{value}"
            );
        }
    }

    // RFC 9110 §13.2.2: If-Modified-Since counts only without If-None-Match.
    #[test]
    fn date_condition_overrules_a_tag_that_differs() {
        let both = conditions(&[
            ("if-none-match", "\"other\""),
            ("if-modified-since", "Thu, 01 Jan 1970 00:00:05 GMT"),
        ]);
        assert!(!unchanged(&both, TAG, Some(5)));
    }

    // RFC 9110 §13.1.3: an If-Modified-Since that is no date MUST be ignored.
    #[test]
    fn dates_of_old_clients_are_not_read() {
        let at = 784_111_777;
        for value in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            let condition = conditions(&[("if-modified-since", value)]);
            assert!(unchanged(&condition, TAG, Some(at)), "{value}");
            assert!(!unchanged(&condition, TAG, Some(at + 1)), "{value}");
        }
        assert!(!unchanged(
            &conditions(&[("if-modified-since", "yesterday")]),
            TAG,
            Some(5)
        ));
    }

    // RFC 9110 §13.1.1: If-Match MUST be compared strongly; `*` is met by whatever is there.
    // RFC 9110 §13.1.4: If-Unmodified-Since counts only without If-Match.
    #[test]
    fn part_of_another_document_is_sent_to_who_asked_for_this_one() {
        for (name, value, not_met) in [
            ("if-match", "\"abc\"", false),
            ("if-match", "\"x\", \"abc\"", false),
            ("if-match", "*", false),
            ("if-match", "\"x\"", true),
            ("if-match", "W/\"abc\"", true),
            (
                "if-unmodified-since",
                "Thu, 01 Jan 1970 00:00:05 GMT",
                false,
            ),
            ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:04 GMT", true),
            ("if-unmodified-since", "some day", false),
        ] {
            let condition = conditions(&[(name, value)]);
            assert_eq!(
                is_not_met(&condition, TAG, Some(5)),
                not_met,
                "{name}: {value}"
            );
        }
        assert!(!is_not_met(&conditions(&[]), TAG, Some(5)));
    }

    #[test]
    fn date_of_a_copy_hides_an_answer_signed_before_it_and_published_after() {
        let copied_at = conditions(&[("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert!(!unchanged(&copied_at, TAG, Some(784_111_776)));
    }

    // RFC 9110 §8.8.2.1: Last-Modified MUST NOT be later than now.
    #[test]
    fn two_answers_of_one_second_share_a_date() {
        assert_eq!(last_modified(1_000, 999), None);
        assert_eq!(last_modified(1_000, 1_000), None);
        assert_eq!(last_modified(1_000, 1_001), Some(1_000));
        let first = conditions(&[("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert!(!unchanged(
            &first,
            TAG,
            last_modified(784_111_777, 784_111_777)
        ));
    }

    #[test]
    fn dates_are_not_what_other_programs_write() {
        for time in [0, 784_111_777, 951_782_400, 1_795_000_000, 4_102_444_799] {
            let theirs =
                httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(time));
            assert_eq!(http_date(time), theirs);
        }
    }

    #[test]
    fn answer_outlives_its_next_update_in_a_cache() {
        assert_eq!(max_age(300, 1_000, 990), 10);
        assert_eq!(max_age(300, 1_000, 600), 300);
        assert_eq!(max_age(300, 1_000, 1_001), 0);
    }

    #[test]
    fn window_gets_the_dates_of_another() {
        let mut cache = FreshnessCache::new();
        for window in 0..5_000u64 {
            let values = cache.of(window * 7, window * 7 + 86_400, 300).clone();
            assert_eq!(values.last_modified, http_date(window * 7));
            assert_eq!(values.expires, http_date(window * 7 + 86_400));
        }
        assert_eq!(
            cache.of(1, 86_401, 299).cache_control,
            "max-age=299, public, no-transform, must-revalidate"
        );
    }

    #[test]
    fn two_answers_share_a_tag() {
        assert_eq!(
            &entity_tag((1, 0xabc)),
            b"\"00000000000000010000000000000abc\""
        );
        assert_ne!(entity_tag((1, 2)), entity_tag((2, 1)));
    }
}
