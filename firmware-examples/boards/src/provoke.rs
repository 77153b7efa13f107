//! Failures on demand, so that a test can check how the board reports them.

use core::hint::black_box;

/// Fails in the way that `line` requests. Does nothing for other lines.
pub fn provoke(line: &str) {
    match line {
        "!panic" => panic!("provoked"),
        "!fault" => read_invalid_address(),
        "!overflow" => _ = black_box(recurse(black_box(0))),
        "!rot" => crate::memory::rot(8 << 20),
        "!hang" => loop {
            black_box(());
        },
        _ => {}
    }
}

fn read_invalid_address() {
    let address = core::ptr::with_exposed_provenance::<u32>(crate::board::UNREADABLE);
    // SAFETY: nothing is readable at this address (see `board.rs` of the board). The fault that the
    // test expects occurs before any value is read.
    black_box(unsafe { address.read_volatile() });
}

/// Overflows the stack, because each call keeps its frame.
#[inline(never)]
#[expect(unconditional_recursion, reason = "the stack is to overflow")]
fn recurse(depth: u32) -> u32 {
    let frame = black_box([depth; 64]);
    recurse(frame[0].wrapping_add(1)).wrapping_add(black_box(frame)[1])
}
