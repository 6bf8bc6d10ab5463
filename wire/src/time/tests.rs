//! Times against a calendar that counts day by day, and every malformed form by itself.

use super::*;

/// Days one after another from 1970-01-01, by the rule people know.
fn calendar() -> impl Iterator<Item = (u32, u32, u32)> {
    let (mut year, mut month, mut day) = (1970, 1, 1);
    core::iter::from_fn(move || {
        let today = (year, month, day);
        if year > 9999 {
            return None;
        }
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let last = [
            31,
            if leap { 29 } else { 28 },
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ];
        day += 1;
        if day > last[month as usize - 1] {
            (day, month) = (1, month + 1);
        }
        if month > 12 {
            (month, year) = (1, year + 1);
        }
        Some(today)
    })
}

// RFC 9919 §3.2.4: times are in Zulu and have seconds, no fractions.
#[test]
fn no_day_until_9999_is_written_or_read_wrong() {
    for (number, (year, month, day)) in calendar().enumerate() {
        let second = number as u64 * 86_400 + number as u64 * 7919 % 86_400;
        let written = write_generalized(second);
        let text = core::str::from_utf8(&written).unwrap();
        let of_day = second % 86_400;
        assert_eq!(
            text,
            std::format!(
                "{year:04}{month:02}{day:02}{:02}{:02}{:02}Z",
                of_day / 3600,
                of_day / 60 % 60,
                of_day % 60
            )
        );
        assert_eq!(parse_time(tag::GENERALIZED_TIME, &written), Ok(second));
        if year < 2050 {
            assert_eq!(parse_time(tag::UTC_TIME, &written[2..]), Ok(second));
        }
    }
}

#[test]
fn constants_are_what_they_say() {
    assert_eq!(&write_generalized(LATEST), b"99991231235959Z");
    assert_eq!(&write_generalized(GENERALIZED_FROM), b"20500101000000Z");
    assert_eq!(&write_generalized(GENERALIZED_FROM - 1), b"20491231235959Z");
}

#[test]
fn times_beyond_9999_do_not_wrap() {
    assert_eq!(&write_generalized(LATEST + 1), b"99991231235959Z");
    assert_eq!(&write_generalized(u64::MAX), b"99991231235959Z");
}

// RFC 5280 §4.1.2.5.1: 50 and above are 19YY.
#[test]
fn utc_years_of_the_last_century_are_not_taken_for_this_one() {
    assert_eq!(parse_time(tag::UTC_TIME, b"700101000000Z"), Ok(0));
    assert_eq!(
        parse_time(tag::UTC_TIME, b"500101000000Z"),
        Err(Rule::TimeBefore1970)
    );
    assert_eq!(
        parse_time(tag::UTC_TIME, b"491231235959Z"),
        Ok(GENERALIZED_FROM - 1)
    );
}

#[test]
fn malformed_times_are_refused() {
    for (rule, tag, content) in [
        (Rule::TimeForm, tag::UTC_TIME, &b""[..]),
        // Without seconds, with an offset, without Z, with lower-case z, with a sign for a digit.
        (Rule::TimeForm, tag::UTC_TIME, b"2001010000Z"),
        (Rule::TimeForm, tag::UTC_TIME, b"200101000000+0100"),
        (Rule::TimeForm, tag::UTC_TIME, b"200101000000"),
        (Rule::TimeForm, tag::UTC_TIME, b"200101000000z"),
        (Rule::TimeForm, tag::UTC_TIME, b"200101-10000Z"),
        (Rule::TimeForm, tag::UTC_TIME, b"20200101000000Z"),
        (Rule::TimeForm, tag::GENERALIZED_TIME, b"200101000000Z"),
        (Rule::TimeForm, tag::GENERALIZED_TIME, b"20200101000000.5Z"),
        (Rule::TimeForm, tag::GENERALIZED_TIME, b"20200101000000"),
        (Rule::TimeRange, tag::GENERALIZED_TIME, b"20200001000000Z"),
        (Rule::TimeRange, tag::GENERALIZED_TIME, b"20201301000000Z"),
        (Rule::TimeRange, tag::GENERALIZED_TIME, b"20200100000000Z"),
        (Rule::TimeRange, tag::GENERALIZED_TIME, b"20210229000000Z"),
        (Rule::TimeRange, tag::GENERALIZED_TIME, b"21000229000000Z"),
        (Rule::TimeRange, tag::GENERALIZED_TIME, b"20200101240000Z"),
        (Rule::TimeRange, tag::GENERALIZED_TIME, b"20200101006000Z"),
        (Rule::TimeRange, tag::GENERALIZED_TIME, b"20200101000060Z"),
        (
            Rule::TimeBefore1970,
            tag::GENERALIZED_TIME,
            b"19691231235959Z",
        ),
        (
            Rule::TimeBefore1970,
            tag::GENERALIZED_TIME,
            b"00000101000000Z",
        ),
        (Rule::UnexpectedTag, tag::OCTET_STRING, b"20200101000000Z"),
    ] {
        assert_eq!(parse_time(tag, content), Err(rule), "{content:?}");
    }
}

#[test]
fn fractions_are_dropped_where_they_may_stand_and_must_be_canonical() {
    assert_eq!(parse_time_with_fraction(b"19700101000001.642Z"), Ok(1));
    assert_eq!(parse_time_with_fraction(b"19700101000001Z"), Ok(1));
    for content in [
        &b"19700101000001.Z"[..],
        b"19700101000001.640Z",
        b"19700101000001.6a2Z",
        b"19700101000001.642",
        b"19700101000001,642Z",
        b"19700101000001.12345678901Z",
    ] {
        assert_eq!(
            parse_time_with_fraction(content),
            Err(Rule::TimeForm),
            "{content:?}"
        );
    }
}

#[test]
fn http_dates_name_the_right_day() {
    assert_eq!(&http_date(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(&http_date(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(&http_date(1_709_164_800), b"Thu, 29 Feb 2024 00:00:00 GMT");
}
