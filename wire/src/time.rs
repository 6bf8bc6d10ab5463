//! Times as unix seconds: read from `UTCTime` and `GeneralizedTime`, written as `GeneralizedTime` and as HTTP dates.
//!
//! RFC 5280 §4.1.2.5 and RFC 6960 §4.2.2.1: always UTC, always with seconds, never with fractions.

use crate::Rule;
use crate::der::tag;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
pub type UnixSeconds = u64;

/// The last second a `GeneralizedTime` can say: 9999-12-31T23:59:59Z. RFC 5280 §4.1.2.5 uses it for "no end".
pub const LATEST: UnixSeconds = 253_402_300_799;

/// The first second that `UTCTime` cannot say and CRLs therefore write as `GeneralizedTime`: 2050-01-01 (RFC 5280
/// §5.1.2.4).
pub const GENERALIZED_FROM: UnixSeconds = 2_524_608_000;

/// Reads the content of a `UTCTime` or `GeneralizedTime`.
#[inline]
pub fn parse_time(tag: u8, content: &[u8]) -> Result<UnixSeconds, Rule> {
    let (year, rest) = match (tag, content) {
        (tag::UTC_TIME, [a, b, rest @ ..]) => {
            let year = two_digits(*a, *b)?;
            // RFC 5280 §4.1.2.5.1: 50 and above are 19YY.
            (if year >= 50 { 1900 + year } else { 2000 + year }, rest)
        }
        (tag::GENERALIZED_TIME, [a, b, c, d, rest @ ..]) => {
            (two_digits(*a, *b)? * 100 + two_digits(*c, *d)?, rest)
        }
        (tag::UTC_TIME | tag::GENERALIZED_TIME, _) => return Err(Rule::TimeForm),
        _ => return Err(Rule::UnexpectedTag),
    };
    let Some((pairs, &[s0, s1, b'Z'])) = rest.split_first_chunk() else {
        return Err(Rule::TimeForm);
    };
    let [month, day, hour, minute] = four_pairs(*pairs)?;
    let second = two_digits(s0, s1)?;
    if !(1..=12).contains(&month)
        || day == 0
        || (day > 28 && day > days_in_month(year, month))
        || hour > 23
        || minute > 59
        || second > 59
    {
        return Err(Rule::TimeRange);
    }
    let days = days_from_civil(year, month, day)
        .checked_sub(EPOCH_DAYS)
        .ok_or(Rule::TimeBefore1970)?;
    Ok(u64::from(days) * 86_400 + u64::from(hour * 3600 + minute * 60 + second))
}

/// Reads a `GeneralizedTime` that may have fractions of a second, which are dropped.
///
/// X.690 §11.7 allows them, RFC 5280 forbids them only in the fields it defines; `expiredCertsOnCRL` is X.509's own, and
/// `PostSignum` and Universign sign fractions there and in OCSP responses.
pub fn parse_time_with_fraction(content: &[u8]) -> Result<UnixSeconds, Rule> {
    let Some((whole, [b'.', digits @ .., last, b'Z'])) = content.split_at_checked(14) else {
        return parse_time(tag::GENERALIZED_TIME, content);
    };
    // X.690 §11.7.3: a fraction does not end in a zero.
    if digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) || !matches!(last, b'1'..=b'9') {
        return Err(Rule::TimeForm);
    }
    let mut seconds = [b'Z'; 15];
    for (place, octet) in seconds.iter_mut().zip(whole) {
        *place = *octet;
    }
    parse_time(tag::GENERALIZED_TIME, &seconds)
}

/// `YYYYMMDDHHMMSSZ`, the content of a `GeneralizedTime`. Times after [`LATEST`] are written as [`LATEST`].
#[inline]
pub fn write_generalized(time: UnixSeconds) -> [u8; 15] {
    // RFC 9919 §3.2.4: times are in Zulu and have seconds, no fractions.
    let civil = Civil::of(time);
    let [y0, y1, y2, y3, mo0, mo1, d0, d1] =
        digits([civil.year / 100, civil.year % 100, civil.month, civil.day]);
    let [h0, h1, mi0, mi1, s0, s1, ..] = digits([civil.hour, civil.minute, civil.second, 0]);
    [
        y0, y1, y2, y3, mo0, mo1, d0, d1, h0, h1, mi0, mi1, s0, s1, b'Z',
    ]
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, RFC 9110 §5.6.7.
pub fn http_date(time: UnixSeconds) -> [u8; 29] {
    let civil = Civil::of(time);
    let [w0, w1, w2] = match civil.weekday {
        0 => *b"Sun",
        1 => *b"Mon",
        2 => *b"Tue",
        3 => *b"Wed",
        4 => *b"Thu",
        5 => *b"Fri",
        _ => *b"Sat",
    };
    let [m0, m1, m2] = match civil.month {
        1 => *b"Jan",
        2 => *b"Feb",
        3 => *b"Mar",
        4 => *b"Apr",
        5 => *b"May",
        6 => *b"Jun",
        7 => *b"Jul",
        8 => *b"Aug",
        9 => *b"Sep",
        10 => *b"Oct",
        11 => *b"Nov",
        _ => *b"Dec",
    };
    let [d0, d1] = pair(civil.day);
    let [y0, y1] = pair(civil.year / 100);
    let [y2, y3] = pair(civil.year % 100);
    let [h0, h1] = pair(civil.hour);
    let [mi0, mi1] = pair(civil.minute);
    let [s0, s1] = pair(civil.second);
    [
        w0, w1, w2, b',', b' ', d0, d1, b' ', m0, m1, m2, b' ', y0, y1, y2, y3, b' ', h0, h1, b':',
        mi0, mi1, b':', s0, s1, b' ', b'G', b'M', b'T',
    ]
}

/// A moment taken apart.
struct Civil {
    year: u32,
    month: u32,
    day: u32,
    weekday: u32,
    hour: u32,
    minute: u32,
    second: u32,
}

impl Civil {
    /// After Neri and Schneider, "Euclidean affine functions and their application to calendar algorithms" (2022): the
    /// year starts in March, so that the leap day is its last; no loop, no table.
    #[inline]
    fn of(time: UnixSeconds) -> Self {
        let time = time.min(LATEST);
        let (days, of_day) = ((time / 86_400) as u32, (time % 86_400) as u32);
        // 1970-01-01 was a Thursday.
        let weekday = (days + 4) % 7;
        let n = 4 * (days + EPOCH_DAYS) + 3;
        let century = n / 146_097;
        let of_century = n % 146_097 / 4;
        let wide = 2_939_745 * u64::from(4 * of_century + 3);
        let (year_of_century, of_year) = (
            (wide >> 32) as u32,
            ((wide & 0xffff_ffff) / 2_939_745 / 4) as u32,
        );
        let n = 2141 * of_year + 197_913;
        let (month, day) = (n >> 16, (n & 0xffff) / 2141);
        let january_or_february = of_year >= 306;
        Self {
            year: 100 * century + year_of_century + u32::from(january_or_february),
            month: if january_or_february {
                month - 12
            } else {
                month
            },
            day: day + 1,
            weekday,
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
        }
    }
}

/// 1970-01-01 in days since 0000-03-01.
const EPOCH_DAYS: u32 = 719_468;

/// Days since 0000-03-01; for January and February of year 0, zero.
fn days_from_civil(year: u32, month: u32, day: u32) -> u32 {
    let (year, month) = if month > 2 {
        (year, month)
    } else if year == 0 {
        return 0;
    } else {
        (year - 1, month + 12)
    };
    let century = year / 100;
    1461 * year / 4 - century + century / 4 + (979 * month - 2919) / 32 + day - 1
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

fn two_digits(tens: u8, ones: u8) -> Result<u32, Rule> {
    if tens.is_ascii_digit() && ones.is_ascii_digit() {
        Ok(u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
    } else {
        Err(Rule::TimeForm)
    }
}

/// Four numbers of two digits, all at once: a list has a time an entry, and one by one their digits are a fifth of what
/// reading it costs.
#[inline]
fn four_pairs(digits: [u8; 8]) -> Result<[u32; 4], Rule> {
    let digits = u64::from_le_bytes(digits);
    // Every octet is 0x30 to 0x3f, and still is when six is added: a digit.
    let high = 0xf0f0_f0f0_f0f0_f0f0;
    let tops = (digits & high) | ((digits.wrapping_add(0x0606_0606_0606_0606) & high) >> 4);
    if tops != 0x3333_3333_3333_3333 {
        return Err(Rule::TimeForm);
    }
    let lanes = 0x000f_000f_000f_000f;
    let pairs = (digits & lanes) * 10 + ((digits >> 8) & lanes);
    Ok([0, 16, 32, 48].map(|lane| ((pairs >> lane) & 0xff) as u32))
}

/// Two digits of each of four numbers below 100, all at once: a response has three times, and one by one their digits
/// are a tenth of its cost.
#[inline]
fn digits(pairs: [u32; 4]) -> [u8; 8] {
    let [a, b, c, d] = pairs.map(u64::from);
    let lanes = a | (b << 16) | (c << 32) | (d << 48);
    // 103 / 1024 is one tenth, exactly enough below 100; no lane overflows into the next.
    let tens = ((lanes * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = lanes - tens * 10;
    (tens | (ones << 8) | 0x3030_3030_3030_3030).to_le_bytes()
}

/// Two digits of a number below 100.
fn pair(number: u32) -> [u8; 2] {
    let [tens, ones, ..] = digits([number, 0, 0, 0]);
    [tens, ones]
}

#[cfg(test)]
mod tests;
