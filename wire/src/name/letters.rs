//! Letters of names: what is one letter written in several ways, and which ones are written in one way only.

/// A full-width character of ASCII as that, as its compatibility decomposition has it: names in Chinese and Japanese have
/// such brackets, spaces and letters.
fn narrow(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(character) - 0xff01 + 0x21).unwrap_or(character)
        }
        '\u{3000}' => ' ',
        other => other,
    }
}

/// In lower case; a sigma at a word's end is one like others.
pub(super) fn fold(character: char) -> impl Iterator<Item = char> {
    let sigma = |lower| if lower == 'ς' { 'σ' } else { lower };
    narrow(character).to_lowercase().map(sigma)
}

/// Whether there is no other way of writing this character that RFC 4518 takes for the same: a list of scripts in which
/// authorities are called, without the characters that fold or are composed into others. Scripts whose signs stand above
/// or below one another are not in it: these may be written in several orders.
pub(super) fn has_one_form(character: char) -> bool {
    matches!(narrow(character),
        ' '..='~' | '\t' | '\n' | '\r'
        | '\u{a1}'..='\u{a7}' | '\u{a9}' | '\u{ab}' | '\u{ac}' | '\u{ae}' | '\u{b0}' | '\u{b1}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
        | '\u{c0}'..='\u{de}' | '\u{e0}'..='\u{12f}' | '\u{134}'..='\u{13e}' | '\u{141}'..='\u{148}' | '\u{14a}'..='\u{17e}'
        // Greek, Cyrillic, Armenian, Hebrew, Arabic and Persian, Georgian.
        | '\u{386}' | '\u{388}'..='\u{38a}' | '\u{38c}' | '\u{38e}' | '\u{38f}' | '\u{391}'..='\u{3a1}' | '\u{3a3}'..='\u{3af}'
        | '\u{3b1}'..='\u{3ce}'
        | '\u{400}'..='\u{482}' | '\u{48a}'..='\u{52f}'
        | '\u{531}'..='\u{556}' | '\u{561}'..='\u{586}'
        | '\u{5d0}'..='\u{5ea}'
        | '\u{621}'..='\u{64a}' | '\u{660}'..='\u{669}' | '\u{679}'..='\u{6d3}' | '\u{6f0}'..='\u{6f9}'
        | '\u{10d0}'..='\u{10f0}'
        // Dashes, quotation marks, the euro; brackets and points of Chinese and Japanese.
        | '\u{2010}' | '\u{2012}'..='\u{2015}' | '\u{2018}'..='\u{2022}' | '\u{2030}' | '\u{2039}' | '\u{203a}' | '\u{20ac}'
        | '\u{3001}'..='\u{3003}' | '\u{3005}'..='\u{3011}' | '\u{3014}'..='\u{301b}'
        | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fe}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}')
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::string::{String, ToString as _};

    use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfkc_quick};

    use super::*;

    // Held against the tables of the Unicode Consortium, by the crate that other programs normalize with.
    #[test]
    fn a_character_with_another_spelling_is_taken_for_settled() {
        let is_full_width = |c: char| ('\u{ff01}'..='\u{ff5e}').contains(&c) || c == '\u{3000}';
        let mut spelt: HashMap<String, String> = HashMap::new();
        for character in '\u{80}'..=char::MAX {
            let normal: String = character.to_string().nfkc().collect();
            assert_eq!(
                narrow(character) != character,
                is_full_width(character),
                "{character:?}"
            );
            if is_full_width(character) {
                assert_eq!(normal, narrow(character).to_string());
            }
            if !has_one_form(character) || is_full_width(character) {
                continue;
            }
            // Alone it stays as it is, and beside others too: it moves past none, and none is composed with it.
            let alone = is_nfkc_quick(core::iter::once(character));
            assert_eq!(alone, IsNormalized::Yes, "{character:?}");
            assert_eq!(normal, character.to_string());
            let class = unicode_normalization::char::canonical_combining_class(character);
            assert_eq!(class, 0, "{character:?}");
            // What is the same but for case is the same to us.
            let folded: String = fold(character).collect();
            let by_upper: String = character.to_uppercase().flat_map(fold).collect();
            assert_eq!(by_upper, folded, "{character:?}");
            // Normalized again when folded, as RFC 4518 has it.
            let normal: String = folded.nfkc().collect();
            assert_eq!(normal, folded, "{character:?}");
            let upper: String = character.to_uppercase().nfkd().collect();
            let before = spelt.insert(upper, folded.clone());
            assert!(
                before.is_none_or(|before| before == folded),
                "{character:?}"
            );
        }
    }
}
