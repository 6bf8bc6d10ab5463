//! Tables for people. Chinese characters are two columns wide on a terminal; a table that does not know
//! that is crooked.

pub(super) use crate::text::moment;

/// Prints rows under headers, columns aligned.
pub(super) fn print(headers: &[&str], rows: &[Vec<String>]) {
    super::say::text(&render(headers, rows));
}

fn render(headers: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = headers.iter().map(|header| width(header)).collect();
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let header: Vec<String> = headers.iter().map(|&header| header.to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&header).chain(rows) {
        let mut line = String::new();
        for (cell, widest) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', widest - width(cell) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Columns a text takes on a terminal.
fn width(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

/// East Asian wide and full-width blocks (UAX #11), as far as names and forms use them.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{303E}' | '\u{3041}'..='\u{A4CF}'
        | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE6F}'
        | '\u{FF00}'..='\u{FF60}' | '\u{FFE0}'..='\u{FFE6}' | '\u{20000}'..='\u{3FFFD}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chinese_table_is_crooked() {
        let rows = [["1".to_owned(), "王小明".to_owned(), "a".to_owned()].to_vec()];
        assert_eq!(
            render(&["行 line", "姓名", "x"], &rows),
            "行 line  姓名    x\n1        王小明  a\n"
        );
    }
}
