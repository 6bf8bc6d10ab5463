//! Damage of every kind, to every kind of published file, at every 4 KiB: refused when it is fetched, refused when it is
//! opened wherever opening can see it, and the generation before serves on. And a responder that is killed under load is
//! back at once.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hufu_tests::http;
use hufu_tests::office::Responder;
use hufu_tests::pki::{Answer, Status};
use hufu_tests::process::{Raises, free_address, free_addresses, wait_until};
use serde_json::Value;

use crate::two_generations::{Published, copy, overwrite};

/// A published file that is damaged, and what it is.
struct Target {
    kind: String,
    /// In the store, and in the edge.
    file: PathBuf,
    /// Where responders listen over it, one after another.
    ports: [SocketAddr; 2],
}

impl Target {
    fn new(kind: String, file: PathBuf) -> Self {
        let ports = free_addresses();
        Self { kind, file, ports }
    }
}

impl Published {
    /// The longest file of each kind in the second generation.
    fn kinds(&self) -> Vec<Target> {
        let manifest = newest(&self.second.join("manifests"));
        let text = fs::read(self.second.join(&manifest)).unwrap();
        let mut parsed = serde_json::Deserializer::from_slice(&text).into_iter::<Value>();
        let parsed = parsed.next().unwrap().unwrap();
        let mut longest: BTreeMap<String, (u64, PathBuf)> = BTreeMap::new();
        let mut note = |kind: String, file: &Value| {
            let octets = file["octets"].as_u64().unwrap();
            let path = Path::new("objects").join(file["blake3"].as_str().unwrap());
            let known = longest.entry(kind).or_default();
            if octets > known.0 {
                *known = (octets, path);
            }
        };
        for entry in parsed["objects"].as_array().unwrap() {
            let (role, said) = entry["role"].as_object().unwrap().iter().next().unwrap();
            let kind = kind(role, entry["name"].as_str().unwrap());
            note(kind.to_owned(), entry);
            for form in said["encodings"].as_array().into_iter().flatten() {
                let encoding = form["encoding"].as_str().unwrap();
                note(format!("{kind} in {encoding}"), form);
            }
        }
        // Not by chance: a store without one of them would try less than is said here.
        for (kind, least) in EVERY_KIND {
            let (octets, _) = longest.get(*kind).unwrap_or_else(|| panic!("no {kind}"));
            assert!(octets >= least, "{kind}: {octets} octets");
        }
        let objects = longest.into_iter();
        let objects = objects.map(|(kind, (_, file))| Target::new(kind, file));
        let small = [("manifest", manifest), ("pointer", "current".into())];
        let small = small.map(|(kind, file)| Target::new(kind.to_owned(), file));
        objects.chain(small).collect()
    }
}

/// What a manifest's entry is, by its role and by its name: lists and certificates come in several forms.
fn kind(role: &str, name: &str) -> &'static str {
    let dots = name.matches('.').count();
    match role {
        "base" => "base",
        "delta" => "delta",
        "certificate" if name.ends_with(".p7c") => "p7c",
        "certificate" => "cer",
        // p256.crl, p256.delta.crl, p256.1.crl, p256.1.delta.crl
        "crl" if name.ends_with(".delta.crl") && dots == 2 => "delta list",
        "crl" if name.ends_with(".delta.crl") => "delta of a partition",
        "crl" if dots == 1 => "list",
        "crl" => "partition",
        _ => panic!("{role} {name}"),
    }
}

/// What there is to damage, and how long the longest of it is at least.
const EVERY_KIND: &[(&str, u64)] = &[
    // Three places at 4 KiB, the first and the last not counted.
    ("base", 4 * 4096),
    ("delta", 4096),
    ("list", 4096),
    ("list in gzip", 256),
    ("list in zstd", 256),
    ("delta list", 1401),
    ("delta list in gzip", 256),
    ("delta list in zstd", 256),
    ("partition", 1401),
    ("partition in gzip", 256),
    ("partition in zstd", 256),
    ("delta of a partition", 512),
    ("cer", 256),
    ("p7c", 512),
];

/// The manifest with the highest number, relative to the store.
fn newest(manifests: &Path) -> PathBuf {
    let names = fs::read_dir(manifests).unwrap().flatten();
    let newest = names.map(|entry| entry.file_name()).max().unwrap();
    Path::new("manifests").join(newest)
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Flipped(usize),
    Truncated(usize),
    Extended(usize),
    Missing,
}

impl Fault {
    /// Every 4 KiB of so many octets, the middle and the last one: three places at least.
    fn all(length: usize) -> Vec<Self> {
        let mut places: Vec<usize> = (0..length).step_by(4096).collect();
        places.extend([length / 2, length - 1]);
        places.sort_unstable();
        places.dedup();
        assert!(places.len() >= 3.max(length / 4096), "{length} octets");
        let mut all = vec![Self::Extended(1), Self::Extended(4096), Self::Missing];
        all.extend(places.iter().map(|place| Self::Truncated(*place)));
        all.extend(places.iter().map(|place| Self::Flipped(*place)));
        all
    }

    fn strike(self, path: &Path, sound: &[u8]) {
        let mut octets = sound.to_vec();
        match self {
            Self::Flipped(place) => octets[place] ^= 0x10,
            Self::Truncated(length) => octets.truncate(length),
            Self::Extended(by) => octets.resize(octets.len() + by, 0),
            Self::Missing => return fs::remove_file(path).unwrap(),
        }
        overwrite(path, &octets);
    }
}

/// Tries each file, several at once: most of the time is spent waiting. The number of faults that were tried.
fn each(targets: &[Target], try_one: impl Fn(&Target) -> usize + Sync) -> usize {
    let next = AtomicUsize::new(0);
    let tried = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    tried.fetch_add(try_one(target), Ordering::Relaxed);
                }
            });
        }
    });
    tried.into_inner()
}

#[test]
fn damaged_file_of_some_kind_is_fetched_and_taken() {
    let published = Published::of_every_kind();
    let edge = published.path("edge");
    let _ = published.office.follow(&published.first, &edge).ok();
    let responder = published.office.responder(&edge);
    let before = fs::read(edge.join("current")).unwrap();
    let faults = each(&published.kinds(), |Target { kind, file, .. }| {
        let [trial, store] =
            ["trial", "store"].map(|name| published.path(&format!("{kind} {name}")));
        copy(&published.second, &store);
        copy(&edge, &trial);
        let sound = fs::read(store.join(file)).unwrap();
        let faults = Fault::all(sound.len());
        for fault in &faults {
            // The edge lacks the file, so that it has to fetch it whichever generation it came with.
            let _ = fs::remove_file(trial.join(file));
            overwrite(&trial.join("current"), &before);
            fault.strike(&store.join(file), &sound);
            let ran = published.office.follow(&store, &trial);
            assert_eq!(ran.code, Some(1), "{kind} {fault:?}: {}", ran.both());
            assert!(
                !ran.both().contains("panicked"),
                "{kind} {fault:?}: {}",
                ran.both()
            );
            assert_eq!(
                fs::read(trial.join("current")).unwrap(),
                before,
                "{kind} {fault:?}"
            );
            overwrite(&store.join(file), &sound);
        }
        // Nothing but the damage was in the way.
        let _ = published.office.follow(&store, &trial).ok();
        assert_ne!(fs::read(trial.join("current")).unwrap(), before, "{kind}");
        faults.len()
    });
    assert_eq!(
        published.status(&responder),
        Status::Good,
        "the first serves on"
    );
    let _ = published.office.follow(&published.second, &edge).ok();
    wait_until("the sound second generation is served", PATIENCE, || {
        matches!(published.status(&responder), Status::Revoked(..))
    });
    say(&format!("{faults} damaged files refused when fetched\n"));
}

#[test]
fn damaged_file_that_opening_can_see_is_served() {
    let published = Published::of_every_kind();
    let second = published.path("second-edge");
    let _ = published.office.follow(&published.second, &second).ok();
    let first = published.path("first-edge");
    let _ = published.office.follow(&published.first, &first).ok();
    let faults = each(&published.kinds(), |Target { kind, file, ports }| {
        let edge = published.path(&format!("{kind} edge"));
        let sound = fs::read(second.join(file)).unwrap();
        // Opening hashes no base packs and no documents: their octets were hashed when they were fetched, and the scrub
        // reads them again. It sees lengths, the front of packs, manifest and pointer, and all of a delta.
        let sees = |fault: &Fault| match (kind.as_str(), fault) {
            // An empty store is no fault: an edge that has a generation keeps it.
            ("pointer", Fault::Missing) => false,
            ("manifest" | "pointer" | "delta", _) => true,
            ("base", Fault::Flipped(place)) => *place == 0,
            (_, Fault::Flipped(_)) => false,
            // Not opened before somebody asks for them, but their lengths are looked at.
            _ => true,
        };
        let faults: Vec<Fault> = Fault::all(sound.len()).into_iter().filter(sees).collect();
        for fault in &faults {
            copy(&first, &edge);
            let responder = published.office.responder_at(&edge, ports[0], ports[1]);
            install(&second, &edge, file, |path| fault.strike(path, &sound));
            wait_until("the damaged generation is refused", PATIENCE, || {
                refused(&responder) >= 1.0
            });
            assert_eq!(
                published.status(&responder),
                Status::Good,
                "{kind} {fault:?}"
            );
        }
        faults.len()
    });
    say(&format!("{faults} damaged files refused when opened\n"));
}

/// Puts a generation into an edge beside the one that is there, one file of it damaged on the way; the pointer last.
fn install(from: &Path, edge: &Path, file: &Path, damage: impl Fn(&Path)) {
    let damaged = edge.join(file);
    for folder in ["objects", "manifests"] {
        for entry in fs::read_dir(from.join(folder)).unwrap().flatten() {
            let to = edge.join(folder).join(entry.file_name());
            if to != damaged {
                // Others that are there already may be mapped.
                if !to.exists() {
                    fs::copy(entry.path(), to).unwrap();
                }
                continue;
            }
            // Not in place, as no disk damages a file: the responder has the old one mapped.
            let aside = edge.join("tmp/damaged");
            fs::copy(entry.path(), &aside).unwrap();
            damage(&aside);
            let _ = fs::remove_file(&to);
            if aside.exists() {
                fs::rename(aside, to).unwrap();
            }
        }
    }
    let pointer = edge.join("tmp/current");
    fs::copy(from.join("current"), &pointer).unwrap();
    if file == Path::new("current") {
        damage(&pointer);
    }
    fs::rename(pointer, edge.join("current")).unwrap();
}

/// Generations that a responder has refused.
fn refused(responder: &Responder) -> f64 {
    let metrics = http::get(responder.admin, "/metrics").unwrap();
    let text = String::from_utf8(metrics.body).unwrap();
    let lines = text.lines();
    let lines = lines.filter(|line| line.starts_with("hufu_generations_refused_total{"));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[test]
fn responder_killed_under_load_answers_wrongly_or_not_again() {
    let published = Published::new();
    let edge = published.path("edge");
    let _ = published.office.follow(&published.first, &edge).ok();
    let (ocsp, admin) = (free_address(), free_address());
    let question = published.question();
    let stop = AtomicBool::new(false);
    let answers = AtomicU64::new(0);
    let mut back = Vec::new();
    let mut responder = published.office.responder_at(&edge, ocsp, admin);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // While nobody is there, nobody answers; whoever answers is right.
                    match http::ask(ocsp, &question) {
                        Ok(response) => {
                            let said = Answer::read(&response.body);
                            assert_eq!(said.single().status, Status::Good);
                            answers.fetch_add(1, Ordering::Relaxed);
                        }
                        // Trying without a pause would take the processor from the one that starts.
                        Err(_) => thread::sleep(Duration::from_millis(1)),
                    }
                }
            });
        }
        let _stops = Raises(&stop);
        for _ in 0..5 {
            let so_far = answers.load(Ordering::Relaxed);
            wait_until("the load goes on", PATIENCE, || {
                answers.load(Ordering::Relaxed) > so_far + 50
            });
            responder.program.signal("KILL");
            let _ = responder.program.wait(PATIENCE);
            let began = Instant::now();
            responder.program = published.office.start_responder(&edge, ocsp, admin);
            while http::ask(ocsp, &question).is_err() {
                assert!(
                    began.elapsed() < PATIENCE,
                    "nobody answers:\n{}",
                    responder.program.said()
                );
                thread::sleep(Duration::from_millis(1));
            }
            back.push(began.elapsed().as_millis());
        }
    });
    back.sort_unstable();
    say(&format!(
        "killed five times under load; from the start of the next to its first answer: {back:?} ms (200 is the bar on a \
         quiet machine, in a release build)\n"
    ));
}

/// Past the test runner's capture: these lines are the report.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Generous: an unoptimised build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
