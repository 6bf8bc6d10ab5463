//! A document in gzip and zstd, made once when it is published, so that no responder ever compresses.
//!
//! Both ways are streams: the document's own file goes in by pieces, so a list of any length takes the memory of one
//! encoder. A form that is not smaller than the document is not kept.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::digest::Digest;
use crate::durable::{At, Audience, Disk, DiskError, DiskFile};
use crate::manifest::{EncodedNote, Encoding};

/// An encoded form in `tmp/`, flushed to the device.
#[derive(Debug)]
pub(crate) struct EncodedFile {
    pub(crate) temp: PathBuf,
    pub(crate) note: EncodedNote,
}

/// Makes the forms of the document at `source`, `octets` long, that are worth keeping.
pub(crate) fn encode(
    disk: &dyn Disk,
    source: &Path,
    octets: u64,
) -> Result<Vec<EncodedFile>, DiskError> {
    if octets < MIN_OCTETS {
        return Ok(Vec::new());
    }
    let mut made = Vec::new();
    for encoding in Encoding::ALL {
        let mut name = source.as_os_str().to_owned();
        name.push(".");
        name.push(encoding.suffix());
        let temp = PathBuf::from(name);
        if let Some(note) = encode_as(disk, source, octets, encoding, &temp)? {
            made.push(EncodedFile { temp, note });
        }
    }
    Ok(made)
}

fn encode_as(
    disk: &dyn Disk,
    source: &Path,
    octets: u64,
    encoding: Encoding,
    temp: &Path,
) -> Result<Option<EncodedNote>, DiskError> {
    disk.remove(temp).at("remove the leftover", temp)?;
    let input = File::open(source).at("open", source)?;
    let mut output = Output {
        file: disk
            .create_new(temp, Audience::Everyone)
            .at("create", temp)?,
        hasher: blake3::Hasher::new(),
        octets: 0,
        limit: octets - 1,
    };
    match pour(input, octets, encoding, &mut output) {
        Ok(()) => {}
        Err(_) if output.is_full() => {
            disk.remove(temp).at("remove", temp)?;
            return Ok(None);
        }
        Err(error) => return Err(error).at("encode into", temp),
    }
    output.file.sync().at("fsync", temp)?;
    Ok(Some(EncodedNote {
        encoding,
        blake3: Digest::from(output.hasher.finalize()),
        octets: output.octets,
    }))
}

fn pour(mut input: File, octets: u64, encoding: Encoding, output: &mut Output) -> io::Result<()> {
    let is_large = octets > LARGE_OCTETS;
    match encoding {
        Encoding::Gzip => {
            let level = if is_large { GZIP_LARGE } else { GZIP_SMALL };
            let mut encoder = GzEncoder::new(output, Compression::new(level));
            copy(&mut input, &mut encoder)?;
            encoder.finish()?;
        }
        Encoding::Zstd => {
            let level = if is_large { ZSTD_LARGE } else { ZSTD_SMALL };
            let mut encoder = zstd::stream::write::Encoder::new(output, level)?;
            encoder.set_pledged_src_size(Some(octets))?;
            copy(&mut input, &mut encoder)?;
            encoder.finish()?;
        }
    }
    Ok(())
}

fn copy(input: &mut impl Read, output: &mut impl Write) -> io::Result<u64> {
    let mut piece = vec![0; PIECE_OCTETS];
    let mut copied = 0;
    loop {
        let read = match input.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if read == 0 {
            return Ok(copied);
        }
        output.write_all(&piece[..read])?;
        copied += read as u64;
    }
}

/// A file that is hashed while it is written, and never outgrows the document.
struct Output {
    file: Box<dyn DiskFile>,
    hasher: blake3::Hasher,
    octets: u64,
    limit: u64,
}

impl Output {
    fn is_full(&self) -> bool {
        self.octets > self.limit
    }
}

impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.octets += octets.len() as u64;
        if self.is_full() {
            return Err(io::Error::other("no smaller than the document"));
        }
        self.file.write_all(octets)?;
        self.hasher.update(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The BLAKE3 of what the file at `path` says once it is decoded; of at most `octets` and one more.
pub(crate) fn decoded_digest(path: &Path, encoding: Encoding, octets: u64) -> io::Result<Digest> {
    let file = File::open(path)?;
    let decoder: Box<dyn Read> = match encoding {
        Encoding::Gzip => Box::new(GzDecoder::new(io::BufReader::new(file))),
        Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
    };
    let mut hasher = blake3::Hasher::new();
    // A form that decodes to gigabytes is caught at the first octet too many.
    copy(&mut decoder.take(octets.saturating_add(1)), &mut hasher)?;
    Ok(Digest::from(hasher.finalize()))
}

/// A shorter document is one or two packets either way, and each form is a file to publish, fetch and scrub.
const MIN_OCTETS: u64 = 1400;
/// Read at a time.
const PIECE_OCTETS: usize = 64 << 10;
/// Above this a minute's worth of better levels would keep revocations waiting: serial numbers hardly compress better.
const LARGE_OCTETS: u64 = 4 << 20;
const GZIP_SMALL: u32 = 6;
const GZIP_LARGE: u32 = 1;
const ZSTD_SMALL: i32 = 9;
const ZSTD_LARGE: i32 = 1;

#[cfg(test)]
mod tests;
