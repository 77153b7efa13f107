//! The hash that places tokens in a vocabulary's table; [`super::vocabulary`] defines it.

const BASE: u32 = 0x2C1B_3C6D;
const CONTINUATION: u32 = 0x85EB_CA6B;
const SPREAD: u32 = 0x9E37_79B1;

/// Most characters in a part of a word whose hash [`part`] finds.
pub(super) const MAX_CHARS: usize = 100;

/// `BASE` to the power of the index, modulo 2³².
static POWERS: [u32; MAX_CHARS + 1] = powers();

const fn powers() -> [u32; MAX_CHARS + 1] {
    let mut powers = [1u32; MAX_CHARS + 1];
    let mut exponent = 1;
    while exponent <= MAX_CHARS {
        powers[exponent] = powers[exponent - 1].wrapping_mul(BASE);
        exponent += 1;
    }
    powers
}

/// Hash of a token, its prefix `##` left out.
#[must_use]
pub fn of(text: &str) -> u32 {
    text.chars().fold(0, |hash, c| push(hash, c.into()))
}

/// Hash of a text with one more code point at its end.
#[inline]
pub(super) fn push(hash: u32, c: u32) -> u32 {
    hash.wrapping_mul(BASE).wrapping_add(c)
}

/// Hash of the last `chars` characters of a text, from its own hash and that of what comes before them.
/// No part of more than [`MAX_CHARS`] characters is to be asked for: its hash would be wrong.
#[inline]
pub(super) fn part(whole: u32, before: u32, chars: usize) -> u32 {
    let power = POWERS.get(chars).copied().unwrap_or(0);
    whole.wrapping_sub(before.wrapping_mul(power))
}

/// Index of the slot, out of `2^slot_bits`, where the search for a token begins.
///
/// `hash` is that of the token without its prefix, and `continuation` says whether it has one; `slot_bits` is
/// taken modulo 32 and as 1 where that is 0.
#[inline]
#[must_use]
pub fn first_slot(hash: u32, continuation: bool, slot_bits: u32) -> usize {
    let hash = if continuation { hash ^ CONTINUATION } else { hash };
    (hash.wrapping_mul(SPREAD) >> (32 - (slot_bits & 31).max(1))) as usize
}
