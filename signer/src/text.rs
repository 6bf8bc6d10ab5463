//! Octets and moments as people read them, each in one way.

/// Hexadecimal, lower case. Of secrets too: nothing is left behind but the answer.
pub(crate) fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 2);
    let nibbles = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    text.extend(
        nibbles
            .map(|nibble| char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16")),
    );
    text
}

/// A moment in UTC; one that no calendar has, as the number it is.
pub(crate) fn moment(seconds: u64) -> String {
    let stamp = i64::try_from(seconds)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok());
    stamp.map_or_else(|| seconds.to_string(), |stamp| stamp.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_no_calendar_has_ends_the_program() {
        assert_eq!(moment(1_790_000_000), "2026-09-21T14:13:20Z");
        assert_eq!(moment(u64::MAX), u64::MAX.to_string());
        assert_eq!(hex(&[0, 0xaf]), "00af");
    }
}
