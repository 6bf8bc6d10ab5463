//! The local responder: one self-signed P-256 certificate that answers for other authorities' lists.
//!
//! RFC 6960 §2.2 (Trusted Responder): clients believe it because they were told to, nothing else makes them. Its key and
//! certificate are made at the first adoption and recorded in the registry before anything is signed with them; the
//! certificate is left as `DIR/demo/local-responder.pem` too.

use crate::ca::lint::{Purpose, Signatory};
use crate::ca::name::NameParts;
use crate::ca::ocsp_signer::Responder;
use crate::ca::prepare::{self, Draft};
use crate::ca::sign::{checked, sign};
use crate::ca::{CaError, extension};
use crate::durable::{self, Existing, Secrecy};
use crate::office::Office;
use crate::registry::{By, ListScope, Store};
use crate::text::hex;
use der::EncodePem;
use der::{Decode, Encode};
use wire::algorithm::SignatureAlgorithm;
use wire::time::UnixSeconds;
use x509_cert::Certificate;
use x509_cert::ext::pkix::KeyUsages;

/// The certificate clients must be told to trust, DER; none before the first adoption.
///
/// # Errors
/// [`CaError::Registry`].
pub fn certificate<S: Store>(office: &Office<S>) -> Result<Option<Vec<u8>>, CaError> {
    let stored = office.registry.wait(|store| store.setting(SETTING))?;
    Ok(stored.as_deref().and_then(parse).map(|(_, der)| der))
}

/// The local responder, made if there is none. Its successor is made and shown a month before its end, and signs only when
/// the end is near: clients are told by hand whom to trust.
///
/// # Errors
/// [`CaError`], see there.
pub(super) fn current<S: Store>(office: &Office<S>, by: By<'_>) -> Result<Responder, CaError> {
    let near = (2 * office.settings.response_validity_secs).min(ANNOUNCE_BEFORE_SECS);
    // One made by a clock that was ahead answers nothing until then.
    let stored = |name| stored(office, name, by.at);
    if let Some(responder) = stored(SETTING)? {
        if responder.not_after > by.at + ANNOUNCE_BEFORE_SECS {
            return Ok(responder);
        }
        let successor = match stored(SUCCESSOR)? {
            Some(successor) => successor,
            None => make(office, SUCCESSOR, by)?,
        };
        if responder.not_after > by.at + near && successor.not_after > responder.not_after {
            return Ok(responder);
        }
    }
    match stored(SUCCESSOR)? {
        Some(successor) if successor.not_after > by.at + near => promote(office, successor, by),
        _ => make(office, SETTING, by),
    }
}

/// The local responder as it stands, to sign with beside `serve`, which alone makes and replaces it.
///
/// # Errors
/// [`CaError`], see there.
pub(crate) fn signing<S: Store>(
    office: &Office<S>,
    now: UnixSeconds,
) -> Result<Option<Responder>, CaError> {
    stored(office, SETTING, now)
}

/// The responder kept under that name, if it is valid yet.
fn stored<S: Store>(
    office: &Office<S>,
    name: &'static str,
    now: UnixSeconds,
) -> Result<Option<Responder>, CaError> {
    let value = office.registry.wait(|store| store.setting(name))?;
    let Some((key_file, der)) = value.as_deref().and_then(parse) else {
        return Ok(None);
    };
    let key = office.keyring.signer(&key_file, ALGORITHM)?;
    let responder = Responder::new(key, der)?;
    Ok((responder.not_before <= now).then_some(responder))
}

/// From now on the successor signs.
fn promote<S: Store>(
    office: &Office<S>,
    successor: Responder,
    by: By<'_>,
) -> Result<Responder, CaError> {
    let value = office.registry.wait(|store| store.setting(SUCCESSOR))?;
    let value = value.unwrap_or_default();
    office
        .registry
        .wait(|store| store.set_setting(SETTING, &value, by))?;
    office
        .registry
        .wait(|store| store.set_setting(SUCCESSOR, "", by))?;
    export(office, FILE, &successor.certificate)?;
    let path = office.home.demo().join(SUCCESSOR_FILE);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(CaError::File { path, source });
        }
        _ => {}
    }
    tracing::warn!("the local responder's successor signs from now on");
    Ok(successor)
}

fn make<S: Store>(
    office: &Office<S>,
    setting: &'static str,
    by: By<'_>,
) -> Result<Responder, CaError> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|_| crate::key::KeyError::Random)?;
    let key_file = format!("local-responder-{}", hex(&random));
    let key = office.keyring.make(&key_file, ALGORITHM)?;
    let encode = || CaError::encode("local responder");
    let subject = NameParts {
        country: "CN",
        organisation: &office.settings.organisation,
        unit: "",
        common_name: "Hufu Local OCSP Responder",
    }
    .build()
    .map_err(encode())?;
    let not_before = prepare::start(by.at);
    let draft = Draft {
        public_key_der: key.public_key_der().to_vec(),
        not_before,
        not_after: not_before + LIFE_SECS,
        extensions: vec![
            extension::key_usage(KeyUsages::DigitalSignature, extension::Weight::Critical)
                .map_err(encode())?,
            extension::extended_key_usage(&[extension::KP_OCSP_SIGNING]).map_err(encode())?,
            extension::ocsp_nocheck().map_err(encode())?,
        ],
        subject,
        list: ListScope::Whole,
    };
    let name_der = draft.subject.to_der().map_err(encode())?;
    let signatory = Signatory {
        name_der: &name_der,
        algorithm: ALGORITHM,
        key_identifier: extension::key_identifier(key.public_key_der()).map_err(encode())?,
        not_after: draft.not_after,
        locations: None,
    };
    let prepared = prepare::prepare_root(ALGORITHM, &draft)?;
    let linted = checked(
        prepared,
        &signatory,
        Purpose::LocalResponder,
        "local responder",
    )?;
    let certificate = sign(&*key, &linted, "local responder")?;
    let value = format!("{key_file} {}", hex(&certificate));
    office
        .registry
        .wait(|store| store.set_setting(setting, &value, by))?;
    let file = if setting == SETTING {
        FILE
    } else {
        SUCCESSOR_FILE
    };
    export(office, file, &certificate)?;
    tracing::warn!(
        "new local responder for other authorities' CRLs; clients must trust it explicitly: {}",
        office.home.demo().join(file).display()
    );
    Responder::new(key, certificate)
}

fn export<S>(office: &Office<S>, file: &str, der: &[u8]) -> Result<(), CaError> {
    let certificate = Certificate::from_der(der).map_err(CaError::encode("local responder"))?;
    let pem = certificate
        .to_pem(der::pem::LineEnding::LF)
        .map_err(CaError::encode("local responder"))?;
    let path = office.home.demo().join(file);
    std::fs::create_dir_all(office.home.demo())
        .and_then(|()| durable::write(&path, pem.as_bytes(), Secrecy::Public, Existing::Replace))
        .map_err(|source| CaError::File { path, source })
}

/// `<key file> <certificate, hexadecimal>`.
fn parse(value: &str) -> Option<(String, Vec<u8>)> {
    let (key_file, digits) = value.split_once(' ')?;
    let pairs = digits.as_bytes().chunks_exact(2);
    let der = pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<Vec<_>>>()?;
    Some((key_file.to_owned(), der))
}

const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;
const SETTING: &str = "local_responder";
const FILE: &str = "local-responder.pem";
/// Long, because every client that trusts it was configured by hand.
const LIFE_SECS: UnixSeconds = 5 * 366 * 86_400;
const SUCCESSOR: &str = "local_responder_next";
const SUCCESSOR_FILE: &str = "local-responder-next.pem";
/// Clients get a month to learn of the next one.
const ANNOUNCE_BEFORE_SECS: UnixSeconds = 31 * 86_400;
