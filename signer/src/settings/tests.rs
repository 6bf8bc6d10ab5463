//! What settings are refused, and what those that are not say.

use super::*;

#[test]
fn an_ocsp_signer_that_dies_before_its_windows_is_refused() {
    let config = SettingsConfig {
        response_validity_secs: 7 * 86_400,
        ocsp_signer_validity_secs: 14 * 86_400,
        ..SettingsConfig::default()
    };
    let error = Settings::new(config).unwrap_err();
    assert!(matches!(
        error,
        SettingsError::TooSmall {
            key: "ocsp-signer-validity-secs",
            ..
        }
    ));
}

#[test]
fn a_value_overflows_or_a_revocation_waits_for_minutes() {
    let refused = |config| {
        let error = Settings::new(config).unwrap_err();
        assert!(matches!(error, SettingsError::TooLarge { .. }), "{error}");
    };
    let default = SettingsConfig::default;
    refused(SettingsConfig {
        response_validity_secs: u64::MAX,
        ..default()
    });
    refused(SettingsConfig {
        archive_secs: u64::MAX,
        ..default()
    });
    refused(SettingsConfig {
        poll_millis: 1_001,
        ..default()
    });
}

#[test]
fn one_authority_is_signed_again_too_late_or_for_a_form_nobody_knows() {
    let read = |text: &str| Settings::new(toml::from_str(text).unwrap());
    let settings = read(
        "response-validity-secs = 3600\n[issuer.sm2]\nrefresh-secs = 600\nforms = [\"sm3\"]\n",
    );
    let settings = settings.unwrap();
    let (p256, sm2) = (settings.terms("p256"), settings.terms("sm2"));
    assert_eq!((p256.refresh, p256.age_objective), (1_800, 2_700));
    assert_eq!(sm2.refresh, 600);
    assert_eq!((p256.forms, sm2.forms.unwrap().len()), (None, 1));
    for wrong in [
        "[issuer.sm2]\nrefresh-secs = 80000\n",
        "[issuer.sm2]\nage-objective-secs = 100\n",
        "[issuer.sm2]\nforms = [\"sha3\"]\n",
    ] {
        let error = read(wrong).unwrap_err();
        assert!(matches!(error, SettingsError::Issuer { .. }), "{error}");
    }
    assert!(read("refresh-secs = 80000").is_err());
}

#[test]
fn an_unknown_key_is_not_ignored() {
    assert!(toml::from_str::<SettingsConfig>("response-validity = 1").is_err());
}

#[test]
fn algorithms_that_no_client_can_tell_apart_or_no_authority_can_have_are_signed_with() {
    use SignatureAlgorithm::{EcdsaP256Sha256, EcdsaP384Sha384, Ed25519, Rsa3072Sha256, Sm2Sm3};
    let read = |of: &str| {
        let text = format!("[issuer.p256]\n{of}\n");
        Settings::new(toml::from_str(&text).unwrap())
    };
    let settings = read("ocsp-algorithms = [\"ed25519\", \"ecdsa-p384-sha384\"]").unwrap();
    let terms = settings.terms("p256");
    // In one order, however they are written: a shard signed with the same ones counts.
    assert_eq!(terms.further, [EcdsaP384Sha384, Ed25519]);
    let all = [Rsa3072Sha256, EcdsaP384Sha384, Ed25519];
    assert_eq!(terms.algorithms(Rsa3072Sha256), all);
    assert_eq!(settings.terms("sm2").algorithms(Sm2Sm3), [Sm2Sm3]);
    settings.check_for("p256", EcdsaP256Sha256).unwrap();
    settings.check_for("sm2", Sm2Sm3).unwrap();

    let told = |refused: Result<(), SettingsError>| {
        crate::error::sentence(&refused.expect_err("it cannot stand"))
    };
    for (wrong, why) in [
        ("[\"rsa\"]", "names `rsa`; there are ecdsa-p256-sha256, "),
        (
            "[\"ed25519\", \"ed25519\"]",
            "clients ask for by one identifier; leave one out",
        ),
        (
            "[\"rsa-2048-sha256\", \"rsa-4096-sha256\"]",
            "clients ask for by one identifier; leave one out",
        ),
        (
            "[\"ed25519\", \"sm2-sm3\", \"rsa-2048-sha256\", \"ecdsa-p384-sha384\"]",
            "name at most 3",
        ),
        (
            "[\"ed25519\", \"rsa-2048-sha256\"]\nforms = [\"sha1\", \"sha256\", \"sha1-no-parameters\", \"sha256-no-parameters\", \"sm3\", \"sm3-no-parameters\"]",
            "each response is signed 18 times; leave some out",
        ),
    ] {
        let text = told(read(&format!("ocsp-algorithms = {wrong}")).map(drop));
        assert!(
            text.starts_with("issuer.p256: ocsp-algorithms: ") && text.contains(why),
            "{text}"
        );
    }
    let own = settings.check_for("p256", Ed25519);
    let own = told(own);
    assert!(
        own.ends_with("signs with ed25519 in any case; leave it out"),
        "{own}"
    );
    let other = told(settings.check_for("p256", Sm2Sm3));
    assert!(
        other.contains("SM2 authorities certify SM2 keys"),
        "{other}"
    );
    // Nobody means it of all authorities.
    assert!(toml::from_str::<SettingsConfig>("ocsp-algorithms = []").is_err());
}
