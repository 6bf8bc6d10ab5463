//! The configuration file: one TOML, unknown keys refused, every key with a default.
//!
//! ```toml
//! [signing]
//! response-validity-secs = 86400
//! threads = 2
//! ```

use std::fs;
use std::path::Path;

use crate::error::{ConfigRefused, SignerError};
use crate::settings::{Settings, SettingsConfig};

/// What the file says.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct ConfigFile {
    signing: SettingsConfig,
}

/// Reads and checks the file; without one, the defaults.
pub fn read(path: Option<&Path>) -> Result<Settings, SignerError> {
    let Some(path) = path else {
        return Ok(Settings::default());
    };
    let text = fs::read_to_string(path).map_err(|source| SignerError::File {
        path: path.to_owned(),
        source,
    })?;
    check(&text).map_err(|source| SignerError::Config {
        path: path.to_owned(),
        source,
    })
}

fn check(text: &str) -> Result<Settings, ConfigRefused> {
    let file: ConfigFile = toml::from_str(text)?;
    Ok(Settings::new(file.signing)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_ignored() {
        assert!(check("").is_ok());
        assert!(check("[signing]\nthreads = 3\n").is_ok());
        assert!(matches!(
            check("[signing]\nthread = 3\n"),
            Err(ConfigRefused::Toml(_))
        ));
        assert!(matches!(check("[signer]\n"), Err(ConfigRefused::Toml(_))));
    }

    #[test]
    fn settings_that_cannot_stand_are_taken() {
        assert!(matches!(
            check("[signing]\nresponse-validity-secs = 1\n"),
            Err(ConfigRefused::Settings(_))
        ));
    }
}
