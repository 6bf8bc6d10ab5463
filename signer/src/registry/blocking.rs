//! The store for ordinary threads: the signing loops are processor-bound threads, not tasks.

use std::future::Future;
use std::io;

use super::Store;

/// A store and the runtime that drives it.
///
/// `registry.wait(|s| s.revision())` blocks this thread until the answer is there. May be shared by
/// threads. Never call it inside an async task.
#[derive(Debug)]
pub struct Blocking<S> {
    store: S,
    runtime: tokio::runtime::Runtime,
}

impl<S: Store> Blocking<S> {
    /// Builds a runtime and, inside it, the store.
    pub fn open<E: From<io::Error>, F: Future<Output = Result<S, E>>>(
        open: impl FnOnce() -> F,
    ) -> Result<Self, E> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let store = runtime.block_on(async { open().await })?;
        Ok(Self { store, runtime })
    }

    /// Asks the store and waits for the answer.
    pub fn wait<'s, F: Future>(&'s self, ask: impl FnOnce(&'s S) -> F) -> F::Output {
        self.runtime.block_on(async { ask(&self.store).await })
    }

    /// Drives a future to its end; for questions whose arguments are made on the spot
    /// (`registry.drive(registry.store().reserve(&[one], by))`).
    pub fn drive<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// The store itself, for async callers.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }
}
