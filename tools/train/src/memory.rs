//! Settings of the C library's allocator, which libtorch uses.
#![allow(unsafe_code)]

/// Keeps freed memory in the process. Every operation of libtorch allocates its result. By default
/// glibc returns the memory at the end of the heap to the kernel when it is freed, and gets it back
/// as zeroed pages. This took up to half of the time in training on a CPU. Must be called before
/// the first tensor is made. Does nothing without glibc.
///
/// Blocks of 32 MiB and more are mapped one by one, and unmapped when they are freed. When they
/// were in the heap, too, fine-tuning MPNet-base, whose gradients are one block of 436 MB, grew by
/// 12 GB in 1,400 updates. The likely reason is that small blocks took parts of the freed large
/// ones. `startup` asks for large pages, with which mapping takes fewer page faults.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const NEVER: i32 = i32::MAX;
        let options = [
            // One arena: those of further threads shrink whatever the threshold is.
            (libc::M_ARENA_MAX, 1),
            // The largest value that glibc accepts. Setting it also keeps glibc from raising it.
            (libc::M_MMAP_THRESHOLD, 32 << 20),
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

/// Returns memory that was freed inside the heap to the kernel, which bounds what
/// [`keep_freed_memory`] keeps. The next updates get zeroed pages, so this is for pauses of a
/// training. Does nothing without glibc.
pub fn release_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: malloc_trim takes a number and may be called at any time.
        let _released = unsafe { libc::malloc_trim(0) };
    }
}
