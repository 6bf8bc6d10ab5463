//! Identity numbers of persons: GB 11643, eighteen characters, the last one checked.
//!
//! ```text
//! 1101 05  19491231  002  X
//! area     birth     seq  check digit (ISO 7064 MOD 11-2)
//! ```

use jiff::civil::Date;

/// Weights of the first seventeen digits: 2^(17-i) mod 11, GB 11643-1999 §4.
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// The check digit for each remainder.
const CHECKS: [u8; 11] = *b"10X98765432";

/// An identity number whose check digit and birth date were verified. Always with a capital X.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityNumber(String);

/// Why a text is not an identity number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotIdentity {
    /// Not seventeen digits and a digit or X.
    #[error("an identity number has 17 digits and then a digit or X")]
    Shape,
    /// The last character is not what the others ask for.
    #[error("wrong check digit: it should be {0}")]
    CheckDigit(char),
    /// Characters 7 to 14 are no day of the calendar, or not of a living person's life.
    #[error("characters 7 to 14 are no plausible birth date")]
    BirthDate,
}

impl IdentityNumber {
    /// Verifies shape, check digit and birth date. `today` bounds the birth date.
    pub fn parse(text: &str, today: Date) -> Result<Self, NotIdentity> {
        let number = Self::parse_undated(text)?;
        let birth = number.birth_date().ok_or(NotIdentity::BirthDate)?;
        // Nobody alive was born 130 years ago; nobody applies before being born.
        if birth > today || birth.year() < today.year() - 130 {
            return Err(NotIdentity::BirthDate);
        }
        Ok(number)
    }

    fn parse_undated(text: &str) -> Result<Self, NotIdentity> {
        let octets: &[u8; 18] = text.as_bytes().try_into().map_err(|_| NotIdentity::Shape)?;
        let (digits, check) = (&octets[..17], octets[17].to_ascii_uppercase());
        if !digits.iter().all(u8::is_ascii_digit) || !(check.is_ascii_digit() || check == b'X') {
            return Err(NotIdentity::Shape);
        }
        let sum: u32 = digits
            .iter()
            .zip(WEIGHTS)
            .map(|(d, w)| u32::from(d - b'0') * w)
            .sum();
        let right = CHECKS[sum as usize % 11];
        if check != right {
            return Err(NotIdentity::CheckDigit(right.into()));
        }
        Ok(Self(text.to_ascii_uppercase()))
    }

    /// The eighteen characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The birth date in characters 7 to 14.
    #[must_use]
    pub fn birth_date(&self) -> Option<Date> {
        let part = |from: usize, to: usize| self.0.get(from..to)?.parse::<i16>().ok();
        let (year, month, day) = (part(6, 10)?, part(10, 12)?, part(12, 14)?);
        Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    }
}

impl std::fmt::Display for IdentityNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// From our own database: the date was judged when it came in.
impl TryFrom<String> for IdentityNumber {
    type Error = NotIdentity;

    fn try_from(text: String) -> Result<Self, NotIdentity> {
        Self::parse_undated(&text)
    }
}

impl From<IdentityNumber> for String {
    fn from(number: IdentityNumber) -> Self {
        number.0
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<IdentityNumber, NotIdentity> {
        IdentityNumber::parse(text, date(2026, 9, 29))
    }

    #[test]
    fn the_standards_own_examples_are_refused() {
        // GB 11643-1999 annex: both of its examples.
        for good in ["11010519491231002X", "440524188001010014"] {
            let parsed = IdentityNumber::parse(good, date(1999, 1, 1)).unwrap();
            assert_eq!(parsed.as_str(), good);
        }
        assert_eq!(
            parse("11010519491231002x").unwrap().as_str(),
            "11010519491231002X"
        );
        assert_eq!(
            parse("11010519491231002X").unwrap().birth_date(),
            Some(date(1949, 12, 31))
        );
    }

    #[test]
    fn a_wrong_check_digit_passes() {
        assert_eq!(
            parse("110105194912310021"),
            Err(NotIdentity::CheckDigit('X'))
        );
    }

    #[test]
    fn a_wrong_shape_passes() {
        for bad in [
            "",
            "1101051949123100",
            "1101051949123100２X",
            "11010519491231X02X",
            "X10105194912310021",
        ] {
            assert_eq!(parse(bad), Err(NotIdentity::Shape), "{bad}");
        }
    }

    /// The digit that makes seventeen digits an identity number.
    fn complete(digits: &str) -> String {
        match IdentityNumber::parse_undated(&format!("{digits}0")) {
            Err(NotIdentity::CheckDigit(right)) => format!("{digits}{right}"),
            _ => format!("{digits}0"),
        }
    }

    #[test]
    fn an_impossible_birth_date_passes() {
        for born in [
            "19490231", "19491301", "20270101", "18000101", "19500229", "00000000",
        ] {
            let number = complete(&format!("379901{born}001"));
            assert_eq!(parse(&number), Err(NotIdentity::BirthDate), "{number}");
        }
        parse(&complete("37990119520229001")).unwrap();
    }

    proptest! {
        /// MOD 11-2 finds every single wrong digit and every swap of neighbours.
        #[test]
        fn a_typing_error_passes(digits in "[0-9]{17}", place in 0_usize..18, other in 0_u8..10) {
            let good = complete(&digits);
            prop_assert!(IdentityNumber::parse_undated(&good).is_ok());
            let mut typo = good.clone().into_bytes();
            typo[place] = b'0' + other;
            let typo = String::from_utf8(typo).unwrap();
            prop_assert_eq!(IdentityNumber::parse_undated(&typo).is_ok(), typo == good);
            if place < 17 {
                let mut swapped = good.clone().into_bytes();
                swapped.swap(place, place + 1);
                let swapped = String::from_utf8(swapped).unwrap();
                prop_assert_eq!(IdentityNumber::parse_undated(&swapped).is_ok(), swapped == good);
            }
        }

        #[test]
        fn any_text_panics(text in "\\PC{0,24}") {
            let _ = parse(&text);
        }
    }
}
