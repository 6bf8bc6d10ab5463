//! Founding: two roots with one issuing authority each, ECDSA P-256 and SM2.
//!
//! Each step looks first whether it was done, so that a founding killed anywhere is finished by the next call: a key
//! without a certificate is used, a reserved certificate is signed, a signed one becomes its authority.

use super::issue::Issuing;
use super::lint::{Purpose, Signatory};
use super::name::NameParts;
use super::prepare::{self, Draft};
use super::sign::{checked, sign};
use super::{CaError, Issuer, extension};
use crate::key::Signer;
use crate::office::Office;
use crate::registry::{
    By, CertificateFilter, CertificateKind, Issued, IssuerId, ListScope, NewAuthority, Reservation,
    Store,
};
use aws_lc_rs::digest;
use der::Decode;
use wire::algorithm::SignatureAlgorithm;
use x509_cert::Certificate;
use x509_cert::name::Name;

/// One chain that is founded.
struct Chain {
    alias: &'static str,
    root_alias: &'static str,
    algorithm: SignatureAlgorithm,
    title: &'static str,
}

const CHAINS: [Chain; 2] = [
    Chain {
        alias: "p256",
        root_alias: "p256-root",
        algorithm: SignatureAlgorithm::EcdsaP256Sha256,
        title: "P-256",
    },
    Chain {
        alias: "sm2",
        root_alias: "sm2-root",
        algorithm: SignatureAlgorithm::Sm2Sm3,
        title: "SM2",
    },
];

/// Founds what is not yet founded; answers all authorities, parents before children.
///
/// # Errors
/// [`CaError::Founded`] if nothing was left to do; [`CaError::PublicUrl`] if the URL cannot stand in certificates.
pub fn found<S: Store>(
    office: &Office<S>,
    public_url: &str,
    by: By<'_>,
) -> Result<Vec<Issuer>, CaError> {
    check_url(public_url)?;
    if office
        .registry
        .wait(|store| store.setting(FOUNDED_AT))?
        .is_some()
    {
        return Err(CaError::Founded);
    }
    let held = Issuing::wait(&office.home)?;
    for chain in &CHAINS {
        let root = root(office, chain, public_url, by)?;
        issuing(office, &held, chain, &root, public_url, by)?;
    }
    // The loader pins its public half before anything is signed.
    office.keyring.batch_key()?;
    office
        .registry
        .wait(|store| store.set_setting(PUBLIC_URL, public_url, by))?;
    let founded_at = by.at.to_string();
    office
        .registry
        .wait(|store| store.set_setting(FOUNDED_AT, &founded_at, by))?;
    office.issuers()
}

/// Whether founding has been finished.
///
/// # Errors
/// [`CaError::Registry`].
pub fn is_founded<S: Store>(office: &Office<S>) -> Result<bool, CaError> {
    Ok(office
        .registry
        .wait(|store| store.setting(FOUNDED_AT))?
        .is_some())
}

fn root<S: Store>(
    office: &Office<S>,
    chain: &Chain,
    public_url: &str,
    by: By<'_>,
) -> Result<Issuer, CaError> {
    if let Some(row) = office
        .registry
        .wait(|store| store.authority(chain.root_alias))?
    {
        return Issuer::from_row(row);
    }
    let key = key(office, chain.root_alias, chain.algorithm)?;
    let title = format!("Hufu Demo Root CA {}", chain.title);
    let draft = Draft {
        subject: subject(office, &title)?,
        public_key_der: key.public_key_der().to_vec(),
        not_before: prepare::start(by.at),
        not_after: prepare::start(by.at) + ROOT_SECS,
        // One issuing authority below, none below that: the root itself need not repeat the limit.
        extensions: prepare::authority_extensions(1)?,
        list: ListScope::Whole,
    };
    let prepared = prepare::prepare_root(chain.algorithm, &draft)?;
    let name_der = prepare::name_der(&draft.subject)?;
    let signatory = Signatory {
        name_der: &name_der,
        algorithm: chain.algorithm,
        key_identifier: extension::key_identifier(key.public_key_der())
            .map_err(CaError::encode("public key"))?,
        not_after: draft.not_after,
        locations: None,
    };
    let linted = checked(prepared, &signatory, Purpose::Root, chain.root_alias)?;
    let certificate = sign(&*key, &linted, chain.root_alias)?;
    add(
        office,
        (chain.root_alias, None),
        chain.algorithm,
        certificate,
        public_url,
        by,
    )
}

fn issuing<S: Store>(
    office: &Office<S>,
    held: &Issuing,
    chain: &Chain,
    root: &Issuer,
    public_url: &str,
    by: By<'_>,
) -> Result<Issuer, CaError> {
    if let Some(row) = office.registry.wait(|store| store.authority(chain.alias))? {
        return Issuer::from_row(row);
    }
    let certificate = match certified(office, held, chain, root, by)? {
        Some(certificate) => certificate,
        None => certify_issuing(office, chain, root, by)?,
    };
    add(
        office,
        (chain.alias, Some(chain.root_alias)),
        chain.algorithm,
        certificate,
        public_url,
        by,
    )
}

/// What a founding that was killed between signing and recording the authority left.
fn certified<S: Store>(
    office: &Office<S>,
    held: &Issuing,
    chain: &Chain,
    root: &Issuer,
    by: By<'_>,
) -> Result<Option<Vec<u8>>, CaError> {
    let _ = super::issue::resume(office, held, root, by)?;
    let filter = CertificateFilter {
        alias: Some(chain.root_alias.to_owned()),
        kind: Some(CertificateKind::Authority),
        ..CertificateFilter::default()
    };
    let rows = office.registry.wait(|store| store.certificates(&filter))?;
    Ok(rows.into_iter().find_map(|row| row.certificate))
}

fn certify_issuing<S: Store>(
    office: &Office<S>,
    chain: &Chain,
    root: &Issuer,
    by: By<'_>,
) -> Result<Vec<u8>, CaError> {
    let key = key(office, chain.alias, chain.algorithm)?;
    let title = format!("Hufu Demo Issuing CA {}", chain.title);
    let mut extensions = prepare::authority_extensions(0)?;
    extensions
        .push(extension::policies(&[extension::ANY_POLICY]).map_err(CaError::encode("policies"))?);
    extensions.extend(prepare::location_extensions(root, ListScope::Whole)?);
    let draft = Draft {
        subject: subject(office, &title)?,
        public_key_der: key.public_key_der().to_vec(),
        not_before: prepare::start(by.at),
        not_after: prepare::start(by.at) + ISSUING_SECS,
        extensions,
        list: ListScope::Whole,
    };
    let prepared = prepare::prepare(root, &draft)?;
    let linted = checked(
        prepared,
        &Signatory::from(root),
        Purpose::Authority,
        chain.alias,
    )?;
    let reservation = Reservation {
        authority: root.id(),
        serial: linted.serial(),
        item: None,
        kind: CertificateKind::Authority,
        tbs: linted.tbs().to_vec(),
        not_before: linted.not_before(),
        not_after: linted.not_after(),
        key_file: Some(chain.alias.to_owned()),
        crl_partition: linted.partition(),
    };
    let reservations = [reservation];
    let ids = office
        .registry
        .wait(|store| store.reserve(&reservations, by))?;
    let certificate = sign(&*root.open_key(&office.keyring)?, &linted, chain.alias)?;
    let issued: Vec<Issued> = ids
        .into_iter()
        .map(|id| Issued {
            id,
            certificate: certificate.clone(),
        })
        .collect();
    office
        .registry
        .wait(|store| store.record_issued(&issued, by))?;
    Ok(certificate)
}

fn add<S: Store>(
    office: &Office<S>,
    (alias, parent): (&str, Option<&str>),
    algorithm: SignatureAlgorithm,
    certificate: Vec<u8>,
    public_url: &str,
    by: By<'_>,
) -> Result<Issuer, CaError> {
    let mut hash_key = [0; 16];
    getrandom::fill(&mut hash_key).map_err(|_| crate::key::KeyError::Random)?;
    let authority = NewAuthority {
        alias: alias.to_owned(),
        parent: parent.map(str::to_owned),
        algorithm: algorithm.code(),
        issuer_id: issuer_id(&certificate).map_err(CaError::encode("authority certificate"))?,
        certificate,
        key_file: alias.to_owned(),
        hash_key,
        shards: office.settings.shards.max(1),
        public_url: public_url.to_owned(),
    };
    office
        .registry
        .wait(|store| store.add_authority(&authority, by))?;
    office.issuer(alias)
}

/// First 16 octets of SHA-256(subject Name DER ‖ SubjectPublicKeyInfo DER): "issuer name and key".
///
/// # Errors
/// If the octets are no certificate.
pub fn issuer_id(certificate: &[u8]) -> der::Result<IssuerId> {
    use der::Encode;
    let certificate = Certificate::from_der(certificate)?;
    let tbs = certificate.tbs_certificate();
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&tbs.subject().to_der()?);
    context.update(&tbs.subject_public_key_info().to_der()?);
    let mut id = [0; 16];
    id.copy_from_slice(
        context
            .finish()
            .as_ref()
            .get(..16)
            .expect("SHA-256 has 32 octets"),
    );
    Ok(id)
}

/// A key of that name, made now or by a founding that was killed.
fn key<S: Store>(
    office: &Office<S>,
    name: &str,
    algorithm: SignatureAlgorithm,
) -> Result<Box<dyn Signer>, CaError> {
    if office.keyring.holds(name) {
        return Ok(office.keyring.signer(name, algorithm)?);
    }
    Ok(office.keyring.make(name, algorithm)?)
}

fn subject<S: Store>(office: &Office<S>, common_name: &str) -> Result<Name, CaError> {
    NameParts {
        country: "CN",
        organisation: &office.settings.organisation,
        unit: "",
        common_name,
    }
    .build()
    .map_err(CaError::encode("name"))
}

/// URLs stand in certificates as `IA5String` and are dereferenced by machines for years.
fn check_url(url: &str) -> Result<(), CaError> {
    let host = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let fine = host.is_some_and(|rest| !rest.trim_end_matches('/').is_empty())
        && url.bytes().all(|octet| octet.is_ascii_graphic());
    if fine {
        Ok(())
    } else {
        Err(CaError::PublicUrl(url.to_owned()))
    }
}

const ROOT_SECS: u64 = 20 * 366 * 86_400;
const ISSUING_SECS: u64 = 10 * 366 * 86_400;

/// Setting: what AIA and CRLDP begin with.
pub const PUBLIC_URL: &str = "public_url";
/// Setting: when founding was finished.
pub const FOUNDED_AT: &str = "founded_at";
