//! A new edge, from an empty folder to serving N records out of a bucket; then what one revocation costs it.
//!
//! The bucket is an S3 service in this process over a local folder; pusher, follower and responder are the real programs.
//! What is timed: the push of the whole generation, the follower until the edge has it (fetched, hashed, flushed, opened),
//! and the responder from its start to its first right answer. Octets are those the follower says it fetched.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use hufu_benches::population::{Plan, Population};
use hufu_benches::requests::{Carriage, Method, http_request};
use hufu_benches::server::ask;
use hufu_loader::digest::encode_hex;
use hufu_loader::durable::FsDisk;
use hufu_loader::object::Sealed;
use hufu_loader::pack::{Pack, PackSpec, PackWriter, Scope, Shared};
use hufu_loader::publish::{Edition, Publisher};
use hufu_loader::seal::{SealKey, read_pins};
use hufu_loader::store::Store;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};

/// Time a new edge: bucket → follower → responder.
///
/// hufu-new-edge --records 10000000 --out /tmp/new-edge
#[derive(Parser)]
struct Args {
    /// How many records.
    #[arg(long, default_value_t = 10_000_000)]
    records: u64,
    /// Serials revoked in the second generation.
    #[arg(long, default_value_t = 1)]
    revoked: u64,
    /// Where to work; the folder must not exist yet.
    #[arg(long)]
    out: PathBuf,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hufu-new-edge: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    fs::create_dir(&args.out)?;
    let plan = Plan {
        records: args.records,
        signed: false,
        paths: 1,
        ..Plan::default()
    };
    eprintln!("making {} records", args.records);
    let population = Population::build(&args.out.join("population"), &plan)?;
    let rig = Rig::new(&args.out)?;
    let mut publisher = rig.adopt(&population)?;
    let bucket = serve_bucket(&args.out.join("s3"))?;

    let (pushed, push) = timed(|| rig.push(bucket))?;
    let (took, follow) = timed(|| rig.follow(bucket))?;
    let answered = rig.serve(&population)?;
    let records = revoke(&mut publisher, args.revoked)?;
    let (_, push_delta) = timed(|| rig.push(bucket))?;
    let (delta, follow_delta) = timed(|| rig.follow(bucket))?;
    let manifest = fs::metadata(Store::at(rig.store()).manifest(2))?.len();
    let edge = follow.as_secs_f64() + answered.as_secs_f64();
    if args.json {
        println!(
            "{}",
            serde_json::json!({
                "records": args.records, "octets": took, "push_secs": push.as_secs_f64(),
                "follow_secs": follow.as_secs_f64(), "first_answer_secs": answered.as_secs_f64(),
                "nothing_to_serving_secs": edge, "delta_records": records, "delta_octets": delta,
                "delta_manifest_octets": manifest, "delta_push_secs": push_delta.as_secs_f64(),
                "delta_follow_secs": follow_delta.as_secs_f64(),
            })
        );
        return Ok(());
    }
    println!("records                      {}", args.records);
    println!(
        "pushed                       {pushed} octets in {:.2} s",
        push.as_secs_f64()
    );
    println!(
        "edge fetched, hashed, opened {took} octets in {:.2} s",
        follow.as_secs_f64()
    );
    println!(
        "responder's first answer     {:.0} ms after its start",
        answered.as_secs_f64() * 1e3
    );
    println!("from nothing to serving      {edge:.2} s");
    println!(
        "a generation that revokes {records}: {delta} octets of packs, {manifest} of its manifest"
    );
    println!(
        "  pushed in                  {:.0} ms",
        push_delta.as_secs_f64() * 1e3
    );
    println!(
        "  taken by the edge in       {:.0} ms",
        follow_delta.as_secs_f64() * 1e3
    );
    Ok(())
}

fn timed<T>(what: impl FnOnce() -> Result<T, Failure>) -> Result<(T, Duration), Failure> {
    let began = Instant::now();
    let outcome = what()?;
    Ok((outcome, began.elapsed()))
}

/// A publisher's data folder and an edge, beside the programs.
struct Rig {
    out: PathBuf,
    programs: PathBuf,
}

impl Rig {
    fn new(out: &Path) -> Result<Rig, Failure> {
        let me = std::env::current_exe()?;
        let programs = me.parent().ok_or("a program lies in a folder")?.to_owned();
        Ok(Rig {
            out: out.to_owned(),
            programs,
        })
    }

    fn data(&self) -> PathBuf {
        self.out.join("data")
    }

    fn store(&self) -> PathBuf {
        self.data().join("store")
    }

    fn pin(&self) -> PathBuf {
        self.data().join("loader/seal.pub")
    }

    /// Publishes the population's packs under a key of our own: its own key is gone.
    fn adopt(&self, population: &Population) -> Result<Publisher<'static>, Failure> {
        let (key, _) = SealKey::generate()?;
        fs::create_dir_all(self.data().join("loader"))?;
        let line = format!("{}\n", encode_hex(key.public().octets()));
        fs::write(self.pin(), line)?;
        let made = Store::at(&population.edge);
        let manifest = made
            .read_current(&read_pins(&population.pin)?)?
            .ok_or("the population is not published")?;
        let mut publisher = Publisher::open(&FsDisk, Store::at(self.store()), key, &[])?;
        let objects = manifest.manifest().objects.clone();
        for object in &objects {
            fs::rename(
                made.object(object.blake3),
                publisher.store().object(object.blake3),
            )?;
        }
        let edition = Edition {
            kept: objects,
            valid_for_secs: 24 * 3600,
            ..publisher.same_again(now()?)
        };
        publisher.publish(&edition)?;
        Ok(publisher)
    }

    fn loader(&self, bucket: SocketAddr, words: &[&str]) -> Result<Output, Failure> {
        let output = Command::new(self.programs.join("hufu-loader"))
            .args(words)
            .args(["--allow-http", "--endpoint", &format!("http://{bucket}")])
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", KEY)
            .output()?;
        if output.status.success() {
            return Ok(output);
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
    }

    fn push(&self, bucket: SocketAddr) -> Result<u64, Failure> {
        let data = self.data();
        let data = data.to_str().ok_or("a path in UTF-8")?;
        let output = self.loader(bucket, &["push", "--data", data, "--publish-to", PLACE])?;
        octets(&output)
    }

    fn follow(&self, bucket: SocketAddr) -> Result<u64, Failure> {
        let (edge, pin) = (self.out.join("edge"), self.pin());
        let path = |path: &Path| path.to_str().map(str::to_owned).ok_or("a path in UTF-8");
        let (edge, pin) = (path(&edge)?, path(&pin)?);
        let words = [
            "follow", "--once", "--store", PLACE, "--edge", &edge, "--pin", &pin,
        ];
        octets(&self.loader(bucket, &words)?)
    }

    /// Starts a responder over the edge, and stops it at its first right answer; how long that took.
    fn serve(&self, population: &Population) -> Result<Duration, Failure> {
        let (ocsp, admin) = (free()?, free()?);
        let question = http_request(
            &population.requests[0],
            Method::Get,
            Carriage::AConnectionARequest,
        );
        let began = Instant::now();
        let mut responder = Command::new(self.programs.join("hufu-responder"))
            .arg("--edge")
            .arg(self.out.join("edge"))
            .arg("--pin")
            .arg(self.pin())
            .args(["--ocsp", &ocsp.to_string(), "--admin", &admin.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut outcome = Err("the responder gave no answer within a minute".into());
        while began.elapsed() < Duration::from_secs(60) {
            let answer = ask(ocsp, &question).unwrap_or_default();
            // An OCSPResponse that is successful begins so, whatever its length: 30 82 .. .. 0a 01 00.
            if answer.windows(3).any(|octets| octets == [0x0a, 0x01, 0x00]) {
                outcome = Ok(began.elapsed());
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        responder.kill()?;
        responder.wait()?;
        outcome
    }
}

/// Publishes a generation with a delta that revokes so many; how many records it holds.
fn revoke(publisher: &mut Publisher<'_>, revoked: u64) -> Result<u64, Failure> {
    let now = now()?;
    let snapshot = publisher.open_current()?.ok_or("nothing is published")?;
    let (_, base) = snapshot.packs().next().ok_or("no pack is published")?;
    let delta = delta(publisher, base, revoked, now)?;
    let edition = Edition {
        added: vec![delta],
        valid_for_secs: 24 * 3600,
        ..publisher.same_again(now)
    };
    publisher.publish(&edition)?;
    Ok(revoked)
}

fn delta(
    publisher: &Publisher<'_>,
    base: &Pack,
    revoked: u64,
    now: u64,
) -> Result<Sealed, Failure> {
    let (revision, batch) = base.age();
    let spec = PackSpec {
        issuer: base.issuer(),
        hash_key: *base.hash_key(),
        scope: Scope::Delta,
        revision: revision + 1,
        batch: batch + 1,
        created_at: now,
        as_of: None,
        crl_blake3: None,
        records_about: revoked,
        serial_octets: 20,
        shared: Shared {
            windows: base.windows().collect(),
            ..base.shared().clone()
        },
    };
    let mut serials: Vec<Serial> = (1..=revoked)
        .filter_map(|n| Serial::from_unsigned(&n.to_be_bytes()).ok())
        .collect();
    serials.sort_by_key(|serial| base.hash_key().hash(serial.content()));
    let temp = publisher.store().temp().join("delta");
    let mut writer = PackWriter::create(&FsDisk, &temp, &spec)?;
    for serial in &serials {
        let status = CertStatus::Revoked {
            at: now - 1,
            reason: Some(RevocationReason::KeyCompromise),
        };
        writer.push(serial, status, 0, &[&[7; 64]])?;
    }
    Ok(writer.finish()?)
}

/// The bucket's service, until the program ends.
fn serve_bucket(root: &Path) -> Result<SocketAddr, Failure> {
    fs::create_dir_all(root.join("bench"))?;
    let files = s3s_fs::FileSystem::new(root).map_err(|error| format!("{error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(KEY, KEY));
    let service = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("inside a runtime");
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    });
    Ok(address)
}

/// `generation 1: 3 files fetched, 920 octets` → 920.
fn octets(output: &Output) -> Result<u64, Failure> {
    let said = String::from_utf8_lossy(&output.stdout);
    let mut words = said.split_whitespace().rev();
    let number = words.find_map(|word| word.parse().ok());
    number.ok_or_else(|| format!("no figure in {said:?}").into())
}

fn free() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn now() -> Result<u64, Failure> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

const KEY: &str = "bench";
const PLACE: &str = "s3://bench/store";
