//! Answers stay fresh: base shards are signed again in their turns, a revocation waits for none of them, a killed signer
//! goes on where it was, and a certificate is never without an answer that is in force.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use hufu_tests::http::{self, Connection};
use hufu_tests::office::{Office, serial_octets};
use hufu_tests::pki::{Answer, Certificate, Hash, Parameters, Status, cert_id, request};
use hufu_tests::process::{Running, command};

/// Every shard has its turn twice a minute.
const SETTINGS: &str = "[signing]
response-validity-secs = 120
refresh-secs = 30
shards = 4
shard-records = 1
";
/// Turns that the slowest machine gets through.
const PATIENCE: Duration = Duration::from_secs(240);

/// The line of processes, each killed when dropped.
struct Line {
    office: Office,
    signer: Running,
    _others: [Running; 2],
}

impl Line {
    fn start(data: &Path) -> Self {
        let office = Office::found(data);
        let _ = office.enrol("p256", "unit");
        std::fs::write(data.join("signer.toml"), SETTINGS).unwrap();
        let mut run = command("hufu-loader", ["run", "--data"]);
        run.arg(data);
        let mut follow = command("hufu-loader", ["follow", "--store"]);
        follow
            .arg(office.store())
            .arg("--edge")
            .arg(data.join("edge"));
        follow.arg("--pin").arg(office.pin());
        Self {
            signer: signer(data),
            _others: [
                Running::start(&run, &data.join("run.log")),
                Running::start(&follow, &data.join("follow.log")),
            ],
            office,
        }
    }
}

fn signer(data: &Path) -> Running {
    let mut serve = command("hufu-signer", ["serve", "--config"]);
    serve.arg(data.join("signer.toml")).arg("--data").arg(data);
    Running::start(&serve, &data.join("signer.log"))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// Asks about every serial in turn until `enough` of what was said of them; whatever is said must be in force.
fn ask_until(
    line: &mut Line,
    connection: &mut Connection,
    questions: &BTreeMap<String, Vec<u8>>,
    mut enough: impl FnMut(&BTreeMap<String, (Status, u64)>) -> bool,
) {
    let begun = Instant::now();
    loop {
        let mut said = BTreeMap::new();
        for (serial, question) in questions {
            let answer = Answer::read(&connection.ask(question).unwrap().body);
            let single = answer.single();
            assert!(
                single.next_update.unwrap() >= now(),
                "{serial}: past its nextUpdate"
            );
            said.insert(serial.clone(), (single.status, single.this_update));
        }
        if enough(&said) {
            return;
        }
        assert!(line.signer.ended().is_none(), "{}", line.signer.said());
        assert!(
            begun.elapsed() < PATIENCE,
            "{said:?}\n{}",
            line.signer.said()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn an_answer_grows_old_or_a_revocation_waits_for_its_shard() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut line = Line::start(&data);
    line.signer.until("there is a generation", PATIENCE, || {
        data.join("edge/current").exists()
    });
    let responder = line.office.responder(&data.join("edge"));
    let issuer: Certificate = line.office.certificate("p256", "issuer");
    let serials = line.office.serials("p256");
    let question = |serial: &String| {
        let id = cert_id(
            Hash::Sha256,
            Parameters::Null,
            &issuer,
            &serial_octets(serial),
        );
        (serial.clone(), request(&[&id], None))
    };
    let questions: BTreeMap<_, _> = serials.iter().map(question).collect();
    // Served shard by shard as they are signed: until then nothing is said of a certificate.
    let mut connection = Connection::open(responder.ocsp).unwrap();
    line.signer.until("every shard is served", PATIENCE, || {
        questions.values().all(|question| {
            let answer = connection.ask(question).unwrap();
            matches!(Answer::read(&answer.body), Answer::Signed(_))
        })
    });
    let mut first = BTreeMap::new();
    ask_until(&mut line, &mut connection, &questions, |said| {
        first = said.clone();
        true
    });
    let revoked = &serials[0];
    line.office.revoke("p256", revoked);
    ask_until(&mut line, &mut connection, &questions, |said| {
        matches!(said[revoked].0, Status::Revoked(..))
    });
    // Killed in the middle of it, and started anew: every shard has its turn all the same.
    line.signer.signal("KILL");
    // Until it is gone it holds the spool's lock.
    let _ = line.signer.wait(PATIENCE);
    line.signer = signer(&data);
    ask_until(&mut line, &mut connection, &questions, |said| {
        said.iter().all(|(serial, (_, at))| *at > first[serial].1)
    });
    ask_until(&mut line, &mut connection, &questions, |said| {
        matches!(said[revoked].0, Status::Revoked(..))
            && said
                .values()
                .filter(|(status, _)| *status == Status::Good)
                .count()
                + 1
                == said.len()
    });
    let log = line.signer.said();
    assert!(log.contains("kind=Shard"), "{log}");
    assert!(!log.contains("not done"), "{log}");
}

/// RFC 9919 §7.1 wants an answer signed again before caches may no longer keep it. The defaults are the other way round;
/// whoever wants the letter refreshes below max-age, and must get both.
#[test]
fn max_age_beyond_the_refresh_is_refused_or_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::found(&folder.path().join("data"));
    let settings = "[signing]\nresponse-validity-secs = 86400\nrefresh-secs = 3600\n";
    std::fs::write(office.data.join(Office::SETTINGS), settings).unwrap();
    let serial = serial_octets(&office.enrol("p256", "unit")[0]);
    office.publish();
    let edge = folder.path().join("edge");
    let _ = office.follow(&office.store(), &edge).ok();
    let responder = office.responder_with(&edge, &["--max-age-secs", "7200"]);
    let issuer = office.certificate("p256", "issuer");
    let id = cert_id(Hash::Sha256, Parameters::Null, &issuer, &serial);
    let response = http::ask(responder.ocsp, &request(&[&id], None)).unwrap();
    assert_eq!(Answer::read(&response.body).single().status, Status::Good);
    let said = response.header("cache-control").unwrap();
    assert!(said.starts_with("max-age=7200,"), "{said}");
}
