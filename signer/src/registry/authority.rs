//! Authorities: two roots with an issuing authority each, later more.

use wire::time::UnixSeconds;

/// Row number of an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuthorityId(pub i64);

/// First 16 octets of SHA-256(issuer Name DER ‖ SubjectPublicKeyInfo DER): issuer name and key.
pub type IssuerId = [u8; 16];

/// An authority as it is founded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAuthority {
    /// `p256`, `sm2`, `p256-root`, …: what an operator types.
    pub alias: String,
    /// Alias of the authority that certified this one; none for a root.
    pub parent: Option<String>,
    /// `wire::algorithm::SignatureAlgorithm` code of its key.
    pub algorithm: u8,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// File name of its key under `DIR/signer/keys/`.
    pub key_file: String,
    /// Issuer name and key, hashed.
    pub issuer_id: IssuerId,
    /// Random key of `wire::serial::shard`, for ever the same.
    pub hash_key: [u8; 16],
    /// Base shards its records are divided into.
    pub shards: u32,
    /// What AIA and CRLDP in its certificates begin with.
    pub public_url: String,
}

/// An authority as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Row number.
    pub id: AuthorityId,
    /// What was founded.
    pub founded: NewAuthority,
    /// When.
    pub created_at: UnixSeconds,
}

impl std::ops::Deref for Authority {
    type Target = NewAuthority;

    fn deref(&self) -> &NewAuthority {
        &self.founded
    }
}
