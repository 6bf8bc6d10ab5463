//! The write-ahead log: who folds it into the file, and when.

use super::*;

#[test]
fn whoever_commits_pays_for_folding_the_log() {
    let rig = rig();
    let octets = || {
        let file = rig.folder.path().join("registry.sqlite");
        std::fs::metadata(file).unwrap().len()
    };
    rig.db.drive(rig.db.store().fold()).unwrap();
    let before = octets();
    // Some two thousand pages: SQLite itself would fold them within the commit.
    let long = "x".repeat(4 << 20);
    for name in ["one", "two"] {
        let set = rig.db.store().set_setting(name, &long, By::signer(NOW));
        rig.db.drive(set).unwrap();
    }
    assert_eq!(octets(), before, "the commits have not");
    rig.db.drive(rig.db.store().fold()).unwrap();
    assert!(
        octets() >= before + (8 << 20),
        "whoever is there for it has"
    );
    let read = rig.db.drive(rig.db.store().setting("two")).unwrap();
    assert_eq!(read, Some(long));
}
