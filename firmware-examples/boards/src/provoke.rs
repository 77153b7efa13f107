//! Failures on demand, so that the test can see how the board reports them.

use core::hint::black_box;

/// Fails in the way that a line asks for; other lines pass.
pub fn provoke(line: &str) {
    match line {
        "!panic" => panic!("provoked"),
        "!fault" => read_what_cannot_be(),
        "!overflow" => _ = black_box(recurse(black_box(0))),
        "!hang" => loop {
            black_box(());
        },
        _ => {}
    }
}

fn read_what_cannot_be() {
    let address = core::ptr::with_exposed_provenance::<u32>(crate::board::UNREADABLE);
    // SAFETY: nothing is readable there (see the board's `board.rs`): the fault that the test is after comes before any
    // value does.
    black_box(unsafe { address.read_volatile() });
}

/// Never returns: each call keeps a frame.
#[inline(never)]
#[expect(unconditional_recursion, reason = "the stack is to overflow")]
fn recurse(depth: u32) -> u32 {
    let frame = black_box([depth; 64]);
    recurse(frame[0].wrapping_add(1)).wrapping_add(black_box(frame)[1])
}
