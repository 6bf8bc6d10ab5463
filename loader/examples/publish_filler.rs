//! For tests and benches only: publishes a generation with one large document of pseudo-random octets beside what is there,
//! so that there is something that takes a while to fetch.
//!
//! `publish_filler --data DIR --octets N --seed N`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use hufu_loader::durable::FsDisk;
use hufu_loader::object::{DocumentKind, NewDocument, seal_document};
use hufu_loader::publish::{Edition, Publisher};
use hufu_loader::seal::SealKey;
use hufu_loader::store::Store;
use wire::cert_id::IssuerId;

fn main() -> ExitCode {
    let Some((data, octets, seed)) = arguments() else {
        eprintln!("usage: publish_filler --data DIR --octets N --seed N");
        return ExitCode::from(2);
    };
    match publish(&data, octets, seed) {
        Ok(number) => {
            println!("generation {number}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Option<(PathBuf, usize, u64)> {
    let mut args = std::env::args().skip(1);
    let (mut data, mut octets, mut seed) = (None, None, None);
    while let Some(name) = args.next() {
        let value = args.next()?;
        match name.as_str() {
            "--data" => data = Some(PathBuf::from(value)),
            "--octets" => octets = Some(value.parse().ok()?),
            "--seed" => seed = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    Some((data?, octets?, seed?))
}

fn publish(data: &Path, octets: usize, seed: u64) -> Result<u64, Box<dyn std::error::Error>> {
    let key = SealKey::load(&data.join("loader/seal.key"))?;
    let store = Store::at(data.join("store"));
    let mut publisher = Publisher::open(&FsDisk, store, key, &[])?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_secs();
    let mut filler = vec![0; octets];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut filler);
    let document = NewDocument {
        kind: DocumentKind::Certificate,
        name: NAME,
        issuer: IssuerId([0; 16]),
        last_modified: now,
        expires: None,
        octets: &filler,
    };
    let sealed = seal_document(&FsDisk, publisher.store(), &document)?;
    let mut edition: Edition = publisher.same_again(now);
    edition.kept.retain(|object| object.name != NAME);
    edition.added.push(sealed);
    Ok(publisher.publish(&edition)?.number)
}

const NAME: &str = "filler.bin";
