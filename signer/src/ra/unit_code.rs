//! Codes of organisations: GB 11714 (nine characters) and the unified social credit code GB 32100
//! (eighteen, the nine of GB 11714 inside), check characters verified.
//!
//! ```text
//! 9 1  350100  M000100Y 4  3          GB 32100: department, kind, area, GB 11714 code, check (MOD 31)
//!              M000100Y-4             GB 11714: eight characters, check (MOD 11), often with a hyphen
//! ```

/// The characters of GB 32100 in the order of their values: no I, O, S, V, Z.
const CREDIT_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// Weights of the first seventeen characters: 3^i mod 31, GB 32100-2015 annex.
const CREDIT_WEIGHTS: [usize; 17] = [
    1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28,
];
/// Weights of the eight characters of GB 11714-1997.
const ORGANISATION_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];

/// An organisation's code, check characters verified. Upper case, without hyphen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitCode(String);

/// Why a text is not an organisation's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUnitCode {
    /// Neither nine nor eighteen characters of the right kind.
    #[error(
        "neither an organisation code (9 characters) nor a unified social credit code (18 characters)"
    )]
    Shape,
    /// The check character is not what the others ask for.
    #[error("wrong check character: it should be {0}")]
    CheckCharacter(char),
}

impl UnitCode {
    /// Verifies shape and check character; a hyphen before the check character of GB 11714 is taken.
    pub fn parse(text: &str) -> Result<Self, NotUnitCode> {
        let code = text.to_ascii_uppercase();
        let right = match code.len() {
            18 => credit_check(code.as_bytes())?,
            9 => organisation_check(code.as_bytes())?,
            10 if code.as_bytes().get(8) == Some(&b'-') => {
                return Self::parse(&code.replace('-', ""));
            }
            _ => return Err(NotUnitCode::Shape),
        };
        if code.bytes().last() != Some(right) {
            return Err(NotUnitCode::CheckCharacter(right.into()));
        }
        Ok(Self(code))
    }

    /// Nine or eighteen characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nine characters of GB 11714, which both kinds hold: the same organisation has the same ones.
    #[must_use]
    pub fn organisation(&self) -> &str {
        if self.is_credit_code() {
            &self.0[8..17]
        } else {
            &self.0
        }
    }

    /// True for a unified social credit code.
    #[must_use]
    pub fn is_credit_code(&self) -> bool {
        self.0.len() == 18
    }
}

fn credit_check(code: &[u8]) -> Result<u8, NotUnitCode> {
    let value = |c: &u8| {
        CREDIT_ALPHABET
            .iter()
            .position(|a| a == c)
            .ok_or(NotUnitCode::Shape)
    };
    // Characters 3 to 8 are an administrative area of GB/T 2260: digits.
    if !code[2..8].iter().all(u8::is_ascii_digit) {
        return Err(NotUnitCode::Shape);
    }
    value(&code[17])?;
    let mut sum = 0;
    for (character, weight) in code.iter().zip(CREDIT_WEIGHTS) {
        sum += value(character)? * weight;
    }
    Ok(CREDIT_ALPHABET[(31 - sum % 31) % 31])
}

fn organisation_check(code: &[u8]) -> Result<u8, NotUnitCode> {
    let mut sum = 0;
    for (character, weight) in code.iter().zip(ORGANISATION_WEIGHTS) {
        let value = match character {
            b'0'..=b'9' => character - b'0',
            b'A'..=b'Z' => character - b'A' + 10,
            _ => return Err(NotUnitCode::Shape),
        };
        sum += u32::from(value) * weight;
    }
    if !(code[8].is_ascii_digit() || code[8] == b'X') {
        return Err(NotUnitCode::Shape);
    }
    Ok(match 11 - sum % 11 {
        10 => b'X',
        11 => b'0',
        digit => b"0123456789"[digit as usize],
    })
}

impl std::fmt::Display for UnitCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UnitCode {
    type Error = NotUnitCode;

    fn try_from(text: String) -> Result<Self, NotUnitCode> {
        Self::parse(&text)
    }
}

impl From<UnitCode> for String {
    fn from(code: UnitCode) -> Self {
        code.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_standards_own_examples_are_refused() {
        // GB 32100-2015 annex; GB 11714-1997 (D2143569-X); codes that large companies print on their sites.
        for good in [
            "91350100M000100Y43",
            "9144030071526726XG",
            "91330100799655058B",
            "914403001922038216",
        ] {
            assert!(UnitCode::parse(good).unwrap().is_credit_code(), "{good}");
        }
        for good in ["D2143569-X", "D2143569X", "M000100Y4"] {
            assert!(!UnitCode::parse(good).unwrap().is_credit_code(), "{good}");
        }
    }

    #[test]
    fn the_two_codes_of_one_unit_make_two_subjects() {
        let credit = UnitCode::parse("91350100M000100Y43").unwrap();
        let organisation = UnitCode::parse("m000100y-4").unwrap();
        assert_eq!(credit.organisation(), organisation.organisation());
    }

    #[test]
    fn a_wrong_check_character_passes() {
        assert_eq!(
            UnitCode::parse("91350100M000100Y44"),
            Err(NotUnitCode::CheckCharacter('3'))
        );
        assert_eq!(
            UnitCode::parse("D2143569-1"),
            Err(NotUnitCode::CheckCharacter('X'))
        );
    }

    #[test]
    fn a_wrong_shape_passes() {
        for bad in [
            "",
            "-",
            "D214356",
            "D2143569--",
            "D21435-69X",
            "91350100M000100I43",
            "9135O100M000100Y43",
            "91350100M000100Y4３",
            "D214356中X",
            "91350100M000100Y4-",
        ] {
            assert_eq!(UnitCode::parse(bad), Err(NotUnitCode::Shape), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn one_wrong_character_passes(
            head in "[159][1-9][0-9]{6}[0-9A-HJ-NPQRTUWXY]{9}",
            place in 0_usize..18,
            other in 0_usize..31,
        ) {
            let right = credit_check(format!("{head}0").as_bytes()).unwrap();
            let good = format!("{head}{}", char::from(right));
            prop_assert!(UnitCode::parse(&good).is_ok());
            let mut typo = good.clone().into_bytes();
            typo[place] = CREDIT_ALPHABET[other];
            let typo = String::from_utf8(typo).unwrap();
            prop_assert_eq!(UnitCode::parse(&typo).is_ok(), typo == good);
        }

        #[test]
        fn any_text_panics(text in "\\PC{0,20}") {
            let _ = UnitCode::parse(&text);
        }
    }
}
