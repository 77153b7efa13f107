//! The hash that places tokens in a vocabulary's table, as [`super::vocabulary`] defines it.

const BASE: u32 = 0x2C1B_3C6D;
const CONTINUATION: u32 = 0x85EB_CA6B;
const SPREAD: u32 = 0x9E37_79B1;

/// Maximum number of characters for which [`part`] computes a hash.
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

/// Returns the hash of a token, given without its prefix `##`.
#[must_use]
pub fn of(text: &str) -> u32 {
    text.chars().fold(0, |hash, c| push(hash, c.into()))
}

/// Returns the hash of a text with one more code point at its end.
#[inline]
pub(super) fn push(hash: u32, c: u32) -> u32 {
    hash.wrapping_mul(BASE).wrapping_add(c)
}

/// Returns the hash of the last `chars` characters of a text, from the hash of the whole text and
/// the hash of the characters before them. `chars` is at most [`MAX_CHARS`]; beyond that the hash
/// would be wrong.
#[inline]
pub(super) fn part(whole: u32, before: u32, chars: usize) -> u32 {
    let power = POWERS.get(chars).copied().unwrap_or(0);
    whole.wrapping_sub(before.wrapping_mul(power))
}

/// Returns the index of the slot, out of `2^slot_bits`, where the search for a token begins.
///
/// `hash` is the hash of the token without its prefix, and `continuation` says whether it has one.
/// `slot_bits` is taken modulo 32, and then 0 counts as 1.
#[inline]
#[must_use]
pub fn first_slot(hash: u32, continuation: bool, slot_bits: u32) -> usize {
    let hash = if continuation { hash ^ CONTINUATION } else { hash };
    (hash.wrapping_mul(SPREAD) >> (32 - (slot_bits & 31).max(1))) as usize
}
