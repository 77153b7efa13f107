//! How libtorch's memory comes from the C library.
#![allow(unsafe_code)]

/// Keeps freed memory in the process. Every operation of libtorch allocates its result; by default glibc gives large blocks
/// back to the kernel when they are freed and gets them as fresh zeroed pages the next time; in training on a CPU, up
/// to half of the time was seen to go into that. Must be called before the first tensor; without glibc it does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const NEVER: i32 = i32::MAX;
        let options = [
            // One arena: those of further threads shrink whatever the threshold.
            (libc::M_ARENA_MAX, 1),
            (libc::M_MMAP_MAX, 0),
            (libc::M_TRIM_THRESHOLD, NEVER),
            (libc::M_TOP_PAD, 64 << 20),
        ];
        for (option, value) in options {
            // SAFETY: mallopt takes two integers and refuses what it does not know; it may be called at any time. A refusal
            // costs speed only.
            let _accepted = unsafe { libc::mallopt(option, value) };
        }
    }
}
