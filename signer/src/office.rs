//! What every act of the signer needs: folders, registry, keys, settings.

use crate::ca::issue::Broken;
use crate::ca::{CaError, Issuer};
use crate::home::Home;
use crate::key::{KeyError, Keyring};
use crate::registry::{Blocking, Store};
use crate::settings::Settings;

/// The back office, opened.
pub struct Office<S> {
    /// Where things lie.
    pub home: Home,
    /// What is remembered.
    pub registry: Blocking<S>,
    /// The private keys.
    pub keyring: Keyring,
    /// How long things are valid.
    pub settings: Settings,
    /// Reservations that break a rule, as long as this process lives.
    pub broken: Broken,
}

impl<S: Store> Office<S> {
    /// Opens the keys beside an open registry.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn new(home: Home, registry: Blocking<S>, settings: Settings) -> Result<Self, KeyError> {
        let keyring = Keyring::open(&home.signer())?;
        Ok(Self {
            home,
            registry,
            keyring,
            settings,
            broken: Broken::default(),
        })
    }

    /// All authorities, parents before children.
    ///
    /// # Errors
    /// [`CaError::Registry`], [`CaError::Stored`].
    pub fn issuers(&self) -> Result<Vec<Issuer>, CaError> {
        let rows = self.registry.wait(|store| store.authorities())?;
        rows.into_iter().map(Issuer::from_row).collect()
    }

    /// The authority of that alias.
    ///
    /// # Errors
    /// [`CaError::NoAuthority`] if there is none.
    pub fn issuer(&self, alias: &str) -> Result<Issuer, CaError> {
        let row = self.registry.wait(|store| store.authority(alias))?;
        Issuer::from_row(row.ok_or_else(|| CaError::NoAuthority(alias.to_owned()))?)
    }
}
