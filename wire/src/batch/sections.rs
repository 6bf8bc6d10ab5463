//! The sections of a batch's header: variants, responders, windows, documents; each reader beside its writer.

use alloc::vec::Vec;

use super::MAX_WINDOWS;
use super::header::{Document, DocumentKind, Header, ListNote, Responder, Variant, Window};
use super::input::Input;
use crate::algorithm::SignatureAlgorithm;
use crate::cert_id::CertIdForm;
use crate::record::MAX_VARIANTS;
use crate::serial::Serial;
use crate::{DecodeError, Rule};

impl Header {
    pub(super) fn put_variants(&self, out: &mut Vec<u8>) -> Result<(), Rule> {
        put_u16(out, self.variants.len())?;
        for variant in &self.variants {
            out.extend_from_slice(&[variant.form.code(), variant.algorithm.code()]);
            out.extend_from_slice(&variant.slot.to_le_bytes());
            for hash in [&variant.name_hash, &variant.key_hash] {
                out.push(u8::try_from(hash.len()).map_err(range)?);
                out.extend_from_slice(hash);
            }
        }
        Ok(())
    }

    pub(super) fn put_responders(&self, out: &mut Vec<u8>) -> Result<(), Rule> {
        out.extend_from_slice(&self.slots.to_le_bytes());
        put_u16(out, self.groups())?;
        for responder in &self.responders {
            out.push(responder.algorithm.code());
            out.extend_from_slice(&responder.key_hash);
            out.extend_from_slice(&responder.not_before.to_le_bytes());
            out.extend_from_slice(&responder.not_after.to_le_bytes());
            put_u32(out, responder.certificate.len())?;
            out.extend_from_slice(&responder.certificate);
        }
        Ok(())
    }

    pub(super) fn put_windows(&self, out: &mut Vec<u8>) -> Result<(), Rule> {
        put_u32(out, self.windows.len())?;
        for window in &self.windows {
            out.extend_from_slice(&window.this_update.to_le_bytes());
            out.extend_from_slice(&window.next_update.to_le_bytes());
            out.extend_from_slice(&window.produced_at.to_le_bytes());
            out.extend_from_slice(&window.group.to_le_bytes());
        }
        Ok(())
    }

    pub(super) fn put_documents(&self, out: &mut Vec<u8>) -> Result<(), Rule> {
        put_u16(out, self.documents.len())?;
        for document in &self.documents {
            out.push(match document.list {
                None => document.kind.code(),
                Some(_) => NOTED_LIST,
            });
            put_u16(out, document.name.len())?;
            out.extend_from_slice(document.name.as_bytes());
            if let Some(note) = &document.list {
                out.extend_from_slice(&note.revision.to_le_bytes());
                put_u32(out, note.expired.len())?;
                for serial in &note.expired {
                    let content = serial.content();
                    out.push(u8::try_from(content.len()).map_err(range)?);
                    out.extend_from_slice(content);
                }
            }
            put_u32(out, document.octets.len())?;
            out.extend_from_slice(&document.octets);
        }
        Ok(())
    }
}

pub(super) fn read_variants(mut input: Input<'_>) -> Result<Vec<Variant>, DecodeError> {
    let count = usize::from(input.u16()?);
    if count > MAX_VARIANTS {
        return Err(input.error(Rule::FieldRange));
    }
    let mut variants = Vec::new();
    for _ in 0..count {
        let at = input.offset;
        let [form, algorithm] = input.array()?;
        let slot = input.u16()?;
        let length = input.u8()?;
        let name_hash = Vec::from(input.take(length.into())?);
        let length = input.u8()?;
        let key_hash = Vec::from(input.take(length.into())?);
        variants.push(Variant {
            form: CertIdForm::from_code(form).ok_or(Rule::CodeUnknown.at(at))?,
            algorithm: SignatureAlgorithm::from_code(algorithm)
                .ok_or(Rule::CodeUnknown.at(at + 1))?,
            slot,
            name_hash,
            key_hash,
        });
    }
    input.finish()?;
    Ok(variants)
}

pub(super) fn read_responders(mut input: Input<'_>) -> Result<(u16, Vec<Responder>), DecodeError> {
    let slots = input.u16()?;
    let groups = input.u16()?;
    // Nothing is reserved ahead: the count is the file's word, the octets are its proof.
    let mut responders = Vec::new();
    for _ in 0..u32::from(slots) * u32::from(groups) {
        let at = input.offset;
        let algorithm = input.u8()?;
        let key_hash = input.array()?;
        let not_before = input.u64()?;
        let not_after = input.u64()?;
        let length = input.length()?;
        responders.push(Responder {
            algorithm: SignatureAlgorithm::from_code(algorithm).ok_or(Rule::CodeUnknown.at(at))?,
            key_hash,
            not_before,
            not_after,
            certificate: Vec::from(input.take(length)?),
        });
    }
    if slots == 0 && groups != 0 {
        return Err(input.error(Rule::FieldRange));
    }
    input.finish()?;
    Ok((slots, responders))
}

pub(super) fn read_windows(mut input: Input<'_>) -> Result<Vec<Window>, DecodeError> {
    let count = input.length()?;
    if count > MAX_WINDOWS {
        return Err(input.error(Rule::FieldRange));
    }
    let mut windows = Vec::new();
    for _ in 0..count {
        windows.push(Window {
            this_update: input.u64()?,
            next_update: input.u64()?,
            produced_at: input.u64()?,
            group: input.u16()?,
        });
    }
    input.finish()?;
    Ok(windows)
}

pub(super) fn read_documents(mut input: Input<'_>) -> Result<Vec<Document>, DecodeError> {
    let count = input.u16()?;
    let mut documents = Vec::new();
    for _ in 0..count {
        let at = input.offset;
        let code = input.u8()?;
        let kind = match code {
            1 | NOTED_LIST => DocumentKind::Crl,
            2 => DocumentKind::IssuerCertificate,
            3 => DocumentKind::OtherCertificate,
            5 => DocumentKind::CertificateBundle,
            _ => return Err(Rule::CodeUnknown.at(at)),
        };
        let length = input.u16()?;
        let name = core::str::from_utf8(input.take(length.into())?)
            .map_err(|_| Rule::NotUtf8.at(at))?
            .into();
        let list = match code {
            NOTED_LIST => Some(read_list_note(&mut input)?),
            _ => None,
        };
        let length = input.length()?;
        documents.push(Document {
            kind,
            name,
            octets: Vec::from(input.take(length)?),
            list,
        });
    }
    input.finish()?;
    Ok(documents)
}

fn read_list_note(input: &mut Input<'_>) -> Result<ListNote, DecodeError> {
    let revision = input.u64()?;
    let count = input.u32()?;
    // Nothing is reserved ahead, as above; and each is longer in memory than in the file, so that short ones that repeat
    // are refused before they are held.
    let mut expired: Vec<Serial> = Vec::new();
    for _ in 0..count {
        let at = input.offset;
        let length = input.u8()?;
        let serial =
            Serial::from_content(input.take(length.into())?).map_err(|rule| rule.at(at))?;
        if expired.last().is_some_and(|last| *last >= serial) {
            return Err(Rule::FieldRange.at(at));
        }
        expired.push(serial);
    }
    Ok(ListNote { revision, expired })
}

/// The code of a list with its note; those without are of the first edition, or other authorities'.
const NOTED_LIST: u8 = 4;

impl DocumentKind {
    const fn code(self) -> u8 {
        match self {
            Self::Crl => 1,
            Self::IssuerCertificate => 2,
            Self::OtherCertificate => 3,
            Self::CertificateBundle => 5,
        }
    }
}

fn put_u16(out: &mut Vec<u8>, number: usize) -> Result<(), Rule> {
    out.extend_from_slice(&u16::try_from(number).map_err(range)?.to_le_bytes());
    Ok(())
}

fn put_u32(out: &mut Vec<u8>, number: usize) -> Result<(), Rule> {
    out.extend_from_slice(&u32::try_from(number).map_err(range)?.to_le_bytes());
    Ok(())
}

pub(super) fn range(_: core::num::TryFromIntError) -> Rule {
    Rule::FieldRange
}
