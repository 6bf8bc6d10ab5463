//! Certificates that are handed in: each stands on the list it names, and on no other.

use super::*;
use crate::verify::holders::Holder;
use crate::verify::verify_with;

const ONE: &str = "http://x/crl/w.1.crl";
const TWO: &str = "http://x/crl/w.2.crl";

fn of(place: &Place, authority: &Authority, holders: &[(u64, &str)]) -> Proof {
    let folder = place.data.path().join("holders");
    std::fs::create_dir_all(&folder).unwrap();
    let holders: Vec<Holder> = holders
        .iter()
        .map(|(number, uri)| {
            let path = folder.join(format!("{number}.der"));
            std::fs::write(&path, authority.holder(*number, uri)).unwrap();
            Holder::read(&path).unwrap()
        })
        .collect();
    verify_with(place.data.path(), NOW, &holders).unwrap()
}

// RFC 5280 §5.2.5: the distribution point of a partition is, octet for octet, the one its certificates name.
#[test]
fn a_certificate_stands_on_another_list_than_the_one_it_names() {
    let place = Place::new();
    let part = |point, name, entries| List {
        name,
        point: Some(point),
        entries,
        ..WHOLE
    };
    let lists = [
        WHOLE,
        part(ONE, "w.1.crl", &[]),
        part(TWO, "w.2.crl", &[(2, KEY)]),
    ];
    let rows = [good(1), row(2), good(3)];
    assert_eq!(published(&place, &rows, 5, &lists).taken.len(), 1);
    let mine = |holders: &[(u64, &str)]| of(&place, &place.authority, holders);

    let right = mine(&[(1, ONE), (2, TWO), (3, "http://x/crl/w.crl")]);
    assert!(right.holds(), "{right:?}");
    let told = &right.issuers[0].holders;
    let named: Vec<_> = told
        .iter()
        .map(|told| told.list.as_deref().unwrap())
        .collect();
    assert_eq!(named, ["w.1.crl", "w.2.crl", "w.crl"]);
    assert!(told[1].status.starts_with("revoked"), "{told:?}");

    for (holder, why) in [
        // Whoever reads the list it names takes it for good.
        ((2, ONE), "w.1.crl, which it names, says nothing"),
        ((2, ONE), "it stands on w.2.crl, and names w.1.crl"),
        ((3, "http://x/crl/w.3.crl"), "names no list"),
        ((9, ONE), "nothing is answered"),
    ] {
        let wrong = mine(&[holder]);
        assert!(
            wrong.differences.iter().any(|what| what.contains(why)),
            "{why}: {wrong:?}"
        );
    }
    let stranger = of(&place, &Authority::found("Workshop CA"), &[(1, ONE)]);
    assert_eq!(stranger.difference_count, 1, "{stranger:?}");
}
