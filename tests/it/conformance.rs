//! `docs/CONFORMANCE.md` is made from the lines above the code that keeps a clause and above the test that holds it to it:
//!
//! ```text
//! // RFC 6960 §4.4.1: the nonce of the answer is the request's.
//! ```
//!
//! (source, section, colon, the sense in our words, a full stop). What is not done stands in `docs/conformance-open.toml`, with
//! the reason. `HUFU_BLESS=1 cargo test -p hufu-tests --test it conformance` writes the page anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use hufu_tests::root;

/// A clause: where its source stands in [`SOURCES`], then its section.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Clause {
    source: usize,
    section: Vec<Part>,
    shown: String,
}

/// Sections in the order people read them: 4.2 before 4.10, the appendix last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u32),
    Word(String),
}

/// What is known of a clause.
#[derive(Debug, Default)]
struct Kept {
    senses: BTreeSet<String>,
    code: BTreeSet<String>,
    tests: BTreeSet<String>,
    /// Lines among tests that stand at none: a helper that nobody calls holds nobody to anything.
    astray: Vec<String>,
    open: Vec<(String, String)>,
}

/// `RFC 6960 §4.4.1: the sense` of a comment.
fn read(comment: &str) -> Option<(Clause, &str)> {
    let source = SOURCES
        .iter()
        .position(|source| comment.starts_with(source))?;
    let rest = comment.strip_prefix(SOURCES[source])?.strip_prefix(" §")?;
    let (section, sense) = rest.split_once(": ")?;
    let is_section = |c: char| c.is_ascii_alphanumeric() || c == '.';
    if section.is_empty() || !section.chars().all(is_section) {
        return None;
    }
    let parts = section.split('.').map(|part| match part.parse() {
        Ok(number) => Part::Number(number),
        Err(_) => Part::Word(part.to_owned()),
    });
    let clause = Clause {
        source,
        section: parts.collect(),
        shown: format!("{} §{section}", SOURCES[source]),
    };
    Some((clause, sense))
}

/// Notes the clauses of one file.
fn note(path: &str, text: &str, found: &mut BTreeMap<Clause, Kept>) {
    let lines: Vec<&str> = text.lines().collect();
    let tests_begin = tests_begin(&lines);
    let file_is_test = path
        .split('/')
        .any(|part| part == "tests" || part.ends_with("_tests") || part.ends_with("tests.rs"));
    for (index, line) in lines.iter().enumerate() {
        let line = line.trim_start();
        // A doc comment may say it too.
        let comment = ["// ", "/// "]
            .iter()
            .find_map(|slashes| line.strip_prefix(slashes));
        let Some(comment) = comment else {
            continue;
        };
        let Some((clause, first)) = read(comment) else {
            continue;
        };
        let mut sense = first.to_owned();
        let more = lines[index + 1..].iter().map_while(|line| {
            let line = line.trim_start();
            line.strip_prefix("/// ").or(line.strip_prefix("// "))
        });
        for line in more.take_while(|line| read(line).is_none()) {
            if sense.ends_with('.') {
                break;
            }
            sense = format!("{sense} {line}");
        }
        let kept = found.entry(clause).or_default();
        kept.senses.insert(sense);
        if file_is_test || tests_begin.is_some_and(|begin| index > begin) {
            match test_at(&lines, index) {
                Some(test) => drop(kept.tests.insert(format!("`{path}`: {test}"))),
                None => kept.astray.push(format!("{path}:{}", index + 1)),
            }
        } else {
            kept.code.insert(format!("`{path}`"));
        }
    }
}

/// The line where the tests in a file of code begin. `mod tests;` only says that they are next door.
fn tests_begin(lines: &[&str]) -> Option<usize> {
    lines.windows(2).position(|two| {
        let [gate, module] = two else { return false };
        let is_gate = gate.starts_with("#[cfg(test)]") || gate.starts_with("#[cfg(all(test");
        is_gate && !module.ends_with(';')
    })
}

/// The test that a line stands above or in.
fn test_at(lines: &[&str], index: usize) -> Option<String> {
    let is_function = |line: &str| line.trim_start().starts_with("fn ");
    let is_above_one = |line: &str| {
        ["//", "#["]
            .iter()
            .any(|start| line.trim_start().starts_with(start))
    };
    // What follows the comment tells whether it stands above its test or in it.
    let below = lines[index..].iter().position(|line| !is_above_one(line))?;
    let function = if is_function(lines[index + below]) {
        index + below
    } else {
        let indented = |line: &str| line.len() - line.trim_start().len();
        lines[..index]
            .iter()
            .rposition(|line| is_function(line) && indented(line) <= 4)?
    };
    let mut above = lines[..function].iter().rev();
    let attributes = above.by_ref().take_while(|line| is_above_one(line));
    let attributes: Vec<&str> = attributes.map(|line| line.trim()).collect();
    // One that is run by hand holds nobody to anything.
    let is_ignored = attributes.iter().any(|line| line.starts_with("#[ignore"));
    let is_test = attributes.contains(&"#[test]") && !is_ignored;
    let (_, rest) = lines[function].split_once("fn ")?;
    is_test.then(|| rest.split('(').next().unwrap_or_default().replace('_', " "))
}

fn collect() -> BTreeMap<Clause, Kept> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root())
        .args(["ls-files", "-z", "--cached", "*.rs"])
        .output()
        .unwrap();
    let names = String::from_utf8(listed.stdout).unwrap();
    let mut found = BTreeMap::new();
    for name in names.split_terminator('\0') {
        // This file names the shape itself.
        if name.ends_with("it/conformance.rs") {
            continue;
        }
        if let Ok(text) = fs::read_to_string(root().join(name)) {
            note(name, &text, &mut found);
        }
    }
    open(&mut found);
    found
}

/// Lines of `docs/conformance-open.toml`: `[[open]]`, `clause`, `sense`, `why`.
fn open(found: &mut BTreeMap<Clause, Kept>) {
    let text = fs::read_to_string(root().join("docs/conformance-open.toml")).unwrap();
    for row in text.split("[[open]]").skip(1) {
        let value = |key: &str| {
            let line = row
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
            let value = line.and_then(|line| line.strip_suffix('"'));
            value
                .unwrap_or_else(|| panic!("no {key} in {row}"))
                .to_owned()
        };
        let line = format!("{}: {}", value("clause"), value("sense"));
        let (clause, sense) = read(&line).unwrap_or_else(|| panic!("not a clause: {line}"));
        let kept = found.entry(clause).or_default();
        kept.open.push((sense.to_owned(), value("why")));
    }
}

fn page(found: &BTreeMap<Clause, Kept>) -> String {
    let mut text = String::from(HEAD);
    let mut source = None;
    let joined = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join("<br>");
    for (clause, kept) in found {
        if source.replace(clause.source) != Some(clause.source) {
            let name = SOURCES[clause.source];
            let _ = write!(
                text,
                "\n## {name}\n\n| clause | sense | done | code | test |\n|---|---|---|---|---|\n"
            );
        }
        let shown = &clause.shown;
        if !kept.senses.is_empty() {
            let senses = joined(&kept.senses).replace('|', "\\|");
            let (code, tests) = (joined(&kept.code), joined(&kept.tests));
            let _ = writeln!(text, "| {shown} | {senses} | yes | {code} | {tests} |");
        }
        for (sense, why) in &kept.open {
            let _ = writeln!(text, "| {shown} | {sense} | **no**: {why} | | |");
        }
    }
    text
}

#[test]
fn page_says_another_thing_than_the_lines_above_code_and_tests() {
    let found = collect();
    let made = page(&found);
    let path = root().join("docs/CONFORMANCE.md");
    if std::env::var_os("HUFU_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let differs = made
        .lines()
        .zip(there.lines())
        .find(|(made, there)| made != there);
    assert!(
        made == there,
        "docs/CONFORMANCE.md is not what the lines say; HUFU_BLESS=1 writes it anew. First: {differs:?}"
    );
}

#[test]
fn clause_is_called_kept_without_code_or_without_a_test() {
    let mut found = Vec::new();
    for (clause, kept) in collect() {
        let shown = clause.shown;
        if !kept.senses.is_empty() {
            let lacks =
                |what, of: &BTreeSet<String>| of.is_empty().then(|| format!("{shown}: no {what}"));
            found.extend(lacks("code", &kept.code));
            found.extend(lacks("test", &kept.tests));
        }
        let astray = kept.astray.iter();
        found.extend(astray.map(|place| format!("{shown}: at no test, {place}")));
    }
    assert!(found.is_empty(), "clauses:\n  {}", found.join("\n  "));
}

#[test]
fn helper_is_taken_for_a_test() {
    let at = |index: usize, text: &str| test_at(&text.lines().collect::<Vec<_>>(), index);
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(at(0, "// it\n#[test]\nfn a_b() {\n}"), named("a b"));
    assert_eq!(at(1, "#[test]\n// it\nfn a_b() {\n}"), named("a b"));
    assert_eq!(
        at(2, "#[test]\nfn a_b() {\n    // it\n    ask();\n}"),
        named("a b")
    );
    assert_eq!(at(0, "// it\nfn helper() {\n}\n#[test]\nfn a_b() {"), None);
    assert_eq!(at(1, "fn helper() {\n    // it\n    ask();\n}"), None);
    assert_eq!(at(0, "// it\nconst A: u8 = 1;\n#[test]\nfn a_b() {"), None);
    assert_eq!(
        at(0, "// it\n#[test]\n#[ignore = \"slow\"]\nfn a_b() {"),
        None
    );
    let panics = "// it\n#[test]\n#[should_panic]\nfn a_b() {\n}";
    assert_eq!(at(0, panics), named("a b"));
}

#[test]
fn clause_is_read_wrongly() {
    let clause = |text: &'static str| read(text).map(|(clause, sense)| (clause.shown, sense));
    assert_eq!(
        clause("RFC 6960 §4.4.1: the nonce."),
        Some(("RFC 6960 §4.4.1".to_owned(), "the nonce."))
    );
    assert_eq!(clause("RFC 6960 §4.4.1 says so."), None);
    assert_eq!(clause("As RFC 6960 §4.4.1: not at the front."), None);
    let order = [
        "RFC 6960 §4.2: a",
        "RFC 6960 §4.10: a",
        "RFC 6960 §A.1: a",
        "RFC 9654 §1: a",
    ];
    let read: Vec<Clause> = order.iter().map(|line| read(line).unwrap().0).collect();
    assert!(read.is_sorted(), "{read:?}");
}

#[test]
fn code_is_taken_for_a_test_or_a_test_for_code() {
    let begin = |text: &str| tests_begin(&text.lines().collect::<Vec<_>>());
    assert_eq!(begin("mod a;\n#[cfg(test)]\nmod tests;\nfn f() {}"), None);
    assert_eq!(begin("fn f() {}\n#[cfg(test)]\nmod tests {\n}"), Some(1));
}

/// In the order of the page.
const SOURCES: &[&str] = &[
    "RFC 6960",
    "RFC 9919",
    "RFC 9654",
    "RFC 5280",
    "RFC 9608",
    "CABF BR",
    "RFC 9110",
    "RFC 9111",
    "RFC 9112",
    "RFC 9113",
    "RFC 7301",
    "RFC 8813",
    "RFC 8017",
    "RFC 5758",
    "RFC 8410",
    "GM/T 0015",
    "GM/T 0006",
];

const HEAD: &str = "\
# Conformance

Each MUST and SHOULD of the standards that concern a status service, in our words: kept where, held to it by which test; or not
kept, and why. Made from the lines above the code and the tests by `tests/it/conformance.rs`; what is not done comes from
`docs/conformance-open.toml`. RFC 9919 is read as it was published in July 2026. CABF BR are the Baseline Requirements of the
CA/Browser Forum, which bind nobody here and make a good bar.
";
