//! Further generations over a population: the same base, and each time another delta of serials that nobody asks about.

use std::time::{SystemTime, UNIX_EPOCH};

use hufu_loader::durable::FsDisk;
use hufu_loader::publish::{Edition, Publisher};
use hufu_loader::seal::SealKey;
use hufu_loader::store::Store;

use super::{Population, VALIDITY_SECS, Works};
use crate::memory::Peak;

/// Publishes one generation after another.
pub struct Sequel<'p> {
    population: &'p Population,
    publisher: Publisher<'static>,
    published: u64,
}

impl Population {
    /// Takes the population's store over, to publish further generations.
    ///
    /// # Errors
    /// When somebody else has it.
    pub fn sequel(&self) -> Result<Sequel<'_>, Box<dyn std::error::Error>> {
        let key = SealKey::from_pkcs8(&self.seal, &self.pin)?;
        Ok(Sequel {
            population: self,
            publisher: Publisher::open(&FsDisk, Store::at(&self.edge), key, &[])?,
            published: 0,
        })
    }
}

impl Sequel<'_> {
    /// Publishes the next one, with a delta of so many records in place of the last one's.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn publish(&mut self, records: u64) -> Result<u64, Box<dyn std::error::Error>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let population = self.population;
        let temp = self.publisher.store().temp();
        let mut works = Works {
            plan: &population.plan,
            issuer: &population.issuer,
            now,
            work: temp.join("sort"),
            temp,
            peak: Peak::default(),
        };
        // Behind the tiers there may be already: their revisions and serials are taken.
        let delta = works.tier(TIERS_BEFORE + self.published, records)?;
        self.published += 1;
        let published = self.publisher.publish(&Edition {
            kept: population.objects.clone(),
            added: vec![delta],
            replayed: Vec::new(),
            issuers: Vec::new(),
            sealed_at: now,
            valid_for_secs: VALIDITY_SECS,
        })?;
        Ok(published.number)
    }
}

const TIERS_BEFORE: u64 = 16;
