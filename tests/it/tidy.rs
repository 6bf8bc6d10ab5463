//! Rules about the project's own text that no compiler knows: where `unsafe` and the clock live, how files are named and
//! opened. Which room may link which is `arrows.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hufu_tests::root;

/// Every file of the project that git knows, relative to the top.
fn committed(extension: &str) -> Vec<PathBuf> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root())
        .args(["ls-files", "-z", "--cached"])
        .output()
        .unwrap();
    assert!(
        listed.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let names = String::from_utf8(listed.stdout).unwrap();
    names
        .split_terminator('\0')
        .filter(|name| name.ends_with(extension))
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Code that ships: everything but tests, benches, examples, modules declared for tests, and the `#[cfg(test)]` end of a
/// file.
fn shipped() -> impl Iterator<Item = (PathBuf, String)> {
    let for_tests = modules_for_tests();
    committed(".rs")
        .into_iter()
        .filter(move |path| {
            let room = path.iter().next().unwrap();
            room != "tests"
                && room != "benches"
                && path
                    .iter()
                    .all(|part| part != "examples" && part != "tests")
                && !for_tests
                    .iter()
                    .any(|module| path.with_extension("").starts_with(module))
        })
        .map(|path| {
            let text = read(&path);
            let code: Vec<&str> = text
                .lines()
                .take_while(|line| !is_for_tests(line))
                .collect();
            let code = code.join("\n");
            (path, code)
        })
}

/// `#[cfg(test)]`, `#[cfg(all(test, …))]` at the left edge.
fn is_for_tests(line: &str) -> bool {
    line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test,")
}

/// Modules declared under `#[cfg(test)]` that lie in files of their own, as `wire/src/corpus`.
fn modules_for_tests() -> Vec<PathBuf> {
    let mut modules = Vec::new();
    for path in committed(".rs") {
        let stem = path.file_stem().unwrap();
        let is_root = ["lib", "main", "mod"].iter().any(|root| stem == *root);
        let folder = if is_root {
            path.parent().unwrap().to_owned()
        } else {
            path.with_extension("")
        };
        let text = read(&path);
        for declared in text.split("\n#[cfg(test)]\n").skip(1) {
            // More attributes may stand between: a feature, a path.
            let attributes = declared.lines().take_while(|line| line.starts_with("#["));
            let given = attributes
                .clone()
                .find_map(|line| line.strip_prefix("#[path = \"")?.strip_suffix("\"]"));
            let line = declared.lines().nth(attributes.count()).unwrap_or_default();
            let Some((_, name)) = line.split_once("mod ") else {
                continue;
            };
            let Some(name) = name.strip_suffix(';') else {
                continue;
            };
            modules.push(match given {
                Some(given) => path.parent().unwrap().join(given).with_extension(""),
                None => folder.join(name),
            });
        }
    }
    modules
}

/// Lines of code, comments left out, numbered from one.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn none_of(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn unsafe_appears_in_the_mapping_of_packs_only() {
    let mut found = Vec::new();
    for (path, code) in shipped().filter(|(path, _)| path != Path::new("loader/src/pack/map.rs")) {
        for (number, line) in code_lines(&code) {
            let word = line
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "unsafe");
            if word || line.contains("allow(unsafe_code") || line.contains("expect(unsafe_code") {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    none_of(&found, "unsafe outside loader/src/pack/map.rs");
}

#[test]
fn wire_is_no_std_and_forbids_unsafe() {
    let charter = read(Path::new("wire/src/lib.rs"));
    assert!(
        charter.contains("#![no_std]"),
        "wire/src/lib.rs has no #![no_std]"
    );
    assert!(
        charter.contains("#![forbid(unsafe_code)]"),
        "wire/src/lib.rs does not forbid unsafe code"
    );
    let mut found = Vec::new();
    for (path, code) in shipped().filter(|(path, _)| path.starts_with("wire")) {
        for (number, line) in code_lines(&code) {
            if line.contains("std::fs")
                || line.contains("std::net")
                || line.contains("extern crate std")
            {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    none_of(&found, "wire touches a file or a socket");
}

#[test]
fn every_source_file_says_first_what_it_holds() {
    let silent: Vec<String> = committed(".rs")
        .iter()
        .filter(|path| !read(path).starts_with("//! "))
        .map(|path| path.display().to_string())
        .collect();
    none_of(&silent, "files that do not open with `//!`");
}

#[test]
fn no_file_is_a_room_without_a_name() {
    let nameless = [
        "util", "utils", "common", "commons", "helper", "helpers", "manager", "misc", "stuff",
    ];
    let found: Vec<String> = committed("")
        .iter()
        .filter(|path| {
            path.iter().any(|part| {
                let part = part.to_str().unwrap();
                nameless.contains(&part.split('.').next().unwrap())
            })
        })
        .map(|path| path.display().to_string())
        .collect();
    none_of(&found, "files whose name does not say what is in them");
}

#[test]
fn no_file_outgrows_its_room() {
    let found: Vec<String> = committed(".rs")
        .iter()
        .map(|path| (path, read(path).lines().count()))
        .filter(|(_, lines)| *lines > 500)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    none_of(&found, "files of more than 500 lines");
}

/// Where `now` is read. Everywhere else it is an argument, so that a test can stand at any moment.
const READS_THE_CLOCK: &[&str] = &[
    // The verbs of the command lines: once, when they start.
    "loader/src/cli/follow.rs",
    "loader/src/cli/mod.rs",
    "loader/src/cli/publish.rs",
    "signer/src/cli/mod.rs",
    // How long something has been in the making, beside the `now` it began at.
    "loader/src/run/meanwhile.rs",
    // Main loops.
    "deploy/appliance/src/children.rs",
    // Waits, within a bound, for a killed instance's ports.
    "deploy/appliance/src/ports.rs",
    "deploy/appliance/src/supervise.rs",
    "deploy/appliance/src/up.rs",
    "responder/src/cli.rs",
    "responder/src/reload.rs",
    "responder/src/worker.rs",
    "signer/src/serve.rs",
    "signer/src/serve/loops.rs",
];

#[test]
fn the_clock_is_read_in_main_loops_only() {
    let clocks = [
        "SystemTime::now",
        "Instant::now",
        "Timestamp::now",
        "Zoned::now",
        "UtcDateTime::now",
    ];
    let mut found = Vec::new();
    for (path, code) in shipped() {
        if READS_THE_CLOCK.contains(&path.to_str().unwrap()) {
            continue;
        }
        for (number, line) in code_lines(&code) {
            if clocks.iter().any(|clock| line.contains(clock)) {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    none_of(
        &found,
        "the clock is read outside the named places (READS_THE_CLOCK)",
    );
}

#[test]
fn the_two_admin_ports_drift_apart() {
    // Signer and loader may not link one another: each has its own copy, and what is mended in one is mended in both.
    let room = |path| {
        let text = read(Path::new(path));
        let (_, behind_title) = text.split_once("\n\n").unwrap();
        behind_title.to_owned()
    };
    assert_eq!(room("loader/src/admin.rs"), room("signer/src/admin.rs"));
}

#[test]
fn shipped_code_does_not_unwrap() {
    let mut found = Vec::new();
    for (path, code) in shipped() {
        for (number, line) in code_lines(&code) {
            if line.contains(".unwrap()")
                || line.contains("todo!(")
                || line.contains("unimplemented!(")
            {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    none_of(&found, "an unwrap or a todo in shipped code");
}

#[test]
fn every_dependency_is_argued_above_its_line() {
    let manifest = read(Path::new("Cargo.toml"));
    let section = manifest.split("[workspace.dependencies]\n").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let mut above = "";
    let mut found = Vec::new();
    for line in section.lines() {
        let is_dependency = line.contains(" = ") && !line.starts_with(['#', ' ']);
        if is_dependency && !above.starts_with('#') {
            found.push(line.to_owned());
        }
        above = line;
    }
    none_of(
        &found,
        "dependencies without a comment above them in Cargo.toml",
    );
}

#[test]
fn the_fuzzer_is_built_of_whatever_came_out_last() {
    let manifest = read(Path::new("fuzz/Cargo.toml"));
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let dependencies = section.lines().filter(|line| line.contains(" = "));
    let is_held = |line: &str| line.contains("path = ") || line.contains("\"=");
    let found: Vec<String> = dependencies
        .filter(|line| !line.starts_with('#') && !is_held(line))
        .map(str::to_owned)
        .collect();
    none_of(&found, "fuzz/Cargo.lock is not kept: `=` in its manifest");
}

#[test]
fn a_script_gives_up_where_another_program_holds_the_packages() {
    let mut found = Vec::new();
    for path in committed("") {
        let text = fs::read_to_string(root().join(&path)).unwrap_or_default();
        if text.starts_with("#!") && path != Path::new("tests/packages") {
            let lines = text.lines().filter(|line| line.contains("apt-get"));
            found.extend(lines.map(|line| format!("{}: {}", path.display(), line.trim())));
        }
    }
    none_of(&found, "tests/packages knows how to wait");
}

#[test]
fn a_port_is_refused_to_the_program_it_was_tried_for() {
    let mut found = Vec::new();
    for path in committed(".rs") {
        if !path.iter().any(|part| part == "tests") {
            continue;
        }
        for (number, line) in code_lines(&read(&path)) {
            if line.contains(concat!("TcpListener", "::bind(")) && line.contains(".is_ok()") {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    none_of(
        &found,
        "a copy of what listens, in a child that is just being started, keeps the port: bind only",
    );
}

#[test]
fn every_crate_inherits_the_lints() {
    let found: Vec<String> = committed("Cargo.toml")
        .iter()
        .filter(|path| *path != Path::new("Cargo.toml"))
        .filter(|path| !read(path).contains("[lints]\nworkspace = true"))
        .map(|path| path.display().to_string())
        .collect();
    none_of(&found, "crates that do not inherit the workspace's lints");
}

#[test]
fn nothing_names_a_machine_or_a_folder_outside_the_project() {
    // Assembled here, so that this file does not name them either.
    let foreign = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!(".lib", "rary"),
        concat!("shared/", "design"),
        concat!("shared/", "facts"),
        concat!("FORMS", ".md"),
        concat!("BASELINE", ".md"),
        concat!("SCENARIOS", ".md"),
        concat!("STYLE", ".md"),
        concat!("contract", ".md"),
        concat!("DES", "IGN"),
    ];
    let mut found = Vec::new();
    for path in committed("") {
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for (index, line) in text.lines().enumerate() {
            if foreign.iter().any(|name| line.contains(name)) {
                found.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
            }
        }
    }
    none_of(&found, "text that only makes sense on one machine");
}

#[test]
fn the_files_that_the_pages_name_are_there() {
    let mut found = Vec::new();
    for page in committed(".md") {
        let text = read(&page);
        let outside_blocks = text.split("```").step_by(2);
        let quoted = outside_blocks.flat_map(|part| part.split('`').skip(1).step_by(2));
        for quoted in quoted {
            // `tests/it/tidy.rs::name_of_a_test`, or the file alone.
            let (file, test) = match quoted.split_once("::") {
                Some((file, test)) => (file, Some(test)),
                None => (quoted, None),
            };
            let named = file.contains('/')
                && [".rs", ".toml", ".java", ".sql", ".yml"]
                    .iter()
                    .any(|end| file.ends_with(end));
            let plain = !file.contains(['*', '<', ' ', ':', '…']);
            if !named || !plain {
                continue;
            }
            if !root().join(file).exists() {
                found.push(format!("{}: {quoted}", page.display()));
            } else if test.is_some_and(|test| !has_test(&read(Path::new(file)), test)) {
                found.push(format!("{}: no such test: {quoted}", page.display()));
            }
        }
    }
    none_of(&found, "pages name what is not there");
}

/// Whether a test of this name stands there, and is run.
fn has_test(text: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let mut above = Vec::new();
    text.lines().map(str::trim_start).any(|line| {
        if line.starts_with("#[") || line.starts_with("//") {
            above.push(line);
            return false;
        }
        let is_ignored = above.iter().any(|line| line.starts_with("#[ignore"));
        let here = line.starts_with(&head) && above.contains(&"#[test]") && !is_ignored;
        above.clear();
        here
    })
}

#[test]
fn a_test_that_is_gone_is_still_named() {
    let text = "#[test]\nfn one() {\n}\nfn two() {\n}\n";
    assert!(has_test(text, "one"));
    assert!(!has_test(text, "two"));
    assert!(!has_test(text, "on"));
    let more = "#[test]\n// Why.\n#[should_panic]\nfn one() {\n}\n#[test]\n#[ignore = \"slow\"]\nfn two() {\n}\n";
    assert!(has_test(more, "one"));
    assert!(!has_test(more, "two"));
}
