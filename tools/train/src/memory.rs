//! Settings of the C library's allocator, which libtorch uses.
#![allow(unsafe_code)]

/// Keeps freed memory in the process. Every operation of libtorch allocates its result. By default
/// glibc returns large blocks to the kernel when they are freed, and gets them back as zeroed
/// pages. This took up to half of the time in training on a CPU. Must be called before the first
/// tensor is made. Does nothing without glibc.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const NEVER: i32 = i32::MAX;
        let options = [
            // One arena: those of further threads shrink whatever the threshold is.
            (libc::M_ARENA_MAX, 1),
            (libc::M_MMAP_MAX, 0),
            (libc::M_TRIM_THRESHOLD, NEVER),
            (libc::M_TOP_PAD, 64 << 20),
        ];
        for (option, value) in options {
            // SAFETY: mallopt takes two integers and refuses what it does not know; it may be
            // called at any time. A refusal only costs speed.
            let _accepted = unsafe { libc::mallopt(option, value) };
        }
    }
}
