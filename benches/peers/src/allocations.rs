//! An allocator that counts allocations of all threads while counting is enabled. Otherwise it
//! costs one load of a flag, so measured times of an engine with many allocations stay the same.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

static WATCHING: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, which counts the calls that request memory.
pub struct Counting;

/// Counted requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocated {
    /// Number of requests.
    pub calls: u64,
    /// Sum of their sizes in bytes.
    pub bytes: u64,
}

/// Runs `work`. Returns its allocations, including those of its threads, and its result.
pub fn allocated_by<T>(work: impl FnOnce() -> T) -> (Allocated, T) {
    CALLS.store(0, Relaxed);
    BYTES.store(0, Relaxed);
    WATCHING.store(true, Relaxed);
    let result = work();
    WATCHING.store(false, Relaxed);
    (Allocated { calls: CALLS.load(Relaxed), bytes: BYTES.load(Relaxed) }, result)
}

fn count(bytes: usize) {
    if WATCHING.load(Relaxed) {
        CALLS.fetch_add(1, Relaxed);
        BYTES.fetch_add(bytes as u64, Relaxed);
    }
}

// SAFETY: every call is passed to the system's allocator unchanged. Counting neither allocates nor
// unwinds.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller's promises about `block`, `layout` and `size` are passed on.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises about `block` and `layout` are passed on.
        unsafe { System.dealloc(block, layout) }
    }
}
