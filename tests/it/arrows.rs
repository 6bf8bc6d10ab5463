//! The dependency arrows: `wire ◀ loader ◀ responder`, `wire ◀ signer`, as cargo itself resolves them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use hufu_tests::root;
use serde_json::Value;

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// For each package, the packages that end up linked into it (dependencies of dependencies too; not for its tests).
fn linked(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let name_of: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            (
                package["id"].as_str().unwrap(),
                package["name"].as_str().unwrap(),
            )
        })
        .collect();
    let mut direct: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let linked = node["deps"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|dependency| {
                dependency["dep_kinds"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|kind| kind["kind"].is_null())
            });
        let names = linked
            .map(|dependency| name_of[dependency["pkg"].as_str().unwrap()])
            .collect();
        direct.insert(name_of[node["id"].as_str().unwrap()], names);
    }
    let rooms = metadata["workspace_members"].as_array().unwrap();
    rooms
        .iter()
        .map(|id| {
            let room = name_of[id.as_str().unwrap()];
            let mut reached = BTreeSet::new();
            let mut ahead = vec![room];
            while let Some(name) = ahead.pop() {
                for next in direct.get(name).into_iter().flatten() {
                    if reached.insert((*next).to_owned()) {
                        ahead.push(next);
                    }
                }
            }
            (room.to_owned(), reached)
        })
        .collect()
}

#[test]
fn no_room_links_one_it_must_not() {
    let linked = linked(&metadata());
    let rooms: BTreeSet<&str> = linked.keys().map(String::as_str).collect();
    // The whole picture: a new arrow is a decision, written here and in ARCHITECTURE.md.
    let allowed: &[(&str, &[&str])] = &[
        ("hufu-wire", &[]),
        ("hufu-loader", &["hufu-wire"]),
        ("hufu-signer", &["hufu-wire"]),
        ("hufu-responder", &["hufu-wire", "hufu-loader"]),
        (
            "hufu",
            &["hufu-wire", "hufu-loader", "hufu-signer", "hufu-responder"],
        ),
        (
            "hufu-benches",
            &["hufu-wire", "hufu-loader", "hufu-signer", "hufu-responder"],
        ),
        (
            "hufu-tests",
            &["hufu-wire", "hufu-loader", "hufu-signer", "hufu-responder"],
        ),
    ];
    assert_eq!(
        rooms,
        allowed.iter().map(|(room, _)| *room).collect(),
        "a room without arrows in this list"
    );
    for (room, may) in allowed {
        let rooms_linked: Vec<&str> = linked[*room]
            .iter()
            .map(String::as_str)
            .filter(|name| rooms.contains(name))
            .collect();
        let beyond: Vec<_> = rooms_linked
            .iter()
            .filter(|name| !may.contains(name))
            .collect();
        assert!(beyond.is_empty(), "{room} links {beyond:?}");
    }
}

#[test]
fn code_that_handles_private_keys_is_linked_into_nothing_but_the_signer() {
    let linked = linked(&metadata());
    for room in ["hufu-wire", "hufu-loader", "hufu-responder"] {
        for banned in [
            "aws-lc-rs",
            "aws-lc-sys",
            "p12-keystore",
            "cryptoki",
            "sqlx",
            "rsa",
        ] {
            assert!(!linked[room].contains(banned), "{room} links {banned}");
        }
    }
    for room in ["hufu-wire", "hufu-signer"] {
        assert!(!linked[room].contains("memmap2"), "{room} links memmap2");
    }
}

#[test]
fn responder_links_the_read_half_of_the_loader_only() {
    let metadata = metadata();
    let responder = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["name"] == "hufu-responder")
        .unwrap();
    let loader = responder["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .find(|dependency| dependency["name"] == "hufu-loader" && dependency["kind"].is_null())
        .expect("the responder reads generations through the loader");
    assert_eq!(loader["uses_default_features"], false);
    assert_eq!(loader["features"], Value::Array(Vec::new()));
}
