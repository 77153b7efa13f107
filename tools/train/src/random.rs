//! Random numbers that depend only on a seed and a position, so that a resumed run draws the same
//! ones.

/// Purpose of a stream of random numbers. Different purposes never share numbers.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights.
    Weights = 1,
    /// Order of the data in one epoch.
    Order = 2,
    /// Choice of the masked positions.
    Masking = 3,
    /// Seed of libtorch's own generator, from which dropout or the seed of its streams is drawn.
    Torch = 4,
    /// Choice of examples by the caller.
    Selection = 5,
    /// Words that the generator of pre-training inserts.
    Samples = 6,
    /// Values that dropout drops on a CPU.
    Dropout = 7,
    /// Changes in copies of texts.
    Changes = 8,
    /// Choice of the texts that are kept back for dev.
    KeptBack = 9,
    /// Order of the batches of one epoch.
    Batches = 10,
}

/// The SplitMix64 generator (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014), with a new stream for every seed, purpose and index.
#[derive(Clone, Debug)]
pub struct Stream(u64);

impl Stream {
    /// Returns the stream of `purpose` at `index`, which is a step, an epoch, an input or a
    /// parameter.
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let mut state = mix(seed.wrapping_add(GOLDEN));
        state = mix(state ^ (purpose as u64).wrapping_mul(GOLDEN));
        Self(mix(state ^ index.wrapping_mul(GOLDEN)))
    }

    /// Returns 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Returns a uniform number below `bound`; 0 for a bound of 0. The bias of the multiplication
    /// is below bound / 2^64.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Returns a uniform number of at least 0 and below 1. It is a multiple of 2^-24, which is
    /// exact in f32.
    pub fn unit(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// Shuffles `items` (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// Moves `count` items, chosen at random, to the front. The others follow in no particular
    /// order.
    pub fn choose<T>(&mut self, items: &mut [T], count: usize) {
        for index in 0..count.min(items.len()) {
            let other = index + self.below(items.len() - index);
            items.swap(index, other);
        }
    }
}

/// Seeds libtorch's generators, on every device, for `step`. All threads draw from them, so only
/// the numbers that one thread draws are repeatable.
pub fn seed_torch(seed: u64, step: u64) {
    let value = Stream::new(seed, Purpose::Torch, step).next_u64();
    tch::manual_seed((value >> 1) as i64);
}

/// Returns a guard for a test that draws from libtorch's generator, which all tests of a process
/// share. While a test holds the guard, no other one draws.
#[cfg(test)]
pub(crate) fn torch_alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence_of_splitmix64() {
        // First outputs for the seed 1234567, as given with the reference implementation.
        let mut stream = Stream(1_234_567);
        assert_eq!(stream.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(stream.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn shuffling_keeps_the_items_and_depends_on_every_argument() {
        let order = |seed, purpose, index| {
            let mut items: Vec<u32> = (0..100).collect();
            Stream::new(seed, purpose, index).shuffle(&mut items);
            items
        };
        let first = order(1, Purpose::Order, 0);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(first, order(1, Purpose::Order, 0));
        assert_ne!(first, order(2, Purpose::Order, 0));
        assert_ne!(first, order(1, Purpose::Masking, 0));
        assert_ne!(first, order(1, Purpose::Order, 1));
    }

    #[test]
    fn numbers_below_a_bound_are_uniform() {
        let mut counts = [0_u32; 10];
        let mut stream = Stream::new(7, Purpose::Order, 0);
        for _ in 0..10_000 {
            counts[stream.below(10)] += 1;
        }
        // Five standard deviations of a binomial(10000, 0.1): 150.
        assert!(counts.iter().all(|&count| count.abs_diff(1000) < 150), "{counts:?}");
    }
}
