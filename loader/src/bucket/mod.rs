//! A store in a bucket that speaks S3, or behind a web server: the same three names as in a folder (`store.rs`).
//!
//! ```text
//! <prefix>/objects/<blake3>                  written once, never changed
//! <prefix>/manifests/<number:020>.manifest   likewise; outlive the objects they name
//! <prefix>/current                           the pointer: replaced by compare-and-swap, and only then
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `place.rs` | `s3://bucket/prefix` and its kin |
//! | `client.rs` | the HTTP under it, bounded |
//! | `fault.rs` | what goes wrong, in words that stay the same |
//! | `source.rs` | reading, for a follower |
//! | `push.rs`, `upload.rs` | writing, for the one publisher |
//! | `sweep.rs` | what goes after a while |
//!
//! The outside is synchronous: each bucket has a runtime of its own, on the thread that calls. Requests that may be repeated
//! are repeated by the library, a few times and ever later; a conditional write may fail on its own success whose answer was
//! lost, so whoever makes one looks before believing the failure. Every payload's SHA-256 is part of what is signed, so the bucket refuses what was altered on
//! the way there; the other way the BLAKE3 in the name decides.

mod client;
mod fault;
mod place;
pub mod push;
mod source;
mod sweep;
#[cfg(test)]
mod trials;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore,
    ObjectStoreExt as _, PutMode, PutOptions, PutPayload, RetryConfig, UpdateVersion,
};
use tokio::runtime::Runtime;

pub use fault::{BucketError, Fault};
pub use place::Place;
pub use source::BucketSource;
pub use sweep::{Keep, Swept};

use client::{Caches, Connector};

use crate::digest::Digest;
use crate::store::manifest_name;

/// How a bucket is reached. Keys come from the environment (`AWS_ACCESS_KEY_ID` …), never from here.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Where the bucket's service listens, if it is not Amazon's.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: Option<String>,
    /// `bucket.host/key` in place of `host/bucket/key`.
    pub virtual_hosted: bool,
    /// Plain HTTP: for a bucket on this machine, or behind a tunnel.
    pub allow_http: bool,
    /// How long one request, of at most [`PIECE_OCTETS`], may take.
    pub timeout: Option<Duration>,
}

/// A bucket, or a web server that shows one.
pub struct Bucket {
    runtime: Runtime,
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// What people call it.
    name: PathBuf,
}

/// An object that was read whole, or a piece of it.
pub(super) struct Got {
    pub(super) octets: Vec<u8>,
    /// How long the whole object is.
    pub(super) total: u64,
    pub(super) tag: Option<String>,
}

/// Why a bucket cannot even be asked.
#[derive(Debug, thiserror::Error)]
pub enum OpenBucketError {
    /// A folder is no bucket.
    #[error("{0} is a folder; say s3://bucket/prefix or https://host/prefix")]
    Folder(Place),
    /// A web server takes nothing.
    #[error("{0} is for reading only; say s3://bucket/prefix to publish")]
    ReadOnly(Place),
    /// No keys: the library would ask a cloud's metadata service, which is not there, for a long time.
    #[error(
        "no keys for {0}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_SKIP_SIGNATURE=true for a bucket that anyone may read)"
    )]
    NoKeys(Place),
    /// Plain HTTP has to be asked for.
    #[error("{0} is plain HTTP; say --allow-http if that is meant")]
    PlainHttp(String),
    /// The settings do not fit together.
    #[error("{place}: {words}")]
    Settings {
        /// Which bucket.
        place: Place,
        /// What the library said.
        words: String,
    },
    /// No runtime: out of file descriptors.
    #[error("cannot make a runtime")]
    Runtime(#[from] std::io::Error),
}

impl Bucket {
    /// Makes ready to ask; no request is sent.
    ///
    /// # Errors
    /// If the place is a folder, the keys are not there, or the settings contradict one another.
    pub fn open(place: &Place, access: &Access) -> Result<Bucket, OpenBucketError> {
        // Twice is no error: whoever was first has installed the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = |error: object_store::Error| OpenBucketError::Settings {
            place: place.clone(),
            words: error.to_string(),
        };
        let (store, prefix): (Arc<dyn ObjectStore>, &str) = match place {
            Place::Folder(_) => return Err(OpenBucketError::Folder(place.clone())),
            Place::Web(url) => {
                refuse_plain_http(url, access)?;
                let builder = HttpBuilder::new()
                    .with_url(url.clone())
                    .with_retry(retries())
                    .with_http_connector(connector(access))
                    .with_client_options(options(access));
                (Arc::new(builder.build().map_err(settings)?), "")
            }
            Place::Bucket { name, prefix } => {
                let builder = s3(name, place, access)?;
                (Arc::new(builder.build().map_err(settings)?), prefix)
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Bucket {
            runtime,
            store,
            prefix: Key::from(prefix),
            name: PathBuf::from(place.to_string()),
        })
    }

    fn key(&self, folder: &str, name: &str) -> Key {
        self.prefix.clone().join(folder).join(name)
    }

    fn object_key(&self, digest: Digest) -> Key {
        self.key("objects", &digest.to_string())
    }

    fn manifest_key(&self, number: u64) -> Key {
        self.key("manifests", &manifest_name(number))
    }

    fn pointer_key(&self) -> Key {
        self.prefix.clone().join("current")
    }

    /// The publisher's question whether conditional writes are honoured.
    fn probe_key(&self) -> Key {
        self.prefix.clone().join("conditions")
    }

    /// What caches between the bucket and its followers are told: a pointer that a cache keeps is an old one, which
    /// followers refuse; all else never changes, and whoever finds it damaged asks past the caches.
    fn caching(&self, key: &Key) -> Attributes {
        let is_kept = *key != self.pointer_key() && *key != self.probe_key();
        let words = if is_kept {
            KEEP_FOR_EVER
        } else {
            ASK_EACH_TIME
        };
        Attributes::from_iter([(Attribute::CacheControl, words)])
    }

    /// What people call an object.
    fn place_of(&self, key: &Key) -> String {
        let below = key.prefix_match(&self.prefix).map(|parts| {
            let parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
            parts.join("/")
        });
        format!("{}/{}", self.name.display(), below.unwrap_or_default())
    }

    fn failed(&self, action: &'static str, key: &Key, error: &object_store::Error) -> BucketError {
        BucketError::of(action, self.place_of(key), error)
    }

    /// Reads an object of at most `limit` octets; only if it changed since `unless`.
    fn get(&self, key: &Key, unless: Option<String>, limit: u64) -> Result<Got, BucketError> {
        let options = GetOptions {
            if_none_match: unless,
            ..GetOptions::default()
        };
        self.read(key, options, limit)
    }

    /// Reads what never changes, or a piece of it, of at most `limit` octets.
    fn get_kept(
        &self,
        key: &Key,
        range: Option<std::ops::Range<u64>>,
        caches: Caches,
        limit: u64,
    ) -> Result<Got, BucketError> {
        let mut options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        options.extensions.insert(caches);
        self.read(key, options, limit)
    }

    fn read(&self, key: &Key, options: GetOptions, limit: u64) -> Result<Got, BucketError> {
        self.runtime.block_on(async {
            let failed = |error| self.failed("read", key, &error);
            let result = self.store.get_opts(key, options).await.map_err(failed)?;
            let (total, tag) = (result.meta.size, result.meta.e_tag.clone());
            let coming = result.range.end - result.range.start;
            if coming > limit {
                return Err(BucketError {
                    action: "read",
                    place: self.place_of(key),
                    fault: Fault::TooLong,
                    words: format!("it is longer than {limit} octets"),
                });
            }
            let octets = result.bytes().await.map_err(failed)?;
            Ok(Got {
                // Theirs already, if nobody else holds them: a manifest may be long.
                octets: octets.into(),
                total,
                tag,
            })
        })
    }

    /// How long an object is; none if it is not there.
    fn length(&self, key: &Key) -> Result<Option<u64>, BucketError> {
        match self.runtime.block_on(self.store.head(key)) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("look at", key, &error)),
        }
    }

    /// Writes an object; its entity tag, if the bucket told one.
    fn put(
        &self,
        key: &Key,
        octets: Vec<u8>,
        mode: PutMode,
    ) -> Result<Option<String>, BucketError> {
        let options = PutOptions {
            attributes: self.caching(key),
            ..PutOptions::from(mode)
        };
        let put = self.store.put_opts(key, PutPayload::from(octets), options);
        let outcome = self.runtime.block_on(put);
        outcome
            .map(|result| result.e_tag)
            .map_err(|error| self.failed("write", key, &error))
    }
}

/// Replaces an object only if it still has that entity tag; makes it only if there is none.
fn compare_and_swap(tag: Option<String>) -> PutMode {
    match tag {
        None => PutMode::Create,
        tag => PutMode::Update(UpdateVersion {
            e_tag: tag,
            version: None,
        }),
    }
}

fn s3(name: &str, place: &Place, access: &Access) -> Result<AmazonS3Builder, OpenBucketError> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    // Keys, a token of the cluster, a container's: anything but the metadata service of a machine in a cloud, which is
    // asked only if it is named.
    let known = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_METADATA_ENDPOINT",
        "AWS_SKIP_SIGNATURE",
    ];
    if !known.into_iter().any(set) {
        return Err(OpenBucketError::NoKeys(place.clone()));
    }
    // Endpoint and region may come from the environment too; permission to speak plain HTTP may not.
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(name)
        .with_virtual_hosted_style_request(access.virtual_hosted)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retries())
        .with_http_connector(connector(access))
        .with_client_options(options(access))
        .with_allow_http(access.allow_http);
    for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"] {
        if let (None, Ok(url)) = (&access.endpoint, std::env::var(name)) {
            refuse_plain_http(&url, access)?;
        }
    }
    if let Some(endpoint) = &access.endpoint {
        refuse_plain_http(endpoint, access)?;
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = &access.region {
        builder = builder.with_region(region);
    }
    Ok(builder)
}

fn refuse_plain_http(url: &str, access: &Access) -> Result<(), OpenBucketError> {
    if url.starts_with("http://") && !access.allow_http {
        return Err(OpenBucketError::PlainHttp(url.to_owned()));
    }
    Ok(())
}

fn connector(access: &Access) -> Connector {
    Connector {
        timeout: access.timeout.unwrap_or(DEFAULT_TIMEOUT),
    }
}

fn options(access: &Access) -> ClientOptions {
    ClientOptions::new().with_allow_http(access.allow_http)
}

/// For requests that may be repeated. Whoever called tries again later, so this need not be long.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(60),
    }
}

/// Of what is named by its octets, or by a number that is never used twice.
const KEEP_FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Of what is replaced. A conditional request costs next to nothing.
const ASK_EACH_TIME: &str = "no-cache";
/// A piece in this time is 140 kB a second: slower, and a day's packs would not come in a day.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// Read, and written, at a time; so much memory a transfer takes. S3 wants parts of at least 5 MiB.
pub const PIECE_OCTETS: u64 = 8 << 20;
