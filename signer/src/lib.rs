//! The back office: forms in, certificates, CRLs and pre-signed OCSP batches out.

pub mod ra;
pub mod registry;
