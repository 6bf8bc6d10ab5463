//! What leaves the publisher's machine: generations into a bucket, nudges to edges. `run` does it on a thread of its own, so
//! that a slow or absent bucket holds up no generation here; `push` does it once.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::Args;

use super::nudger::Nudger;
use super::{Data, Outcome, now, sentence};
use crate::bucket::push::{PushError, Pushed, Pusher};
use crate::bucket::{Access, Bucket, Keep, OpenBucketError, Place};
use crate::home::Home;
use crate::metrics::OutwardMetrics;
use crate::seal::read_pins;

#[derive(Debug, Args)]
pub(super) struct OutwardArgs {
    #[arg(
        long,
        value_name = "BUCKET",
        help = "Mirror generations into this bucket too: s3://bucket/prefix"
    )]
    publish_to: Option<Place>,
    /// Tell this edge (its --nudge address, as a URL) that there is something new; may be given many times
    #[arg(long, value_name = "URL")]
    nudge: Vec<String>,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    access: BucketArgs,
}

#[derive(Debug, Args)]
struct Keeping {
    /// How long a superseded generation's objects stay in the bucket: longer than the slowest edge lags
    #[arg(long, value_name = "SECONDS", default_value_t = Keep::default().objects_secs)]
    keep_for: u64,
    /// How long manifests stay in the bucket, so that an edge that was away can prove the chain
    #[arg(long, value_name = "SECONDS", default_value_t = Keep::default().manifests_secs)]
    keep_manifests_for: u64,
}

/// How a bucket is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bucket (keys: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, …)")]
pub(super) struct BucketArgs {
    #[arg(
        long,
        value_name = "URL",
        help = "Where the bucket's service listens [default: AWS_ENDPOINT_URL, else Amazon's]"
    )]
    endpoint: Option<String>,
    #[arg(
        long,
        value_name = "NAME",
        help = "The region requests are signed for [default: AWS_REGION, else us-east-1]"
    )]
    region: Option<String>,
    /// Ask bucket.host/key in place of host/bucket/key
    #[arg(long)]
    virtual_hosted: bool,
    /// Speak plain HTTP, to a service on this machine or behind a tunnel
    #[arg(long)]
    allow_http: bool,
    /// How long one request (8 MiB at most) may take
    #[arg(long, value_name = "SECONDS", default_value_t = crate::bucket::DEFAULT_TIMEOUT.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..))]
    bucket_timeout: u64,
}

impl BucketArgs {
    /// Makes ready to ask.
    pub(super) fn open(&self, place: &Place) -> Result<Bucket, OpenBucketError> {
        let access = Access {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            virtual_hosted: self.virtual_hosted,
            allow_http: self.allow_http,
            timeout: Some(Duration::from_secs(self.bucket_timeout)),
        };
        Bucket::open(place, &access)
    }
}

#[derive(Debug, Args)]
pub(super) struct PushArgs {
    #[arg(long, value_name = "BUCKET", help = "The bucket: s3://bucket/prefix")]
    publish_to: Place,
    /// Follow the bucket's generation NUMBER with ours, although its history is another: after a restored backup
    #[arg(long, value_name = "NUMBER")]
    take_over: Option<u64>,
    /// Send every file of the newest generation, whatever the bucket says it has: after one was lost or altered there
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    access: BucketArgs,
    #[command(flatten)]
    data: Data,
}

pub(super) fn push(args: &PushArgs) -> Outcome {
    let home = Home::at(&args.data.folder);
    let mut pusher = pusher(&args.publish_to, &args.access, &home)?;
    if let Some(number) = args.take_over {
        pusher.take_over(number);
    }
    if args.again {
        pusher.send_again();
    }
    match pusher.push()? {
        Pushed::Empty => return Err("the local store holds no generation yet".into()),
        Pushed::Unchanged { number } => {
            println!("generation {number} is in {} already", pusher.place());
        }
        Pushed::Moved {
            number,
            files,
            octets,
        } => println!(
            "generation {number} is in {}: {files} files sent, {octets} octets",
            pusher.place()
        ),
    }
    let mut gone = 0;
    loop {
        let swept = pusher.sweep(keep(&args.keeping), now())?;
        gone += swept.gone;
        if swept.is_done {
            break;
        }
    }
    if gone > 0 {
        println!("{gone} old files removed");
    }
    Ok(ExitCode::SUCCESS)
}

fn pusher(
    place: &Place,
    access: &BucketArgs,
    home: &Home,
) -> Result<Pusher, Box<dyn std::error::Error>> {
    if let Place::Web(_) = place {
        return Err(OpenBucketError::ReadOnly(place.clone()).into());
    }
    let bucket = access.open(place)?;
    Ok(Pusher::new(
        bucket,
        home.store(),
        read_pins(&home.seal_pin())?,
    ))
}

fn keep(keeping: &Keeping) -> Keep {
    Keep {
        objects_secs: keeping.keep_for,
        manifests_secs: keeping.keep_manifests_for,
    }
}

/// The thread that tells the outside.
pub(super) struct Outward {
    wakes: SyncSender<()>,
    thread: Option<JoinHandle<PushError>>,
}

impl Outward {
    /// Starts it, if there is anybody to tell.
    pub(super) fn start(
        args: &OutwardArgs,
        home: &Home,
        metrics: OutwardMetrics,
    ) -> Result<Outward, Box<dyn std::error::Error>> {
        let (wakes, woken) = sync_channel(1);
        let nudger = Nudger::start(&args.nudge, &metrics)?;
        let pusher = args
            .publish_to
            .as_ref()
            .map(|place| pusher(place, &args.access, home))
            .transpose()?;
        let thread = (nudger.is_some() || pusher.is_some())
            .then(|| {
                let telling = Telling::new(pusher, nudger, keep(&args.keeping), metrics);
                std::thread::Builder::new()
                    .name("outward".to_owned())
                    .spawn(move || telling.go_on(&woken))
            })
            .transpose()?;
        Ok(Outward { wakes, thread })
    }

    /// There is a new generation.
    pub(super) fn wake(&self) {
        // Full: a wake is waiting already. Nobody there: nobody to tell.
        let _ = self.wakes.try_send(());
    }

    /// Whether it met something that a person has to look at.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// What it met.
    pub(super) fn why(self) -> Outcome {
        match self.thread.map(JoinHandle::join) {
            Some(Ok(error)) => Err(error.into()),
            _ => Err("the thread that tells the outside has ended".into()),
        }
    }
}

/// Whether the edges are to hear of something.
struct News(bool);

impl Default for News {
    /// What was published before we began is told as well: the last run may have been killed before it could.
    fn default() -> Self {
        News(true)
    }
}

impl News {
    /// There is a new generation.
    fn come(&mut self) {
        self.0 = true;
    }

    /// A push came to this. One that failed may have moved the pointer and lost the answer that said so: the next one finds
    /// nothing to do then.
    fn pushed(&mut self, outcome: &Result<Pushed, PushError>) {
        self.0 |= matches!(outcome, Ok(Pushed::Moved { .. }) | Err(_));
    }

    /// They are told now, if there is anything; once.
    fn go_out(&mut self) -> bool {
        std::mem::take(&mut self.0)
    }
}

struct Telling {
    pusher: Option<Pusher>,
    nudger: Option<Nudger>,
    keep: Keep,
    metrics: OutwardMetrics,
    news: News,
    /// Failures in a row, and what was logged of them.
    failures: u32,
    told: Vec<String>,
}

impl Telling {
    fn new(
        mut pusher: Option<Pusher>,
        nudger: Option<Nudger>,
        keep: Keep,
        metrics: OutwardMetrics,
    ) -> Telling {
        if let Some(pusher) = &mut pusher {
            metrics.begin(now());
            let sent = metrics.clone();
            pusher.tell_sent(move |octets| sent.sent(octets));
        }
        Telling {
            pusher,
            nudger,
            keep,
            metrics,
            news: News::default(),
            failures: 0,
            told: Vec::new(),
        }
    }

    /// Ends only with an error that trying again would make worse.
    fn go_on(mut self, woken: &Receiver<()>) -> PushError {
        loop {
            match self.tell() {
                Err(error) if error.is_final() => return error,
                Err(error) => {
                    self.fail(&sentence(&error));
                    std::thread::sleep(self.pause());
                }
                Ok(()) => {
                    self.recover();
                    // A wake or, for the sweep's sake, a while; what is pushed next does not wait for the sweep's end.
                    let pause = if self.sweep() { A_WHILE } else { A_MOMENT };
                    if woken.recv_timeout(pause) == Ok(()) && self.pusher.is_none() {
                        self.news.come();
                    }
                }
            }
        }
    }

    fn tell(&mut self) -> Result<(), PushError> {
        if let Some(pusher) = &mut self.pusher {
            let outcome = pusher.push();
            self.metrics.pushed(&outcome, now());
            self.news.pushed(&outcome);
            if let Pushed::Moved {
                number,
                files,
                octets,
            } = outcome?
            {
                let place = pusher.place();
                tracing::info!(generation = number, files, octets, %place, "generation pushed");
            }
        }
        if let (true, Some(nudger)) = (self.news.go_out(), &self.nudger) {
            nudger.nudge();
        }
        Ok(())
    }

    /// One step of a sweep; whether there is nothing left to do. What is not removed now is found again: no push, and no
    /// nudge, depends on it.
    fn sweep(&mut self) -> bool {
        let Some(pusher) = &mut self.pusher else {
            return true;
        };
        match pusher.sweep(self.keep, now()) {
            Ok(swept) => {
                self.metrics.swept(swept.gone);
                if swept.gone > 0 {
                    let place = pusher.place();
                    tracing::info!(gone = swept.gone, %place, "old files removed from the bucket");
                }
                swept.is_done
            }
            Err(error) => {
                self.metrics.sweep_failed();
                tracing::warn!(reason = %sentence(&error), "sweep: old files stay in the bucket for another hour");
                true
            }
        }
    }

    fn fail(&mut self, reason: &str) {
        self.failures = self.failures.saturating_add(1);
        if self.told.len() < MAX_REASONS && !self.told.iter().any(|told| told == reason) {
            tracing::error!(
                reason,
                "push: failed, and will be tried again; generations go on here"
            );
            self.told.push(reason.to_owned());
        }
    }

    fn recover(&mut self) {
        if self.failures > 0 {
            tracing::info!(failures = self.failures, "push: goes on again");
        }
        self.failures = 0;
        self.told.clear();
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(100 << self.failures.min(7))
    }
}

/// Different reasons that are logged before something goes well again.
const MAX_REASONS: usize = 16;
/// Without a new generation the thread looks around this often.
const A_WHILE: Duration = Duration::from_secs(60);
/// Between two steps of a sweep.
const A_MOMENT: Duration = Duration::from_millis(50);

pub(super) const PUSH_EXAMPLES: &str = "\
Examples:
  export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…
  hufu-loader push --data hufu-data --publish-to s3://status/city
  hufu-loader push --data hufu-data --publish-to s3://status/city --endpoint http://127.0.0.1:9000 --allow-http

`hufu-loader run --publish-to` does this after each generation. An object that was lost or altered in the bucket (edges say
missing, or altered) is sent again by
  hufu-loader push --again --data hufu-data --publish-to s3://status/city
Exit code 1, and nothing moved, if another publisher is at
work in the bucket. After a restored backup whose numbers lie behind the bucket's generation 100:
  hufu-loader publish --data hufu-data --above 100
  hufu-loader push --data hufu-data --publish-to s3://status/city --take-over 100
and at each edge, with its follower stopped:
  hufu-loader follow --once --accept-fork 101 --store s3://status/city --edge DIR --pin FILE";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::{BucketError, Fault};

    #[test]
    fn a_push_whose_answer_was_lost_is_told_to_nobody() {
        let mut news = News::default();
        assert!(news.go_out() && !news.go_out());
        let away = BucketError {
            action: "write",
            place: "s3://b/current".to_owned(),
            fault: Fault::Away,
            words: "timed out".to_owned(),
        };
        // The pointer had moved; that push ends without anybody told, and the next one finds nothing to do.
        news.pushed(&Err(away.into()));
        news.pushed(&Ok(Pushed::Unchanged { number: 7 }));
        assert!(news.go_out());
        news.pushed(&Ok(Pushed::Unchanged { number: 7 }));
        assert!(!news.go_out());
        news.pushed(&Ok(Pushed::Moved {
            number: 8,
            files: 1,
            octets: 9,
        }));
        assert!(news.go_out() && !news.go_out());
    }
}
