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
