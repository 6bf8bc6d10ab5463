//! Nudges: tells edges that there is something new, so that they need not ask often. Nobody depends on one arriving, and
//! nobody waits for one: each edge has a task of its own, and an edge that is off delays neither the others nor the next
//! push.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::Notify;

use crate::metrics::OutwardMetrics;

/// Sends nudges to a list of URLs.
pub(super) struct Nudger {
    /// One an edge; a ring while the one before is under way is heard after it.
    bells: Vec<Arc<Notify>>,
}

impl Nudger {
    /// Begins a thread that waits for [`nudge`](Self::nudge); none for an empty list.
    pub(super) fn start(
        urls: &[String],
        metrics: &OutwardMetrics,
    ) -> Result<Option<Nudger>, Box<dyn std::error::Error>> {
        Nudger::waiting(urls, metrics, PATIENCE)
    }

    fn waiting(
        urls: &[String],
        metrics: &OutwardMetrics,
        patience: Duration,
    ) -> Result<Option<Nudger>, Box<dyn std::error::Error>> {
        if urls.is_empty() {
            return Ok(None);
        }
        // Twice is no error: whoever was first has installed the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // An edge that is in other hands must not send our requests to where only we can reach.
        let client = Client::builder().timeout(patience).redirect(Policy::none());
        let client = client.build()?;
        let mut tasks = Vec::new();
        let mut bells = Vec::new();
        for url in urls {
            client.post(url).build().map_err(|error| {
                format!("--nudge {url}: {error}; say http://host:port/ or https://…")
            })?;
            let bell = Arc::new(Notify::new());
            bells.push(Arc::clone(&bell));
            tasks.push(tell_forever(
                client.clone(),
                url.clone(),
                bell,
                metrics.clone(),
            ));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("nudges".to_owned())
            .spawn(move || {
                for task in tasks {
                    // They never end.
                    drop(runtime.spawn(task));
                }
                runtime.block_on(std::future::pending::<()>());
            })?;
        Ok(Some(Nudger { bells }))
    }

    /// Nudges all, and returns at once.
    pub(super) fn nudge(&self) {
        self.bells.iter().for_each(|bell| bell.notify_one());
    }
}

async fn tell_forever(client: Client, url: String, bell: Arc<Notify>, metrics: OutwardMetrics) {
    let mut is_failing = false;
    loop {
        bell.notified().await;
        let failure = match client.post(&url).send().await {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        metrics.nudged(failure.is_none());
        // Said once, until it is heard again.
        match &failure {
            None if is_failing => tracing::info!(url, "nudge: heard again"),
            Some(reason) if !is_failing => tracing::warn!(
                url,
                reason,
                "nudge: not heard; the edge finds out when it asks next"
            ),
            _ => {}
        }
        is_failing = failure.is_some();
    }
}

/// An edge that takes longer finds out by itself.
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::mpsc::{Receiver, channel};

    use crate::home::Home;
    use crate::metrics::RunMetrics;

    const LONG: Duration = Duration::from_secs(60);

    /// Tells of each connection, and answers it so.
    fn edge(answer: String) -> (String, Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (heard, hears) = channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer.as_bytes());
                drop(stream);
                let _ = heard.send(());
            }
        });
        (url, hears)
    }

    fn metrics() -> RunMetrics {
        RunMetrics::new(Home::at("nowhere")).unwrap()
    }

    #[test]
    fn an_edge_that_does_not_answer_delays_the_others() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent_url = format!("http://{}/", silent.local_addr().unwrap());
        let (url, hears) = edge("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".into());
        let metrics = metrics();
        // The silent one's first request is under way all the while.
        let urls = [silent_url, url];
        let nudger = Nudger::waiting(&urls, &metrics.outward(), LONG * 60);
        let nudger = nudger.unwrap().unwrap();
        for _ in 0..3 {
            nudger.nudge();
            hears.recv_timeout(LONG).unwrap();
        }
    }

    #[test]
    fn an_edge_sends_the_publishers_requests_elsewhere() {
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
        let there: SocketAddr = elsewhere.local_addr().unwrap();
        let (url, hears) = edge(format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{there}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ));
        let metrics = metrics();
        let nudger = Nudger::waiting(&[url], &metrics.outward(), LONG);
        nudger.unwrap().unwrap().nudge();
        hears.recv_timeout(LONG).unwrap();
        let counted = "hufu_loader_nudges_total{outcome=\"not_heard\"} 1";
        let began = std::time::Instant::now();
        while !metrics.text().unwrap().contains(counted) {
            assert!(began.elapsed() < LONG, "{}", metrics.text().unwrap());
            std::thread::sleep(Duration::from_millis(10));
        }
        elsewhere.set_nonblocking(true).unwrap();
        assert!(elsewhere.accept().is_err(), "it went where it was sent");
    }
}
