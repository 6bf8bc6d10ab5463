//! What is refused of a manifest, sealed well or not.

use super::*;

fn manifest() -> Manifest {
    let document = |name: &str| ObjectEntry {
        name: name.into(),
        blake3: Digest::of(name.as_bytes()),
        octets: 1,
        issuer: IssuerHex(IssuerId([1; 16])),
        role: Role::Crl(DocumentNote {
            last_modified: 1,
            expires: None,
            encodings: Vec::new(),
            list: None,
        }),
    };
    Manifest {
        format: FORMAT,
        number: 8,
        previous: Some(Previous {
            number: 7,
            blake3: Digest::of(b"7"),
        }),
        revision: 3,
        sealed_at: 100,
        valid_until: 200,
        objects: vec![document("a.crl"), document("b.crl")],
        replayed: Vec::new(),
        issuers: Vec::new(),
    }
}

#[test]
fn a_manifest_torn_anywhere_or_with_any_octet_changed_is_refused() {
    let (key, _) = SealKey::generate().unwrap();
    let pins = [key.public()];
    let (text, digest) = manifest().seal(&key);
    let sound = Manifest::open(text.clone(), &pins).unwrap();
    assert_eq!((sound.manifest(), sound.blake3()), (&manifest(), digest));
    for cut in 0..text.len() {
        assert!(
            Manifest::open(text[..cut].to_vec(), &pins).is_err(),
            "cut at {cut}"
        );
        let mut changed = text.clone();
        changed[cut] ^= 1;
        assert!(Manifest::open(changed, &pins).is_err(), "octet {cut}");
    }
    let mut longer = text.clone();
    longer.extend_from_slice(&text);
    assert!(Manifest::open(longer, &pins).is_err());
}

#[test]
fn a_well_sealed_manifest_that_contradicts_itself_is_refused() {
    let (key, _) = SealKey::generate().unwrap();
    let pins = [key.public()];
    let refusal = |change: fn(&mut Manifest)| {
        let mut manifest = manifest();
        change(&mut manifest);
        Manifest::open(manifest.seal(&key).0, &pins).unwrap_err()
    };
    assert!(matches!(
        refusal(|m| m.format = 2),
        ManifestError::Format { found: 2 }
    ));
    assert!(matches!(
        refusal(|m| m.valid_until = 100),
        ManifestError::NeverValid
    ));
    let error = refusal(|m| m.number = 7);
    assert!(matches!(
        error,
        ManifestError::NumberNotAbovePrevious { .. }
    ));
    let error = refusal(|m| m.objects[1].name = "a.crl".into());
    assert!(matches!(error, ManifestError::NamedTwice { .. }));
    let encodings = |objects: u64, encodings: &[(Encoding, u64)]| {
        let mut manifest = manifest();
        manifest.objects[0].octets = objects;
        let Role::Crl(note) = &mut manifest.objects[0].role else {
            unreachable!("the first object is a list")
        };
        let forms = encodings.iter().map(|(encoding, octets)| EncodedNote {
            encoding: *encoding,
            blake3: Digest::of(b"form"),
            octets: *octets,
        });
        note.encodings = forms.collect();
        Manifest::open(manifest.seal(&key).0, &pins).map(|sound| {
            let files: Vec<String> = sound
                .manifest()
                .files()
                .map(|file| file.name.clone())
                .collect();
            files
        })
    };
    let two = [(Encoding::Gzip, 9), (Encoding::Zstd, 9)];
    assert_eq!(
        encodings(10, &two).unwrap(),
        ["a.crl", "a.crl.gz", "a.crl.zst", "b.crl"]
    );
    for (objects, bad) in [
        (9, &two[..]),
        (10, &[two[0], two[0]]),
        (10, &[two[1], two[0]]),
    ] {
        let error = encodings(objects, bad).unwrap_err();
        assert!(
            matches!(error, ManifestError::BadEncodings { .. }),
            "{error}"
        );
    }
    for name in [
        "",
        "..",
        ".hidden",
        "a/b",
        "../current",
        "a b",
        "a\n",
        "\u{202e}",
    ] {
        let mut bad = manifest();
        bad.objects[0].name = name.into();
        let error = Manifest::open(bad.seal(&key).0, &pins).unwrap_err();
        assert!(
            matches!(error, ManifestError::BadName { .. }),
            "{name:?}: {error}"
        );
    }
}

#[test]
fn an_unknown_field_is_not_passed_over() {
    let (key, _) = SealKey::generate().unwrap();
    let body = serde_json::to_string(&manifest()).unwrap();
    let mut text = body.replacen('{', "{\"revoked\": true, ", 1);
    text.push('\n');
    let seal = STANDARD.encode(key.sign(text.as_bytes()));
    text.push_str(&format!("hufu-seal {} {seal}\n", key.public().id()));
    let error = Manifest::open(text.into_bytes(), &[key.public()]).unwrap_err();
    assert!(matches!(error, ManifestError::Json(_)), "{error}");
}
