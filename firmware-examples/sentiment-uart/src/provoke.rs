//! Failures on demand, so that the test can see how the board reports them.

use core::hint::black_box;

/// Fails in the way that a line asks for; other lines pass.
pub fn provoke(line: &str) {
    match line {
        "!panic" => panic!("provoked"),
        // SAFETY: the MPU forbids this address (see `board::stack`): the fault that the test is after comes before any
        // value does.
        "!fault" => _ = unsafe { core::ptr::with_exposed_provenance::<u32>(0x1F00_0000).read_volatile() },
        "!overflow" => _ = black_box(recurse(black_box(0))),
        _ => {}
    }
}

/// Never returns: each call keeps a frame.
#[inline(never)]
#[expect(unconditional_recursion, reason = "the stack is to overflow")]
fn recurse(depth: u32) -> u32 {
    let frame = black_box([depth; 64]);
    recurse(frame[0].wrapping_add(1)).wrapping_add(black_box(frame)[1])
}
