//! One cell after another: each reading method returns the checked value, or notes the cell's first fault and
//! returns none, so that every faulty cell of a row is named at once.

use std::net::IpAddr;

use jiff::civil::Date;

use super::column::Column;
use super::identity::IdentityNumber;
use super::rule::{RowRefusal, Rule};
use super::sheet::{Line, Sheet};
use super::unit_code::UnitCode;
use crate::registry::audit::{SIGNER, same_person};

/// Characters of an ordinary cell.
pub(super) const MAX_TEXT: usize = 256;
/// Characters of a name that goes into a certificate (X.520 ub-common-name, ub-organization-name).
pub(super) const MAX_NAME: usize = 64;

/// Reads the cells of one line.
pub(super) struct Cells<'a> {
    columns: &'a [&'static Column],
    line: &'a Line,
    today: Date,
    refusals: Vec<RowRefusal>,
}

impl<'a> Cells<'a> {
    /// Ready to read; a line with too few or too many cells is refused as a whole, because its cells stand
    /// under the wrong headers.
    pub(super) fn new(sheet: &'a Sheet, line: &'a Line, today: Date) -> Result<Self, RowRefusal> {
        let (found, wanted) = (line.cell_count(), sheet.columns().len());
        if found == wanted {
            return Ok(Self {
                columns: sheet.columns(),
                line,
                today,
                refusals: Vec::new(),
            });
        }
        let rule = Rule::Cells { found, wanted };
        Err(RowRefusal {
            line: line.number,
            column: None,
            rule,
            value: String::new(),
        })
    }

    /// What was refused so far.
    pub(super) fn into_refusals(self) -> Vec<RowRefusal> {
        self.refusals
    }

    /// Notes a refusal of a column.
    pub(super) fn refuse(&mut self, column: &'static Column, rule: Rule) {
        let value = self.raw(column).to_owned();
        self.refusals.push(RowRefusal {
            line: self.line.number,
            column: Some(column),
            rule,
            value,
        });
    }

    fn raw(&self, column: &Column) -> &'a str {
        self.columns
            .iter()
            .position(|c| *c == column)
            .map_or("", |place| self.line.cell(place))
    }

    /// A text that need not be there: none if refused, some none if empty.
    pub(super) fn optional(&mut self, column: &'static Column) -> Option<Option<String>> {
        self.bounded(column, MAX_TEXT)
    }

    fn bounded(&mut self, column: &'static Column, most: usize) -> Option<Option<String>> {
        let text = self.raw(column);
        match check_text(text, most) {
            Some(rule) => {
                self.refuse(column, rule);
                None
            }
            None => Some((!text.is_empty()).then(|| text.to_owned())),
        }
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, column: &'static Column) -> Option<String> {
        let text = self.bounded(column, MAX_TEXT)?;
        self.there(column, text)
    }

    /// A name that goes into a certificate.
    pub(super) fn name(&mut self, column: &'static Column) -> Option<String> {
        let text = self.bounded(column, MAX_NAME)?;
        self.there(column, text)
    }

    fn there(&mut self, column: &'static Column, text: Option<String>) -> Option<String> {
        if text.is_none() {
            self.refuse(column, Rule::Missing);
        }
        text
    }

    /// A required text that `parse` takes.
    pub(super) fn parsed<T>(
        &mut self,
        column: &'static Column,
        parse: impl Fn(&str) -> Result<T, Rule>,
    ) -> Option<T> {
        // A sign in front of a number breaks the number's own rule; the formula rule would mislead.
        let text = self.raw(column);
        if text.is_empty() {
            self.refuse(column, Rule::Missing);
            return None;
        }
        parse(text).map_err(|rule| self.refuse(column, rule)).ok()
    }

    /// A text that `parse` takes, if it is there: none if refused, some none if empty.
    pub(super) fn parsed_optional<T>(
        &mut self,
        column: &'static Column,
        parse: impl Fn(&str) -> Result<T, Rule>,
    ) -> Option<Option<T>> {
        if self.raw(column).is_empty() {
            Some(None)
        } else {
            self.parsed(column, parse).map(Some)
        }
    }

    /// One of a list, as the value that belongs to it.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        column: &'static Column,
        names: &'static [&'static str],
        values: &[T],
    ) -> Option<T> {
        self.parsed(column, |text| {
            let place = names.iter().position(|name| *name == text);
            place
                .and_then(|place| values.get(place).copied())
                .ok_or(Rule::NotOneOf(names))
        })
    }

    /// GB 11643.
    pub(super) fn identity(&mut self, column: &'static Column) -> Option<IdentityNumber> {
        let today = self.today;
        self.parsed(column, |text| {
            IdentityNumber::parse(text, today).map_err(Rule::Identity)
        })
    }

    /// GB 11714 or GB 32100.
    pub(super) fn unit_code(&mut self, column: &'static Column) -> Option<UnitCode> {
        self.parsed(column, |text| UnitCode::parse(text).map_err(Rule::UnitCode))
    }

    /// A telephone number.
    pub(super) fn phone(&mut self, column: &'static Column) -> Option<String> {
        self.parsed(column, |text| digits(text, 5..=15).ok_or(Rule::Phone))
    }

    /// A day that is not to come.
    pub(super) fn past_date(&mut self, column: &'static Column) -> Option<Date> {
        let today = self.today;
        self.parsed(column, |text| match date(text) {
            Some(day) if day > today => Err(Rule::Future),
            Some(day) => Ok(day),
            None => Err(Rule::Date),
        })
    }

    /// A cell that must say 是.
    pub(super) fn yes(&mut self, column: &'static Column) -> Option<()> {
        self.parsed(column, |text| {
            if text == "是" {
                Ok(())
            } else {
                Err(Rule::NotYes)
            }
        })
    }
}

fn check_text(text: &str, most: usize) -> Option<Rule> {
    if text.chars().any(|c| c.is_control() || is_invisible(c)) {
        Some(Rule::Control)
    } else if text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
        Some(Rule::Formula)
    } else if text.chars().count() > most {
        Some(Rule::TooLong(most))
    } else {
        None
    }
}

/// Whether a text can be the name of a clerk or officer: something that is seen, in one line, and not what
/// the audit trail calls the program itself.
pub(crate) fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && check_text(text, MAX_NAME).is_none() && !same_person(text, SIGNER)
}

/// Characters that print nothing or turn the line around: names that look alike would differ.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFD}' | '\u{E0000}'..='\u{E007F}')
}

/// Only ASCII digits, so many of them.
pub(super) fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<String> {
    let all = text.bytes().all(|octet| octet.is_ascii_digit());
    (all && count.contains(&text.len())).then(|| text.to_owned())
}

/// `2026-09-29`, and as spreadsheets write it: `2026/9/29`, `2026年9月29日`.
pub(super) fn date(text: &str) -> Option<Date> {
    let text = text.strip_suffix('日').unwrap_or(text);
    let mut parts = text.split(['-', '/', '年', '月']);
    let mut number = |most: usize| {
        let part = digits(parts.next()?, 1..=most)?;
        part.parse::<i16>().ok()
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    if parts.next().is_some() || year < 1900 {
        return None;
    }
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// A mail address as plain as certificates want it (RFC 5280 §4.2.1.6: ASCII).
pub(super) fn email(text: &str) -> Result<String, Rule> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let (local, domain) = text.rsplit_once('@').ok_or(Rule::Email)?;
    let good = !local.is_empty()
        && local.len() <= 64
        && local.chars().all(plain)
        && !local.starts_with(['=', '+', '-', '.'])
        && domain.contains('.')
        && !domain.starts_with('*')
        && dns_name(domain).is_ok();
    if good {
        Ok(text.to_owned())
    } else {
        Err(Rule::Email)
    }
}

/// A DNS name, lower-cased: letters, digits, hyphens; one leading `*.` is a wildcard, but never for all of a
/// top-level domain.
pub(super) fn dns_name(text: &str) -> Result<String, Rule> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.to_ascii_lowercase();
    let wild = name.strip_prefix("*.");
    let labels = wild.unwrap_or(&name);
    // All digits would be an address, and addresses have their own column.
    let numeric = labels
        .rsplit('.')
        .next()
        .is_some_and(|l| l.bytes().all(|o| o.is_ascii_digit()));
    let too_wide = wild.is_some_and(|domain| !domain.contains('.'));
    if name.len() <= 253 && !numeric && !too_wide && labels.split('.').all(label) {
        Ok(name)
    } else {
        Err(Rule::DnsName)
    }
}

/// An IP address of either version.
pub(super) fn ip(text: &str) -> Result<IpAddr, Rule> {
    text.parse().map_err(|_| Rule::Ip)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date as day;

    use super::*;

    #[test]
    fn a_date_as_spreadsheets_write_it_is_refused() {
        for text in ["2026-09-29", "2026/9/29", "2026年9月29日", "2026/09/29"] {
            assert_eq!(date(text), Some(day(2026, 9, 29)), "{text}");
        }
        for text in [
            "",
            "2026-09-31",
            "26-9-29",
            "2026-9",
            "2026-9-29-1",
            "+2026-9-29",
            "２０２６-9-29",
            "29/9/2026",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn a_formula_or_an_invisible_character_gets_into_a_certificate() {
        for text in ["=HYPERLINK(\"x\")", "+1", "-1", "@SUM(A1)", "＝1"] {
            assert_eq!(check_text(text, 64), Some(Rule::Formula), "{text}");
        }
        for text in ["a\u{0}b", "a\nb", "a\u{202E}b", "a\u{200B}b", "\u{7f}"] {
            assert_eq!(check_text(text, 64), Some(Rule::Control), "{text:?}");
        }
        for text in [
            "",
            "王小明",
            "José",
            "a-b",
            "阿卜杜拉·买买提",
            "（公章）",
            "x=1",
        ] {
            assert_eq!(check_text(text, 64), None, "{text}");
        }
        assert_eq!(check_text(&"长".repeat(65), 64), Some(Rule::TooLong(64)));
    }

    #[test]
    fn a_person_acts_under_the_name_of_the_program() {
        assert!(is_name("李审核") && is_name("signers"));
        for name in ["signer", "Signer", " SIGNER ", "", "\u{3000}"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_wrong_address_gets_into_a_certificate() {
        for name in [
            "a.example.cn",
            "*.example.cn",
            "localhost",
            "xn--fiqs8s",
            "A.B",
        ] {
            assert!(dns_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "a..b",
            "-a.cn",
            "a_b.cn",
            "10.0.0.1",
            "a.*.cn",
            "*.cn",
            "*.",
            "中国.cn",
            "a b",
            "http://a.cn",
        ] {
            assert_eq!(dns_name(name), Err(Rule::DnsName), "{name}");
        }
        assert_eq!(email("a.b@example.cn").as_deref(), Ok("a.b@example.cn"));
        for address in [
            "",
            "a",
            "@b.cn",
            "a@",
            "a@b",
            "a b@c.cn",
            "=a@b.cn",
            "a@b@c.cn\n",
            "a@*.b.cn",
        ] {
            assert_eq!(email(address), Err(Rule::Email), "{address}");
        }
    }
}
