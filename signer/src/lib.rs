//! The back office: forms in, certificates, CRLs and pre-signed OCSP batches out.

pub mod registry;
