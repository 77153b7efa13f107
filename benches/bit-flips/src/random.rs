//! Random bits from a seed.

use std::ops::Range;

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
pub(crate) struct Random(u64);

impl Random {
    /// Returns the generator number `stream` of a seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed);
        Self(random.next() ^ Self(stream).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Returns the numbers of `count` different bits of these bytes, or of all their bits if they
    /// have fewer. Bit 8 i + k is bit k of byte i.
    pub(crate) fn bits(&mut self, bytes: &Range<usize>, count: usize) -> Vec<usize> {
        let len = bytes.len() * 8;
        let mut bits = Vec::with_capacity(count);
        while bits.len() < count.min(len) {
            // The remainder favours small numbers by less than one part in 2^37.
            let bit = bytes.start * 8 + (self.next() % len as u64) as usize;
            if !bits.contains(&bit) {
                bits.push(bit);
            }
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_different_and_inside_the_bytes() {
        for count in [16, 100] {
            let mut bits = Random::new(1, 0).bits(&(3..5), count);
            bits.sort_unstable();
            assert!(bits.into_iter().eq(24..40));
        }
        assert_ne!(Random::new(1, 0).bits(&(0..99), 9), Random::new(1, 1).bits(&(0..99), 9));
    }
}
