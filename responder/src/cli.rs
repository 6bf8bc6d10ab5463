//! The program: its flags, and the order in which it starts and stops.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use hufu_loader::seal::{PublicKey, SealError, read_pins};
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use wire::time::UnixSeconds;

use crate::admin::{self, Admin};
use crate::config::{Config, ConfigError, Settings};
use crate::live::Shelf;
use crate::process;
use crate::reload::{Edge, Reload, with_causes};
use crate::server::Server;
use crate::tls::{Credentials, CredentialsError};

/// Answers OCSP requests and serves CRLs and issuer certificates from the newest generation in the edge folder.
/// Holds no key, writes no file.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Settings file (TOML, same names as the flags); flags override it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the settings and the pins, say what would be used, and stop.
    #[arg(long)]
    check: bool,
    /// Log lines as JSON.
    #[arg(long)]
    log_json: bool,
    /// Ask to be told to stop when this process, the parent, dies.
    #[arg(long, value_name = "PID", hide = true)]
    exit_with_parent: Option<u32>,
    #[command(flatten)]
    settings: Settings,
}

/// Why the program stops before or while it serves.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the loader's public key cannot be used")]
    Pin(#[from] SealError),
    #[error("the TLS listener has no certificate")]
    Tls(#[from] CredentialsError),
    #[error("cannot listen for OCSP on {address}")]
    Ocsp {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    #[error("cannot listen for operators on {address}")]
    Admin {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    #[error("the system refuses what the program needs to run")]
    System(#[from] std::io::Error),
    #[error(
        "a thread has ended that serves or takes new generations; this is a defect, and the supervisor should start the program anew"
    )]
    ThreadLost,
}

/// Runs the program with these arguments; the first is its name. Returns when it has been told to stop and has drained,
/// or cannot start: 0 done, 1 failed, 2 wrong usage.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version come this way too, with exit code 0.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let check = args.check;
    let parent = args.exit_with_parent;
    let (config, pins, credentials) = match settle(args) {
        Ok(settled) => settled,
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            return ExitCode::FAILURE;
        }
    };
    if check {
        println!("{config:#?}\n{} pinned key(s)", pins.len());
        return ExitCode::SUCCESS;
    }
    log_to_stderr(config.log_json);
    match process::exit_with_parent(parent)
        .map_err(StartError::from)
        .and_then(|()| serve(&config, pins, credentials))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = with_causes(&error), "stopped");
            ExitCode::FAILURE
        }
    }
}

/// What is served by: settings, pins, the TLS certificate if there is one.
type Settled = (Config, Vec<PublicKey>, Option<Arc<Credentials>>);

/// Flags, file and defaults; the pins and the TLS certificate they name.
fn settle(args: Args) -> Result<Settled, StartError> {
    let mut settings = args.settings;
    settings.log_json = args.log_json.then_some(true);
    if let Some(path) = &args.config {
        settings = settings.or(Settings::read(path)?);
    }
    let config = settings.check()?;
    let mut pins = Vec::new();
    for path in &config.pins {
        pins.extend(read_pins(path)?);
    }
    let credentials = match &config.tls {
        Some(tls) => Some(Arc::new(Credentials::load(&tls.certificate, &tls.key)?)),
        None => None,
    };
    Ok((config, pins, credentials))
}

/// From the first look at the edge folder to the last connection's end.
fn serve(
    config: &Config,
    pins: Vec<PublicKey>,
    credentials: Option<Arc<Credentials>>,
) -> Result<(), StartError> {
    let live_queue = config.live.as_ref().map_or(0, |live| live.queue);
    process::raise_file_limit(config.max_connections + live_queue);

    // The newest generation first, so that the first client is answered from it. Without one: tryLater until it comes.
    let edge = Arc::new(Edge::with(config.live.as_ref().map(Shelf::new)));
    let mut reload = Reload::new(config.edge.clone(), pins, Arc::clone(&edge));
    reload.look(Instant::now());

    // Signals before listeners: who sees the port open may already send SIGTERM.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    let mut stop = runtime.block_on(async { StopSignals::new() })?;

    // Both ports before any thread: a taken port leaves nothing to clean up.
    let admin_address = config.admin;
    let admin_listener = runtime
        .block_on(tokio::net::TcpListener::bind(admin_address))
        .map_err(|source| StartError::Admin {
            address: admin_address,
            source,
        })?;
    let server =
        Server::start(config, &edge, credentials.as_ref()).map_err(|source| StartError::Ocsp {
            address: config.ocsp,
            source,
        })?;
    let (reloading, reload_stops) = mpsc::channel();
    let reload_thread = std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn({
            let poll = config.poll;
            move || reload.run(poll, &reload_stops)
        })?;
    let (watching, watch_stops) = mpsc::channel();
    if let Some(credentials) = credentials {
        // Ends with the process; nothing waits for it.
        std::thread::Builder::new()
            .name("tls-files".to_owned())
            .spawn(move || credentials.watch(&watch_stops))?;
    }
    tracing::info!(
        ocsp = %server.address(),
        admin = %admin_listener.local_addr()?,
        workers = config.workers,
        "listening"
    );
    if let Some(tls) = server.tls_address() {
        tracing::info!(%tls, "behind TLS as well");
    }

    // Serve until told to stop.
    let admin = Rc::new(Admin {
        edge: Arc::clone(&edge),
        counters: server.counters(),
        max_connections: config.max_connections,
        live_queue,
        clock: unix_now,
    });
    let telling = runtime.spawn_local(admin::serve(admin, admin_listener));
    let served = runtime.block_on(until_stopped(&mut stop, || {
        server.lost_a_worker() || reload_thread.is_finished()
    }));

    // Stop in the opposite order; operators see "draining" until the end.
    edge.draining.store(true, Ordering::Relaxed);
    let draining = runtime.spawn_blocking(move || server.drain());
    let cut_off = runtime.block_on(draining).unwrap_or_default();
    drop(reloading);
    drop(watching);
    let _ = reload_thread.join();
    telling.abort();
    tracing::info!(connections_cut_off = cut_off, "drained");
    served
}

/// Until a signal comes, or a thread is `lost` that it cannot do without: one that serves, or the one that takes new
/// generations, without which the last one would be served until it is stale.
async fn until_stopped(stop: &mut StopSignals, lost: impl Fn() -> bool) -> Result<(), StartError> {
    loop {
        tokio::select! {
            name = stop.next() => {
                tracing::info!(signal = name, "draining");
                return Ok(());
            }
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                if lost() {
                    return Err(StartError::ThreadLost);
                }
            }
        }
    }
}

/// What asks the program to stop.
struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn unix_now() -> UnixSeconds {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// One line an event, to stderr; `RUST_LOG` chooses more or less.
fn log_to_stderr(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Escape codes in a file or pipe would stand between a name and its value.
        .with_ansi(std::io::stderr().is_terminal());
    // Fails only if the embedding program has its own, which is then right.
    let _ = if json {
        lines.json().try_init()
    } else {
        lines.try_init()
    };
}
