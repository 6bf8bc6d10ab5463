//! OCSP requests and responses by a second reading of RFC 6960. It shares no code with `wire`: octets that both agree
//! on were written down twice.

use ring::digest;
use sm3::Digest as _;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::der::{Element, element, elements, generalized_time, sequence};

/// A certificate, and what a CertID needs of it, both as subject and as issuer.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate itself.
    pub der: Vec<u8>,
    /// Its subject's Name, whole.
    pub subject: Vec<u8>,
    /// The content of its public key's BIT STRING, without the count of unused bits.
    pub key: Vec<u8>,
    /// Its serial number's INTEGER content.
    pub serial: Vec<u8>,
}

impl Certificate {
    /// Reads one.
    ///
    /// # Panics
    /// If `x509-parser` cannot.
    #[must_use]
    pub fn read(der: &[u8]) -> Self {
        let (_, parsed) = X509Certificate::from_der(der).expect("a certificate");
        Self {
            der: der.to_vec(),
            subject: parsed.subject().as_raw().to_vec(),
            key: parsed.public_key().subject_public_key.data.to_vec(),
            serial: parsed.raw_serial().to_vec(),
        }
    }

    /// Reads one from a PEM file.
    ///
    /// # Panics
    /// If the file holds none.
    #[must_use]
    pub fn open(path: &std::path::Path) -> Self {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::read(&crate::der::pem(&text, "CERTIFICATE"))
    }
}

/// The hash of a CertID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// 1.3.14.3.2.26
    Sha1,
    /// 2.16.840.1.101.3.4.2.1
    Sha256,
    /// 2.16.840.1.101.3.4.2.3
    Sha512,
    /// 1.2.156.10197.1.401
    Sm3,
}

impl Hash {
    fn oid(self) -> &'static [u8] {
        match self {
            Self::Sha1 => &[0x06, 0x05, 0x2B, 0x0E, 0x03, 0x02, 0x1A],
            Self::Sha256 => &[
                0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
            ],
            Self::Sha512 => &[
                0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03,
            ],
            Self::Sm3 => &[0x06, 0x08, 0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x83, 0x11],
        }
    }

    fn of(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets)
                .as_ref()
                .to_vec(),
            Self::Sha256 => digest::digest(&digest::SHA256, octets).as_ref().to_vec(),
            Self::Sha512 => digest::digest(&digest::SHA512, octets).as_ref().to_vec(),
            Self::Sm3 => sm3::Sm3::digest(octets).to_vec(),
        }
    }
}

/// How the hash's parameters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameters {
    /// As NULL.
    Null,
    /// Not at all.
    Absent,
}

/// A CertID: this issuer's certificate with this serial (INTEGER content).
#[must_use]
pub fn cert_id(hash: Hash, parameters: Parameters, issuer: &Certificate, serial: &[u8]) -> Vec<u8> {
    let algorithm = match parameters {
        Parameters::Null => sequence(&[hash.oid(), &[0x05, 0x00]]),
        Parameters::Absent => sequence(&[hash.oid()]),
    };
    let name = element(0x04, &hash.of(&issuer.subject));
    let key = element(0x04, &hash.of(&issuer.key));
    sequence(&[&algorithm, &name, &key, &element(0x02, serial)])
}

/// An unsigned OCSPRequest for these CertIDs, with a nonce of these octets if any.
#[must_use]
pub fn request(cert_ids: &[&[u8]], nonce: Option<&[u8]>) -> Vec<u8> {
    let list: Vec<u8> = cert_ids.iter().flat_map(|id| element(0x30, id)).collect();
    let mut tbs = element(0x30, &list);
    if let Some(nonce) = nonce {
        let oid = [
            0x06, 0x09, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02,
        ];
        let value = element(0x04, &element(0x04, nonce));
        tbs.extend(element(0xA2, &sequence(&[&sequence(&[&oid, &value])])));
    }
    sequence(&[&element(0x30, &tbs)])
}

/// What an answer says about one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked at that Unix second, for that reason if one is given.
    Revoked(u64, Option<u8>),
    /// The responder does not know it.
    Unknown,
}

/// One SingleResponse.
#[derive(Debug, Clone)]
pub struct Single {
    /// The CertID as it stands in the answer.
    pub cert_id: Vec<u8>,
    /// What is said.
    pub status: Status,
    /// Unix seconds.
    pub this_update: u64,
    /// Unix seconds.
    pub next_update: Option<u64>,
}

/// A BasicOCSPResponse, whole and in parts.
#[derive(Debug, Clone)]
pub struct Basic {
    /// ResponseData, whole: what is signed.
    pub tbs: Vec<u8>,
    /// The signature's AlgorithmIdentifier, whole.
    pub algorithm: Vec<u8>,
    /// The signature: the BIT STRING's octets.
    pub signature: Vec<u8>,
    /// The embedded certificates.
    pub certificates: Vec<Vec<u8>>,
    /// The responder by its key's SHA-1, if it is named so.
    pub key_hash: Option<Vec<u8>>,
    /// Unix seconds.
    pub produced_at: u64,
    /// In the order of the request.
    pub singles: Vec<Single>,
    /// responseExtensions: identifier and value, none of them critical.
    pub extensions: Vec<(Vec<u8>, Vec<u8>)>,
}

/// An OCSPResponse.
#[derive(Debug, Clone)]
pub enum Answer {
    /// `successful`
    Signed(Basic),
    /// Any other responseStatus: 1 malformedRequest, 2 internalError, 3 tryLater, 5 sigRequired, 6 unauthorized.
    Refused(u8),
}

impl Answer {
    /// Reads one; `rasn-ocsp` must be able to as well.
    ///
    /// # Panics
    /// If it is not an OCSPResponse.
    #[must_use]
    #[track_caller]
    pub fn read(octets: &[u8]) -> Self {
        let judged: rasn_ocsp::OcspResponse =
            rasn::der::decode(octets).expect("rasn-ocsp reads it");
        let mut response = Element::only(octets).inside();
        let status = response.next().expect("responseStatus").content[0];
        assert_eq!(judged.status as u8, status);
        let Some(bytes) = response.next_if(0xA0) else {
            return Self::Refused(status);
        };
        assert_eq!(status, 0, "responseBytes beside an error");
        let mut bytes = Element::only(bytes.content).inside();
        let basic_oid = [0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
        assert_eq!(bytes.next().expect("responseType").content, basic_oid);
        Self::Signed(Basic::read(bytes.next().expect("response").content))
    }

    /// The signed answer about one certificate.
    ///
    /// # Panics
    /// If there is none, or about several.
    #[must_use]
    #[track_caller]
    pub fn single(&self) -> &Single {
        match self {
            Self::Signed(basic) if basic.singles.len() == 1 => &basic.singles[0],
            other => panic!("not one signed answer: {other:?}"),
        }
    }
}

impl Basic {
    /// The nonce in it.
    ///
    /// # Panics
    /// If it is not an OCTET STRING.
    #[must_use]
    pub fn nonce(&self) -> Option<Vec<u8>> {
        let (_, value) = self.extensions.iter().find(|(oid, _)| oid == NONCE)?;
        Some(Element::only(value).content.to_vec())
    }

    fn read(octets: &[u8]) -> Self {
        let mut basic = Element::only(octets).inside();
        let tbs = basic.next().expect("tbsResponseData");
        let algorithm = basic.next().expect("signatureAlgorithm").whole.to_vec();
        let bits = basic.next().expect("signature").content;
        assert_eq!(bits[0], 0, "unused bits in a signature");
        let certificates = basic
            .next_if(0xA0)
            .map(|list| {
                Element::only(list.content)
                    .inside()
                    .map(|certificate| certificate.whole.to_vec())
                    .collect()
            })
            .unwrap_or_default();

        let mut data = tbs.inside();
        assert!(
            data.next_if(0xA0).is_none(),
            "the default version is written out"
        );
        let responder = data.next().expect("responderID");
        let key_hash =
            (responder.tag == 0xA2).then(|| Element::only(responder.content).content.to_vec());
        let produced_at = generalized_time(data.next().expect("producedAt").content);
        let singles = data
            .next()
            .expect("responses")
            .inside()
            .map(|single| Single::read(single.content))
            .collect();
        let extensions = data
            .next_if(0xA1)
            .map(|list| read_extensions(list.content))
            .unwrap_or_default();
        Self {
            tbs: tbs.whole.to_vec(),
            algorithm,
            signature: bits[1..].to_vec(),
            certificates,
            key_hash,
            produced_at,
            singles,
            extensions,
        }
    }
}

impl Single {
    fn read(content: &[u8]) -> Self {
        let mut parts = elements(content);
        let cert_id = parts.next().expect("certID").whole.to_vec();
        let said = parts.next().expect("certStatus");
        let status = match said.tag {
            0x80 => Status::Good,
            0xA1 => {
                let mut revoked = said.inside();
                let at = generalized_time(revoked.next().expect("revocationTime").content);
                Status::Revoked(
                    at,
                    revoked
                        .next()
                        .map(|reason| Element::only(reason.content).content[0]),
                )
            }
            0x82 => Status::Unknown,
            other => panic!("certStatus with tag {other:#04x}"),
        };
        let this_update = generalized_time(parts.next().expect("thisUpdate").content);
        let next_update = parts
            .next_if(0xA0)
            .map(|next| generalized_time(Element::only(next.content).content));
        Self {
            cert_id,
            status,
            this_update,
            next_update,
        }
    }
}

/// 1.3.6.1.5.5.7.48.1.2
const NONCE: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];

/// Identifiers and values; a critical one would be read as having a BOOLEAN for its value, and fail.
fn read_extensions(content: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let list = Element::only(content).inside();
    list.map(|extension| {
        let mut parts = extension.inside();
        let oid = parts.next().expect("extnID").content.to_vec();
        let value = parts.next().expect("extnValue");
        assert_eq!(value.tag, 0x04, "a critical extension");
        (oid, value.content.to_vec())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::openssl;

    /// The rig must ask as stock clients ask, octet for octet, or its answers prove nothing.
    #[test]
    fn a_request_is_written_as_openssl_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let make = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=Someone",
            "-keyout",
            "key.pem",
            "-out",
            "issuer.pem",
        ];
        let _ = openssl(folder.path(), make).ok();
        let issuer = Certificate::open(&folder.path().join("issuer.pem"));
        for (digest, hash) in [
            ("-sha1", Hash::Sha1),
            ("-sha256", Hash::Sha256),
            ("-sm3", Hash::Sm3),
        ] {
            let ask = [
                "ocsp",
                "-issuer",
                "issuer.pem",
                digest,
                "-serial",
                "0x00C0FFEE",
                "-no_nonce",
                "-reqout",
                "request.der",
            ];
            let _ = openssl(folder.path(), ask).ok();
            let theirs = std::fs::read(folder.path().join("request.der")).unwrap();
            let id = cert_id(hash, Parameters::Null, &issuer, &[0x00, 0xC0, 0xFF, 0xEE]);
            assert_eq!(request(&[&id], None), theirs, "{digest}");
        }
    }
}
