//! What the responses of a pack share (issuer, variants, responders, windows), and its octets at the front of the file:
//! `Shared::encode` writes what `Tables::parse` reads.

use wire::algorithm::SignatureAlgorithm;
pub use wire::batch::Window;
use wire::cert_id::CertIdForm;
#[cfg(feature = "publish")]
use wire::cert_id::cert_id_prefix;
#[cfg(feature = "publish")]
use wire::der::{push_tlv, tag};
use wire::record::{MAX_VARIANTS, RecordLayout};
use wire::time::UnixSeconds;
use zerocopy::{FromBytes, IntoBytes};

use super::flaw::Flaw;
use super::layout::{
    FLAG_REPLAYED, HEADER_OCTETS, Header, KIND_BASE, KIND_DELTA, MAGIC, MAX_RECORDS, MAX_SHARDS,
    MAX_TABLES_OCTETS, MAX_WINDOWS, ResponderRow, Sections, VERSION, VariantRow, WindowRow,
};

/// What the responses of a pack share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The issuer's certificate, DER.
    pub issuer_certificate: Vec<u8>,
    /// One signature of each record, in the order of the record.
    pub variants: Vec<Variant>,
    /// Group by group, `slots` of each.
    pub responders: Vec<Responder>,
    /// Responders of a group.
    pub slots: u16,
    /// What records name by number.
    pub windows: Vec<Window>,
}

/// (`CertID` hash, form of its parameters, signature algorithm).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Hash and parameters.
    pub form: CertIdForm,
    /// Who signs: this responder of the window's group.
    pub slot: u16,
    /// Its signatures.
    pub algorithm: SignatureAlgorithm,
    /// The octets of a `CertID` before the serial (`wire::cert_id::cert_id_prefix`).
    pub prefix: Vec<u8>,
}

/// Who signs, and when its certificate lets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responder {
    /// Its key's algorithm.
    pub algorithm: SignatureAlgorithm,
    /// The responderID.
    pub key_hash: [u8; 20],
    /// notBefore of its certificate.
    pub not_before: UnixSeconds,
    /// notAfter of its certificate.
    pub not_after: UnixSeconds,
    /// The whole `[0]` certs TLV of its responses, or nothing.
    pub certs: Vec<u8>,
}

impl Shared {
    /// The layout of a record.
    pub fn record_layout(&self, serial_octets: usize) -> Result<RecordLayout, Flaw> {
        RecordLayout::new(
            serial_octets,
            self.variants.iter().map(|variant| variant.algorithm),
        )
        .map_err(|_| Flaw::RecordWidth)
    }

    /// What a signer's batch says, in the form of a pack.
    #[cfg(feature = "publish")]
    pub fn from_batch(header: &wire::batch::Header) -> Result<Shared, Flaw> {
        let variants = header.variants.iter().map(|variant| {
            let prefix = cert_id_prefix(variant.form, &variant.name_hash, &variant.key_hash);
            Ok(Variant {
                form: variant.form,
                slot: variant.slot,
                algorithm: variant.algorithm,
                prefix: prefix.map_err(|_| Flaw::Code)?,
            })
        });
        let responders = header.responders.iter().map(|responder| Responder {
            algorithm: responder.algorithm,
            key_hash: responder.key_hash,
            not_before: responder.not_before,
            not_after: responder.not_after,
            certs: certs_tlv(&responder.certificate),
        });
        Ok(Shared {
            issuer_certificate: header.issuer_certificate.clone(),
            variants: variants.collect::<Result<_, Flaw>>()?,
            responders: responders.collect(),
            slots: header.slots,
            windows: header.windows.clone(),
        })
    }

    /// Completes `header` (all that follows from the counts) and gives every octet before the records.
    #[cfg(feature = "publish")]
    pub(super) fn encode(&self, header: &mut Header) -> Result<Vec<u8>, Flaw> {
        let record = self.record_layout(header.serial_octets.into())?;
        let slots = usize::from(self.slots);
        let groups = self
            .responders
            .len()
            .checked_div(slots)
            .ok_or(Flaw::Responders)?;
        header.tables_blake3 = [0; 32];
        header.magic = MAGIC;
        header.version = VERSION.into();
        header.header_octets = narrow::<u32>(HEADER_OCTETS)?.into();
        header.record_octets = narrow::<u32>(record.record_octets())?.into();
        header.variant_count = narrow(self.variants.len())?;
        header.slots = self.slots.into();
        header.groups = narrow::<u16>(groups)?.into();
        header.window_count = narrow::<u32>(self.windows.len())?.into();
        header.issuer_certificate_octets = narrow::<u32>(self.issuer_certificate.len())?.into();

        let prefixes = self.variants.iter().map(|variant| &variant.prefix);
        let certs = self.responders.iter().map(|responder| &responder.certs);
        let blob: Vec<u8> = prefixes.chain(certs).flatten().copied().collect();
        let sections = Sections::of(header, blob.len() as u64).ok_or(Flaw::Sections)?;
        sections.write_to(header);

        let mut octets = header.as_bytes().to_vec();
        octets.extend_from_slice(&self.issuer_certificate);
        pad(&mut octets);
        self.append_rows(&mut octets, narrow(sections.blob)?)?;
        octets.extend_from_slice(&blob);
        pad(&mut octets);
        header.tables_blake3 = *blake3::hash(&octets).as_bytes();
        octets[..HEADER_OCTETS].copy_from_slice(header.as_bytes());
        // What the reader would refuse is not written: the writer's checks are the reader's.
        Tables::parse(&octets, header.file_octets.into())?;
        Ok(octets)
    }

    #[cfg(feature = "publish")]
    fn append_rows(&self, octets: &mut Vec<u8>, mut blob: u32) -> Result<(), Flaw> {
        let mut next = |octets: usize| {
            let at = blob;
            let octets = narrow::<u32>(octets)?;
            blob = blob.checked_add(octets).ok_or(Flaw::Sections)?;
            Ok::<_, Flaw>((at, octets))
        };
        for variant in &self.variants {
            let (prefix, prefix_octets) = next(variant.prefix.len())?;
            let row = VariantRow {
                form: variant.form.code(),
                algorithm: variant.algorithm.code(),
                slot: variant.slot.into(),
                prefix: prefix.into(),
                prefix_octets: prefix_octets.into(),
                reserved: [0; 4],
            };
            octets.extend_from_slice(row.as_bytes());
        }
        for responder in &self.responders {
            let (certs, certs_octets) = next(responder.certs.len())?;
            let row = ResponderRow {
                key_hash: responder.key_hash,
                algorithm: responder.algorithm.code(),
                reserved: [0; 3],
                certs: certs.into(),
                certs_octets: certs_octets.into(),
                not_before: responder.not_before.into(),
                not_after: responder.not_after.into(),
            };
            octets.extend_from_slice(row.as_bytes());
        }
        for window in &self.windows {
            let row = WindowRow {
                this_update: window.this_update.into(),
                next_update: window.next_update.into(),
                produced_at: window.produced_at.into(),
                group: window.group.into(),
                reserved: [0; 6],
            };
            octets.extend_from_slice(row.as_bytes());
        }
        Ok(())
    }
}

/// The front of a pack file, read and found sound. Everything in it but the windows is copied out: it is small.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) header: Header,
    pub(super) sections: Sections,
    pub(super) record: RecordLayout,
    pub(super) shared: Shared,
}

impl Tables {
    /// Reads the front of a file of `file_octets`; `octets` is as much of the file as there is, at least the front.
    ///
    /// `shared.windows` stays empty: 65,536 of them in each of a hundred packs would be 200 MB of heap. They are read
    /// where they lie, by [`window_at`].
    pub(super) fn parse(octets: &[u8], file_octets: u64) -> Result<Tables, Flaw> {
        let (header, _) = Header::read_from_prefix(octets).map_err(|_| Flaw::TooShort)?;
        let front = checked_front(&header, octets, file_octets)?;
        let blob_octets = blob_octets(&header)?;
        let sections = Sections::of(&header, blob_octets).ok_or(Flaw::Sections)?;
        if !sections.agree_with(&header) {
            return Err(Flaw::Sections);
        }
        let variants = rows::<VariantRow>(front, sections.variants, header.variant_count.into())?
            .iter()
            .map(|row| read_variant(row, front))
            .collect::<Result<Vec<_>, Flaw>>()?;
        let responder_count = usize::from(header.groups.get()) * usize::from(header.slots.get());
        let responders = rows::<ResponderRow>(front, sections.responders, responder_count)?
            .iter()
            .map(|row| read_responder(row, front))
            .collect::<Result<Vec<_>, Flaw>>()?;
        let certificate = slice(
            front,
            HEADER_OCTETS as u64,
            header.issuer_certificate_octets.into(),
        )?;
        let shared = Shared {
            issuer_certificate: certificate.to_vec(),
            variants,
            responders,
            slots: header.slots.into(),
            windows: Vec::new(),
        };
        let record = shared.record_layout(header.serial_octets.into())?;
        if u64::from(header.record_octets) != record.record_octets() as u64 {
            return Err(Flaw::RecordWidth);
        }
        let windows =
            rows::<WindowRow>(front, sections.windows, header.window_count.get() as usize)?;
        check_windows(&shared, windows)?;
        Ok(Tables {
            header,
            sections,
            record,
            shared,
        })
    }
}

/// The window rows where they lie.
#[inline]
pub(super) fn window_at(file: &[u8], windows: u64, number: u16) -> Option<Window> {
    let at = usize::try_from(windows).ok()? + usize::from(number) * size_of::<WindowRow>();
    let (row, _) = WindowRow::ref_from_prefix(file.get(at..)?).ok()?;
    Some(read_window(row))
}

/// Everything about the header that can be checked without looking elsewhere, then the hash of header and tables.
fn checked_front<'a>(
    header: &Header,
    octets: &'a [u8],
    file_octets: u64,
) -> Result<&'a [u8], Flaw> {
    if header.magic != MAGIC {
        return Err(Flaw::NotAPack);
    }
    if header.version != VERSION {
        return Err(Flaw::Version {
            found: header.version.into(),
        });
    }
    if u64::from(header.file_octets) != file_octets {
        return Err(Flaw::Length {
            claimed: header.file_octets.into(),
            found: file_octets,
        });
    }
    let tables_octets = u64::from(header.tables_octets);
    if tables_octets > MAX_TABLES_OCTETS || header.header_octets.get() as usize != HEADER_OCTETS {
        return Err(Flaw::Sections);
    }
    let front = slice(octets, 0, HEADER_OCTETS as u64 + tables_octets)?;
    let mut zeroed = *header;
    zeroed.tables_blake3 = [0; 32];
    let mut hasher = blake3::Hasher::new();
    hasher.update(zeroed.as_bytes());
    hasher.update(&front[HEADER_OCTETS..]);
    if *hasher.finalize().as_bytes() != header.tables_blake3 {
        return Err(Flaw::TablesHash);
    }
    check_scope(header)?;
    Ok(front)
}

fn check_scope(header: &Header) -> Result<(), Flaw> {
    let kind = header.kind.get();
    let whole = header.shards == 1 && header.shard == 0;
    let sound = match kind {
        KIND_BASE => header.shard < header.shards && header.shards <= MAX_SHARDS,
        KIND_DELTA => whole,
        _ => return Err(Flaw::Kind { found: kind }),
    };
    let replayed = header.flags == FLAG_REPLAYED;
    let records = u64::from(header.record_count);
    let numbers = records <= MAX_RECORDS && (1..=MAX_RECORDS).contains(&header.buckets.get());
    let variants = (1..=MAX_VARIANTS).contains(&header.variant_count.into());
    let windows = header.window_count.get() as usize <= MAX_WINDOWS;
    let flags = (replayed || header.flags == 0) && replayed == (header.as_of != 0);
    if sound && numbers && variants && windows && flags && header.reserved == [0; 4] {
        Ok(())
    } else {
        Err(Flaw::Counts)
    }
}

/// The blob is what lies between the rows and the records; its length is the one thing no count says.
fn blob_octets(header: &Header) -> Result<u64, Flaw> {
    let empty = Sections::of(header, 0).ok_or(Flaw::Sections)?;
    u64::from(header.records)
        .checked_sub(empty.blob)
        .ok_or(Flaw::Sections)
}

fn read_variant(row: &VariantRow, front: &[u8]) -> Result<Variant, Flaw> {
    Ok(Variant {
        form: CertIdForm::from_code(row.form).ok_or(Flaw::Code)?,
        slot: row.slot.into(),
        algorithm: SignatureAlgorithm::from_code(row.algorithm).ok_or(Flaw::Code)?,
        prefix: slice(front, row.prefix.into(), row.prefix_octets.into())?.to_vec(),
    })
}

fn read_responder(row: &ResponderRow, front: &[u8]) -> Result<Responder, Flaw> {
    Ok(Responder {
        algorithm: SignatureAlgorithm::from_code(row.algorithm).ok_or(Flaw::Code)?,
        key_hash: row.key_hash,
        not_before: row.not_before.into(),
        not_after: row.not_after.into(),
        certs: slice(front, row.certs.into(), row.certs_octets.into())?.to_vec(),
    })
}

#[inline]
fn read_window(row: &WindowRow) -> Window {
    Window {
        this_update: row.this_update.into(),
        next_update: row.next_update.into(),
        produced_at: row.produced_at.into(),
        group: row.group.into(),
    }
}

/// No window outlives its responder certificate's notAfter or predates its notBefore.
fn check_windows(shared: &Shared, windows: &[WindowRow]) -> Result<(), Flaw> {
    let slots = usize::from(shared.slots);
    if slots == 0
        || shared
            .variants
            .iter()
            .any(|variant| usize::from(variant.slot) >= slots)
    {
        return Err(Flaw::Responders);
    }
    // What all of a group's signing responders allow; each window is then held against two numbers.
    let mut allowed = Vec::new();
    for group in shared.responders.chunks(slots) {
        let mut validity = 0..=UnixSeconds::MAX;
        for variant in &shared.variants {
            let responder = group
                .get(usize::from(variant.slot))
                .ok_or(Flaw::Responders)?;
            if responder.algorithm != variant.algorithm {
                return Err(Flaw::Responders);
            }
            validity = responder.not_before.max(*validity.start())
                ..=responder.not_after.min(*validity.end());
        }
        allowed.push(validity);
    }
    for (number, row) in windows.iter().enumerate() {
        let window = read_window(row);
        let validity = allowed
            .get(usize::from(window.group))
            .ok_or(Flaw::Responders)?;
        if window.this_update > window.next_update
            || window.this_update < *validity.start()
            || window.next_update > *validity.end()
        {
            return Err(Flaw::WindowOutsideResponder { number });
        }
    }
    Ok(())
}

/// `count` rows at `offset`, where they lie.
fn rows<T: FromBytes + zerocopy::Immutable + zerocopy::KnownLayout + zerocopy::Unaligned>(
    octets: &[u8],
    offset: u64,
    count: usize,
) -> Result<&[T], Flaw> {
    let wanted = slice(octets, offset, (count * size_of::<T>()) as u64)?;
    <[T]>::ref_from_bytes(wanted).map_err(|_| Flaw::Sections)
}

/// A range of the file, or the refusal: never a panic, whatever the numbers say.
pub(super) fn slice(octets: &[u8], offset: u64, length: u64) -> Result<&[u8], Flaw> {
    let end = offset.checked_add(length).ok_or(Flaw::Sections)?;
    let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
    range
        .and_then(|(start, end)| octets.get(start..end))
        .ok_or(Flaw::TooShort)
}

#[cfg(feature = "publish")]
fn pad(octets: &mut Vec<u8>) {
    octets.resize(octets.len().next_multiple_of(8), 0);
}

/// The `certs` of a `BasicOCSPResponse` (RFC 6960 §4.2.1): `[0] EXPLICIT SEQUENCE OF Certificate`, left out if empty.
#[cfg(feature = "publish")]
fn certs_tlv(certificate: &[u8]) -> Vec<u8> {
    if certificate.is_empty() {
        return Vec::new();
    }
    let (mut sequence, mut explicit) = (Vec::new(), Vec::new());
    push_tlv(&mut sequence, tag::SEQUENCE, certificate);
    push_tlv(&mut explicit, tag::context_constructed(0), &sequence);
    explicit
}

#[cfg(feature = "publish")]
fn narrow<T: TryFrom<u64>>(number: impl TryInto<u64>) -> Result<T, Flaw> {
    number
        .try_into()
        .ok()
        .and_then(|number| T::try_from(number).ok())
        .ok_or(Flaw::Counts)
}
