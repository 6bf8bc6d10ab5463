//! Makes a CRL of any length that a CA has really signed, with that CA's certificate: for `benches/lists`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};
use hufu_benches::crl::{BEGUN, tbs};
use wire::algorithm::SignatureAlgorithm;
use wire::crl::assemble_crl;

/// Make ca.pem, ca.der and list.crl in a folder.
///
/// hufu-list --entries 1000000 --key rsa --out /tmp/list
#[derive(Parser)]
struct Args {
    /// How many entries: 16-octet serials with reasons.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// The CA's key.
    #[arg(long, value_enum, default_value_t = Key::Rsa)]
    key: Key,
    /// Where to put it.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Key {
    /// RSA-2048 with SHA-256, as most large lists have.
    Rsa,
    /// ECDSA P-256 with SHA-256.
    P256,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hufu-list: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(&args.out)?;
    let (words, algorithm) = match args.key {
        Key::Rsa => ("rsa:2048", SignatureAlgorithm::Rsa2048Sha256),
        Key::P256 => (
            "ec -pkeyopt ec_paramgen_curve:P-256",
            SignatureAlgorithm::EcdsaP256Sha256,
        ),
    };
    openssl(
        &args.out,
        &format!(
            "req -x509 -newkey {words} -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=synthetic \
             -addext keyUsage=critical,keyCertSign,cRLSign"
        ),
    )?;
    openssl(&args.out, "x509 -in ca.pem -outform DER -out ca.der")?;
    let certificate = fs::read(args.out.join("ca.der"))?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&certificate)?;
    let since = u64::try_from(certificate.validity().not_before.timestamp())?.max(BEGUN);
    let tbs = tbs(
        args.entries,
        algorithm,
        certificate.subject().as_raw(),
        since,
    );
    fs::write(args.out.join("tbs"), &tbs)?;
    openssl(&args.out, "dgst -sha256 -sign ca.key -out signature tbs")?;
    let signature = fs::read(args.out.join("signature"))?;
    let raw = match args.key {
        Key::Rsa => signature,
        Key::P256 => wire::algorithm::ecdsa_raw_from_der(&signature, 32)?,
    };
    let list = assemble_crl(&tbs, algorithm, &raw)?;
    fs::write(args.out.join("list.crl"), &list)?;
    fs::remove_file(args.out.join("tbs"))?;
    println!(
        "{} octets in {}",
        list.len(),
        args.out.join("list.crl").display()
    );
    Ok(())
}

fn openssl(folder: &Path, words: &str) -> Result<(), Box<dyn std::error::Error>> {
    let output = Command::new("openssl")
        .args(words.split_whitespace())
        .current_dir(folder)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "openssl {words}: {}",
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}
