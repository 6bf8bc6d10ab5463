//! What this process holds, as the kernel counts it: anonymous memory (its own) and mapped files (the page cache's) apart.

use std::fs;

/// Octets resident now.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resident {
    /// Heap and stacks: nobody else's, and never given back under pressure.
    pub anonymous: u64,
    /// Pages of mapped files: shared with the page cache, and given back when others need them.
    pub mapped: u64,
}

impl Resident {
    /// Asks `/proc/self/status`.
    #[must_use]
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let octets = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            kibibytes.unwrap_or(0_u64) * 1024
        };
        Self {
            anonymous: octets("RssAnon:"),
            mapped: octets("RssFile:"),
        }
    }
}

/// The most anonymous memory seen at several looks.
#[derive(Debug, Default)]
pub struct Peak {
    octets: u64,
}

impl Peak {
    /// Looks.
    pub fn look(&mut self) {
        self.octets = self.octets.max(Resident::now().anonymous);
    }

    /// The most so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }
}
