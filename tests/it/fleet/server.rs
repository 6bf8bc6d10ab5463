//! An S3 server in this process, and a wire to it that can be slow, cut or gone.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hufu_tests::process::free_address;
use hyper::header::{ETAG, IF_NONE_MATCH, RANGE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};

use super::PATIENCE;

pub(super) const KEY: &str = "AKHUFU";
pub(super) const SECRET: &str = "a secret of the test's";
pub(super) const BUCKET: &str = "status";

/// What the server has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Requests in all.
    pub(super) requests: AtomicU64,
    /// Answers of 304.
    pub(super) unchanged: AtomicU64,
    /// First octets of the ranges asked of objects, in order.
    pub(super) ranges: Mutex<Vec<u64>>,
    /// Writes begun, of objects and parts.
    pub(super) writes: AtomicU64,
    /// This write is never answered, and so is none after it.
    pub(super) hold: Mutex<Option<Hold>>,
    /// The write that was to be carried out and not answered has been carried out.
    pub(super) lost: AtomicBool,
}

/// A write that is never answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    /// Which, from one.
    pub(super) write: u64,
    /// Whether it is carried out.
    pub(super) after: bool,
}

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doors {
    /// Whoever has the keys.
    Keys,
    /// Anyone, as through a web server that shows a bucket.
    Open,
}

/// A bucket service over a folder; stops when dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Seen>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts it over a folder in which the bucket is made.
    pub(super) fn start(root: &Path, address: SocketAddr, doors: Doors) -> Server {
        std::fs::create_dir_all(root.join(BUCKET)).unwrap();
        let service = service(root, doors);
        let seen = Arc::new(Seen::default());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let listener = listen(address).await;
                    ready.send(()).unwrap();
                    tokio::select! {
                        () = serve(listener, service, seen) => {}
                        _ = stopped => {}
                    }
                });
                // Connections end with the runtime, in the middle of whatever they did.
                runtime.shutdown_background();
            }
        });
        is_ready.recv().unwrap();
        Server {
            address,
            seen,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

/// Listens where a server before this one may have listened: a program that another thread is just starting holds for a
/// moment whatever this process had open.
async fn listen(address: SocketAddr) -> tokio::net::TcpListener {
    let began = Instant::now();
    loop {
        match tokio::net::TcpListener::bind(address).await {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && began.elapsed() < PATIENCE =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            bound => return bound.unwrap(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn service(root: &Path, doors: Doors) -> S3Service {
    let files = s3s_fs::FileSystem::new(root).unwrap();
    let mut builder = S3ServiceBuilder::new(files);
    if doors == Doors::Keys {
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    }
    builder.build()
}

async fn serve(listener: tokio::net::TcpListener, service: S3Service, seen: Arc<Seen>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (service, seen) = (service.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let (service, seen) = (service.clone(), Arc::clone(&seen));
                async move { answer(&service, &seen, request).await }
            });
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// The file server does not know If-None-Match on reads, which every bucket service does: it is added here.
async fn answer(
    service: &S3Service,
    seen: &Seen,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<s3s::Body>, s3s::HttpError> {
    seen.requests.fetch_add(1, Ordering::Relaxed);
    let mut lost = false;
    if request.method() == Method::PUT {
        let number = seen.writes.fetch_add(1, Ordering::Relaxed) + 1;
        let hold = *seen.hold.lock().unwrap();
        if let Some(hold) = hold.filter(|hold| number >= hold.write) {
            lost = hold.after && number == hold.write;
            if !lost {
                std::future::pending::<()>().await;
            }
        }
    }
    if request.uri().path().contains("/objects/")
        && let Some(range) = request.headers().get(RANGE)
    {
        let range = range.to_str().unwrap().trim_start_matches("bytes=");
        let from = range.split('-').next().unwrap().parse().unwrap();
        seen.ranges.lock().unwrap().push(from);
    }
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    let is_read = request.method() == Method::GET;
    let response = service.call(request.map(s3s::Body::from)).await?;
    if lost {
        seen.lost.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
    }
    if is_read && known.is_some() && response.headers().get(ETAG) == known.as_ref() {
        seen.unchanged.fetch_add(1, Ordering::Relaxed);
        let mut unchanged = Response::new(s3s::Body::empty());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(unchanged);
    }
    Ok(response)
}

/// How the wire behaves.
#[derive(Debug, Default)]
struct Settings {
    /// Octets that still come through towards the client before every connection is cut; none: no limit.
    left: Mutex<Option<u64>>,
    /// Milliseconds before each 16 KiB towards the client.
    slow_millis: AtomicU64,
    /// What is beyond those octets waits instead of being cut.
    stalls: AtomicBool,
    /// Accepts and closes at once.
    gone: AtomicBool,
}

impl Settings {
    /// How many of so many octets come through.
    fn take(&self, octets: usize) -> usize {
        let mut left = self.left.lock().unwrap();
        let Some(left) = left.as_mut() else {
            return octets;
        };
        let through = octets.min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= through as u64;
        through
    }

    /// Octets were lost here, so the connection ends afterwards.
    fn wait_while_stalled(&self) {
        while self.stalls.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A wire between a client and the server, with an address of its own.
pub(super) struct Wire {
    pub(super) address: SocketAddr,
    settings: Arc<Settings>,
    passed: Arc<AtomicU64>,
}

impl Wire {
    pub(super) fn to(server: SocketAddr) -> Wire {
        let address = free_address();
        let listener = TcpListener::bind(address).unwrap();
        let settings = Arc::new(Settings::default());
        let passed = Arc::new(AtomicU64::new(0));
        let wire = Wire {
            address,
            settings: Arc::clone(&settings),
            passed: Arc::clone(&passed),
        };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (settings, passed) = (Arc::clone(&settings), Arc::clone(&passed));
                std::thread::spawn(move || {
                    let _ = pass(&client, server, &settings, &passed);
                });
            }
        });
        wire
    }

    /// So many octets still come through, then every connection is cut.
    pub(super) fn cut_after(&self, octets: u64) {
        *self.settings.left.lock().unwrap() = Some(octets);
    }

    /// So many octets still come through, then nothing moves until it is mended or the client goes.
    pub(super) fn stall_after(&self, octets: u64) {
        self.settings.stalls.store(true, Ordering::Relaxed);
        self.cut_after(octets);
    }

    /// As it should be.
    pub(super) fn mend(&self) {
        *self.settings.left.lock().unwrap() = None;
        self.settings.stalls.store(false, Ordering::Relaxed);
        self.settings.gone.store(false, Ordering::Relaxed);
        self.settings.slow_millis.store(0, Ordering::Relaxed);
    }

    pub(super) fn slow_down(&self, millis: u64) {
        self.settings.slow_millis.store(millis, Ordering::Relaxed);
    }

    pub(super) fn go_away(&self) {
        self.settings.gone.store(true, Ordering::Relaxed);
        self.cut_after(0);
    }

    /// Octets that came through towards the client.
    pub(super) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

fn pass(
    client: &TcpStream,
    server: SocketAddr,
    settings: &Settings,
    passed: &AtomicU64,
) -> io::Result<()> {
    if settings.gone.load(Ordering::Relaxed) {
        return client.shutdown(Shutdown::Both);
    }
    let mut upstream = TcpStream::connect(server)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, upstream.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let mut to_client = client.try_clone()?;
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = upstream.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        let slow = settings.slow_millis.load(Ordering::Relaxed);
        if slow > 0 {
            std::thread::sleep(Duration::from_millis(slow));
        }
        let through = settings.take(read);
        to_client.write_all(&buffer[..through])?;
        passed.fetch_add(through as u64, Ordering::Relaxed);
        if through < read {
            if settings.stalls.load(Ordering::Relaxed) {
                settings.wait_while_stalled();
            }
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    upstream.shutdown(Shutdown::Both)
}

/// A bucket: its folder, the service, and how a program is told of it.
pub(super) struct Bucket {
    root: PathBuf,
    pub(super) server: Option<Server>,
    address: SocketAddr,
}

impl Bucket {
    pub(super) fn start(root: PathBuf) -> Bucket {
        let address = free_address();
        let server = Some(Server::start(&root, address, Doors::Keys));
        Bucket {
            root,
            server,
            address,
        }
    }

    pub(super) fn stop(&mut self) {
        self.server = None;
    }

    pub(super) fn start_again(&mut self) {
        self.server = Some(Server::start(&self.root, self.address, Doors::Keys));
    }

    pub(super) fn seen(&self) -> &Seen {
        &self.server.as_ref().unwrap().seen
    }

    pub(super) fn wire(&self) -> Wire {
        Wire::to(self.address)
    }

    /// Another service over the same folder, where no keys are asked for.
    pub(super) fn shown(&self) -> Server {
        Server::start(&self.root, free_address(), Doors::Open)
    }

    /// Forgets what the service noted of its files: somebody is about to write to its disk.
    pub(super) fn forget_notes(&self) {
        for entry in std::fs::read_dir(&self.root).unwrap().flatten() {
            if entry
                .file_name()
                .to_string_lossy()
                .ends_with(".internal.json")
            {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    /// The folder whose files are the bucket's objects.
    pub(super) fn folder(&self) -> PathBuf {
        self.root.join(BUCKET).join("city")
    }

    /// Tells a program how to reach the bucket, at the service's own address.
    pub(super) fn tell(&self, command: &mut Command) {
        tell(command, self.address);
    }
}

/// Tells a program how to reach the bucket.
pub(super) fn tell(command: &mut Command, address: SocketAddr) {
    command
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .args(["--allow-http", "--endpoint", &format!("http://{address}")]);
}
