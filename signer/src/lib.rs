//! The back office: forms in, certificates, CRLs and pre-signed OCSP batches out.

pub mod admin;
pub mod adopt;
pub mod batch;
pub mod ca;
pub mod cli;
pub mod config;
pub mod durable;
pub mod error;
pub mod home;
pub mod key;
pub mod live;
pub mod metrics;
pub mod office;
pub mod ra;
pub mod registry;
pub mod serve;
pub mod settings;
pub mod status;
mod text;
