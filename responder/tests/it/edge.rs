//! An edge folder with generations in it, published as `hufu-loader` does. Signatures are invented: nobody here checks
//! them, only that the right one comes out.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hufu_loader::durable::FsDisk;
use hufu_loader::object::{DocumentKind, NewDocument, seal_document};
use hufu_loader::pack::{PackSpec, PackWriter, Responder, Scope, Shared, Variant, Window};
use hufu_loader::publish::{Edition, Publisher};
use hufu_loader::seal::SealKey;
use hufu_loader::store::Store;
use tempfile::TempDir;
use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::{CertIdForm, CertIdHash, IssuerId, Parameters, cert_id_prefix};
use wire::request::{build_request, build_request_preferring};
use wire::serial::{Serial, SerialHashKey, shard};
use wire::status::{CertStatus, RevocationReason};

/// A folder that a responder can serve from.
pub(crate) struct Edge {
    folder: TempDir,
    publisher: Publisher<'static>,
}

/// What a generation says.
pub(crate) struct Generation {
    pub(crate) records: Vec<(u64, CertStatus)>,
    /// What a delta says otherwise, if there is one.
    pub(crate) changed: Vec<(u64, CertStatus)>,
    /// Which of several deltas of one revision that is.
    pub(crate) piece: u64,
    /// What every record is signed with, the authority's own first, and what those of the delta are.
    pub(crate) algorithms: [Vec<SignatureAlgorithm>; 2],
    /// thisUpdate and nextUpdate, seconds from now.
    pub(crate) window: (i64, i64),
    /// thisUpdate of a window that begins at another time, seconds from now.
    pub(crate) another_window: Option<i64>,
    /// `valid_until`, seconds from now.
    pub(crate) valid_for: i64,
    /// Added to every signature, so that the same record looks different in another generation.
    pub(crate) signed_with: u8,
    pub(crate) crl: Vec<u8>,
    /// Its answers repeat another authority's CRL.
    pub(crate) foreign: bool,
    /// The registry revision it reaches.
    pub(crate) revision: u64,
}

impl Default for Generation {
    /// Serials 1000 to 1999; those that end in 7 are revoked.
    fn default() -> Self {
        Self {
            records: (1000..2000)
                .map(|serial| (serial, status_of(serial)))
                .collect(),
            changed: vec![],
            piece: 0,
            algorithms: [OWN, OWN].map(|own| vec![own]),
            window: (-60, 86_400),
            another_window: None,
            valid_for: 3_600,
            signed_with: 0,
            crl: b"a CRL".to_vec(),
            foreign: false,
            revision: 1,
        }
    }
}

pub(crate) const REVOKED_AT: u64 = 1_700_000_000;

pub(crate) fn status_of(serial: u64) -> CertStatus {
    if serial % 10 == 7 {
        CertStatus::Revoked {
            at: REVOKED_AT,
            reason: Some(RevocationReason::KeyCompromise),
        }
    } else {
        CertStatus::Good
    }
}

impl Edge {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let (_, key) = SealKey::generate().unwrap();
        Self::sealed_with(&key)
    }

    /// An empty one with this key to seal, which lies in `seal.key` beside the folder.
    pub(crate) fn sealed_with(octets: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SealKey::from_pkcs8(octets, folder.path()).unwrap();
        std::fs::write(folder.path().join("seal.key"), octets).unwrap();
        std::fs::write(
            folder.path().join("seal.pub"),
            format!("{}\n", key.public()),
        )
        .unwrap();
        let publisher =
            Publisher::open(&FsDisk, Store::at(folder.path().join("edge")), key, &[]).unwrap();
        Self { folder, publisher }
    }

    /// One with a default generation.
    pub(crate) fn filled() -> Self {
        let mut edge = Self::new();
        edge.publish(&Generation::default());
        edge
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("edge")
    }

    pub(crate) fn pin(&self) -> PathBuf {
        self.folder.path().join("seal.pub")
    }

    /// Publishes; the new generation's number.
    pub(crate) fn publish(&mut self, generation: &Generation) -> u64 {
        let now = now();
        let store = self.publisher.store().clone();
        let base = Scope::Base {
            shards: 1,
            shard: 0,
        };
        let pack = write_pack(&store.temp().join("pack"), generation, base, now);
        let delta = (!generation.changed.is_empty())
            .then(|| write_pack(&store.temp().join("delta"), generation, Scope::Delta, now));
        let document = |kind, name, expires: Option<i64>, octets| {
            let document = NewDocument {
                kind,
                name,
                issuer: ISSUER,
                last_modified: after(now, generation.window.0),
                expires: expires.map(|seconds| after(now, seconds)),
                octets,
            };
            seal_document(&FsDisk, &store, &document).unwrap()
        };
        let next_update = Some(generation.window.1);
        let crl = document(
            DocumentKind::Crl,
            "test.crl",
            next_update,
            &generation.crl[..],
        );
        let certificate = document(
            DocumentKind::Certificate,
            "test.cer",
            None,
            b"a certificate",
        );
        let message = document(DocumentKind::Certificate, "test.p7c", None, b"certificates");
        let edition = Edition {
            kept: vec![],
            added: [pack, crl, certificate, message]
                .into_iter()
                .chain(delta)
                .collect(),
            replayed: vec![],
            issuers: vec![],
            sealed_at: after(now, generation.valid_for.min(0) - 1),
            valid_for_secs: generation.valid_for.max(0) as u64 + 1,
        };
        self.publisher.publish(&edition).unwrap().number
    }
}

fn write_pack(
    path: &Path,
    generation: &Generation,
    scope: Scope,
    now: u64,
) -> hufu_loader::object::Sealed {
    let [of_base, of_delta] = &generation.algorithms;
    let (records, algorithms, later) = match scope {
        Scope::Base { .. } => (&generation.records, of_base, 0),
        Scope::Delta => (&generation.changed, of_delta, 1 + generation.piece),
    };
    let mut records: Vec<_> = records
        .iter()
        .map(|(number, status)| (serial(*number), *number, *status))
        .collect();
    records.sort_by_key(|(serial, ..)| (shard(HASH_KEY.hash(serial.content()), 1).1, *serial));
    let spec = PackSpec {
        issuer: ISSUER,
        hash_key: HASH_KEY,
        scope,
        revision: generation.revision + later.min(1),
        batch: 1 + later,
        created_at: now,
        as_of: None,
        crl_blake3: generation.foreign.then_some([5; 32]),
        records_about: records.len() as u64,
        serial_octets: 8,
        shared: shared(generation, algorithms, now),
    };
    let mut writer = PackWriter::create(&FsDisk, path, &spec).unwrap();
    for (serial, number, status) in records {
        let signatures: Vec<_> = (0..2 * algorithms.len() as u8)
            .map(|variant| signature(number, variant, generation.signed_with))
            .collect();
        let signatures: Vec<&[u8]> = signatures.iter().map(|octets| &octets[..]).collect();
        writer.push(&serial, status, 0, &signatures).unwrap();
    }
    writer.finish().unwrap()
}

fn shared(generation: &Generation, algorithms: &[SignatureAlgorithm], now: u64) -> Shared {
    let window = |begins| Window {
        this_update: after(now, begins),
        next_update: after(now, generation.window.1),
        produced_at: after(now, begins),
        group: 0,
    };
    let begins = [Some(generation.window.0), generation.another_window];
    Shared {
        issuer_certificate: b"\x30\x03\x02\x01\x01".to_vec(),
        variants: (0..)
            .zip(algorithms)
            .flat_map(|(slot, &algorithm)| {
                [CertIdHash::Sha1, CertIdHash::Sha256].map(|hash| Variant {
                    form: CertIdForm::new(hash, Parameters::Null),
                    slot,
                    algorithm,
                    prefix: prefix(hash),
                })
            })
            .collect(),
        responders: (9..)
            .zip(algorithms)
            .map(|(key, &algorithm)| Responder {
                algorithm,
                key_hash: [key; 20],
                not_before: 0,
                not_after: now + 10 * 86_400,
                certs: vec![],
            })
            .collect(),
        slots: algorithms.len() as u16,
        windows: begins.into_iter().flatten().map(window).collect(),
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn after(now: u64, seconds: i64) -> u64 {
    now.saturating_add_signed(seconds)
}

pub(crate) fn serial(number: u64) -> Serial {
    Serial::from_unsigned(&number.to_be_bytes()).unwrap()
}

/// 64 octets, as P-256 and Ed25519 have, that name record, variant and generation.
pub(crate) fn signature(number: u64, variant: u8, signed_with: u8) -> [u8; 64] {
    let mut octets = [0x11; 64];
    octets[0] = 0x40 + variant;
    octets[1] = signed_with;
    octets[2..8].copy_from_slice(&number.to_be_bytes()[2..]);
    octets
}

/// The octets of a CertID before the serial.
pub(crate) fn prefix(hash: CertIdHash) -> Vec<u8> {
    let octets = hash.octets();
    cert_id_prefix(
        CertIdForm::new(hash, Parameters::Null),
        &vec![1; octets],
        &vec![2; octets],
    )
    .unwrap()
}

/// A request about a serial.
pub(crate) fn request(number: u64) -> Vec<u8> {
    build_request(&prefix(CertIdHash::Sha1), serial(number).content(), None)
}

/// A request about a serial by a client that likes these, the best first.
pub(crate) fn request_preferring(number: u64, algorithms: &[SignatureAlgorithm]) -> Vec<u8> {
    let prefix = prefix(CertIdHash::Sha1);
    build_request_preferring(&prefix, serial(number).content(), None, algorithms)
}

const OWN: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;
pub(crate) const ISSUER: IssuerId = IssuerId([7; 16]);
const HASH_KEY: SerialHashKey = SerialHashKey([3; 16]);
