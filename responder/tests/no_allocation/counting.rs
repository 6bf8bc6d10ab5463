//! An allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Octets allocated and not freed, by this thread.
    static OWN: Cell<i64> = const { Cell::new(0) };
}

/// Those of all threads.
static EVERYWHERE: AtomicU64 = AtomicU64::new(0);
/// Octets allocated and not freed, by all threads.
static HELD: AtomicI64 = AtomicI64::new(0);

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let octets = layout.size() as i64;
        // A thread that ends has no counters left for what it still frees.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        let _ = OWN.try_with(|own| own.set(own.get() + octets));
        EVERYWHERE.fetch_add(1, Ordering::Relaxed);
        HELD.fetch_add(octets, Ordering::Relaxed);
        // SAFETY: the caller's promise is ours.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, octets: *mut u8, layout: Layout) {
        let size = layout.size() as i64;
        let _ = OWN.try_with(|own| own.set(own.get() - size));
        HELD.fetch_sub(size, Ordering::Relaxed);
        // SAFETY: the caller's promise is ours.
        unsafe { System.dealloc(octets, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One test at a time: the others' allocations would count.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|broken| broken.into_inner())
}

/// Allocations of this thread so far.
pub(crate) fn here() -> u64 {
    ALLOCATIONS.get()
}

/// Allocations of all threads so far.
pub(crate) fn everywhere() -> u64 {
    EVERYWHERE.load(Ordering::Relaxed)
}

/// Octets that the other threads hold.
pub(crate) fn held_by_others() -> i64 {
    HELD.load(Ordering::Relaxed) - OWN.get()
}
