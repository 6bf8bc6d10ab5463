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
use crate::live::settings::{LiveConfig, LiveSettings};
use crate::settings::{Settings, SettingsConfig};

/// What the file says.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct ConfigFile {
    signing: SettingsConfig,
    live: LiveConfig,
}

/// Reads and checks the file; without one, the defaults.
pub fn read(path: Option<&Path>) -> Result<Settings, SignerError> {
    read_both(path).map(|(settings, _)| settings)
}

/// The same, with what the live lane is told.
pub fn read_both(path: Option<&Path>) -> Result<(Settings, LiveSettings), SignerError> {
    let text = match path {
        None => String::new(),
        Some(path) => fs::read_to_string(path).map_err(|source| SignerError::File {
            path: path.to_owned(),
            source,
        })?,
    };
    check(&text).map_err(|source| SignerError::Config {
        path: path.unwrap_or(Path::new("")).to_owned(),
        source,
    })
}

fn check(text: &str) -> Result<(Settings, LiveSettings), ConfigRefused> {
    let file: ConfigFile = toml::from_str(text)?;
    let live = LiveSettings::new(&file.live)?;
    Ok((Settings::new(file.signing)?, live))
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
