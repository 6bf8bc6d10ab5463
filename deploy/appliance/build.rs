//! Lists the demo's files for `src/demo.rs`, so that `hufu up` works from any folder without the source tree.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What goes into the binary, below `deploy/demo/`.
const FOLDERS: [&str; 2] = ["forms", "foreign"];

fn main() {
    let demo =
        Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../demo");
    let mut files = Vec::new();
    for folder in FOLDERS {
        println!("cargo:rerun-if-changed={}", demo.join(folder).display());
        walk(&demo.join(folder), &mut files);
    }
    files.push(demo.join("verify-sm2"));
    files.sort();

    let mut source = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&demo).expect("below the demo folder");
        let octets = fs::canonicalize(file).expect("just listed");
        writeln!(
            source,
            "    ({:?}, include_bytes!({:?})),",
            name.display().to_string(),
            octets.display().to_string()
        )
        .expect("a String takes everything");
    }
    source.push_str("]\n");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets it")).join("demo_files.rs");
    fs::write(out, source).expect("cargo's own folder is writable");
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the demo folder is part of the source") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}
