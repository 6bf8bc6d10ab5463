//! Nudges: tells edges that there is something new, so that they need not ask often. Nobody depends on one arriving.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::Client;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Sends nudges to a list of URLs.
pub(super) struct Nudger {
    runtime: Runtime,
    client: Client,
    urls: Vec<String>,
    /// Those that did not take the last one: said once.
    failing: HashSet<String>,
}

impl Nudger {
    /// None for an empty list.
    pub(super) fn new(urls: &[String]) -> Result<Option<Nudger>, Box<dyn std::error::Error>> {
        if urls.is_empty() {
            return Ok(None);
        }
        // Twice is no error: whoever was first has installed the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(PATIENCE).build()?;
        for url in urls {
            client.post(url).build().map_err(|error| {
                format!("--nudge {url}: {error}; say http://host:port/ or https://…")
            })?;
        }
        Ok(Some(Nudger {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            client,
            urls: urls.to_vec(),
            failing: HashSet::new(),
        }))
    }

    /// Nudges all, [`AT_ONCE`] at a time.
    pub(super) fn nudge(&mut self) {
        let results = self.runtime.block_on(send_all(&self.client, &self.urls));
        for (url, error) in results {
            match error {
                None => {
                    if self.failing.remove(&url) {
                        tracing::info!(url, "nudge: heard again");
                    }
                }
                Some(reason) => {
                    if self.failing.insert(url.clone()) {
                        tracing::warn!(
                            url,
                            reason,
                            "nudge: not heard; the edge finds out when it asks next"
                        );
                    }
                }
            }
        }
    }
}

async fn send_all(client: &Client, urls: &[String]) -> Vec<(String, Option<String>)> {
    let mut results = Vec::new();
    let mut under_way = JoinSet::new();
    for url in urls {
        if under_way.len() >= AT_ONCE
            && let Some(Ok(result)) = under_way.join_next().await
        {
            results.push(result);
        }
        let (request, url) = (client.post(url), url.clone());
        under_way.spawn(async move {
            let answer = request.send().await;
            let error = match answer.and_then(reqwest::Response::error_for_status) {
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            };
            (url, error)
        });
    }
    while let Some(result) = under_way.join_next().await {
        results.extend(result);
    }
    results
}

/// An edge that takes longer finds out by itself.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nudges under way.
const AT_ONCE: usize = 64;
