//! Between raw signatures and X.509: lends an issuer to x509-cert's builder, and puts signed octets together.
//!
//! The builder needs the issuer's algorithm and public key, never its private key: what is to be signed is stored before
//! anything is signed, so signing is our own later step. ECDSA and SM2 signatures are wrapped into
//! `SEQUENCE { r INTEGER, s INTEGER }` here (the sm2 crate's signature type would put raw r‖s into the certificate, which no
//! verifier reads).

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Document, Encode, Header, Reader, SliceReader, Tag};
use signature::Keypair;
use spki::{AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey};
use wire::algorithm::{SignatureAlgorithm, ecdsa_der_from_raw};

/// An issuer as the certificate builder wants it.
pub struct IssuerFace<'a> {
    /// What it signs with.
    pub algorithm: SignatureAlgorithm,
    /// Its `SubjectPublicKeyInfo`, DER.
    pub public_key_der: &'a [u8],
}

/// The issuer's public key, for the builder.
#[derive(Clone)]
pub struct PublicKey(Vec<u8>);

impl Keypair for IssuerFace<'_> {
    type VerifyingKey = PublicKey;

    fn verifying_key(&self) -> PublicKey {
        PublicKey(self.public_key_der.to_vec())
    }
}

impl EncodePublicKey for PublicKey {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        Ok(Document::try_from(self.0.as_slice())?)
    }
}

impl DynSignatureAlgorithmIdentifier for IssuerFace<'_> {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        Ok(AlgorithmIdentifierOwned::from_der(
            self.algorithm.identifier(),
        )?)
    }
}

/// The signature octets of a certificate, CRL or response for a raw signature of ours.
#[must_use]
pub fn encode_signature(algorithm: SignatureAlgorithm, raw: &[u8]) -> Vec<u8> {
    if !algorithm.is_ecdsa_shaped() {
        return raw.to_vec();
    }
    // SEQUENCE header, and two INTEGERs with a header and a leading zero each.
    let mut out = vec![0; raw.len() + 16];
    let used = ecdsa_der_from_raw(raw, &mut out)
        .expect("the buffer fits and halves are at most 66 octets");
    out.truncate(used);
    out
}

/// `SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING }`: a certificate or a CSR from its parts.
///
/// # Errors
/// If the parts are longer than DER can say.
pub fn assemble(tbs: &[u8], algorithm: SignatureAlgorithm, raw: &[u8]) -> der::Result<Vec<u8>> {
    let signature = encode_signature(algorithm, raw);
    let mut body = Vec::with_capacity(tbs.len() + signature.len() + 32);
    body.extend_from_slice(tbs);
    body.extend_from_slice(algorithm.identifier());
    BitStringRef::from_bytes(&signature)?.encode_to_vec(&mut body)?;
    AnyRef::new(Tag::Sequence, &body)?.to_der()
}

/// The parts of `SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING }`: tbs and algorithm as whole TLVs, the signature's octets.
///
/// # Errors
/// If the octets are not of that shape.
pub fn split(signed: &[u8]) -> der::Result<(&[u8], &[u8], &[u8])> {
    let mut outer = SliceReader::new(signed)?;
    let header = Header::decode(&mut outer)?;
    header.tag().assert_eq(Tag::Sequence)?;
    let tbs = outer.tlv_bytes()?;
    let algorithm = outer.tlv_bytes()?;
    let signature = BitStringRef::decode(&mut outer)?;
    outer.finish()?;
    let octets = signature.as_bytes().ok_or(der::ErrorKind::Value {
        tag: Tag::BitString,
    })?;
    Ok((tbs, algorithm, octets))
}
