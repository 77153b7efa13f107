//! Random numbers that depend on nothing but a seed and a position, so that a resumed run draws the same ones.

/// What a stream of random numbers is for; two purposes never share numbers.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights.
    Weights = 1,
    /// The order of the data in one epoch.
    Order = 2,
    /// Which positions are masked.
    Masking = 3,
    /// libtorch's own generator: dropout, or where that begins.
    Torch = 4,
    /// Examples picked by the caller.
    Selection = 5,
    /// Words that the generator of pre-training puts in.
    Samples = 6,
    /// What dropout drops on a CPU.
    Dropout = 7,
    /// What is changed in copies of texts.
    Changes = 8,
    /// Which texts are kept back to choose by.
    KeptBack = 9,
    /// The order of the batches of one epoch.
    Batches = 10,
}

/// The SplitMix64 generator (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), begun anew
/// for every seed, purpose and index.
#[derive(Clone, Debug)]
pub struct Stream(u64);

impl Stream {
    /// The numbers of `purpose` at `index`, which is a step, an epoch, an input or a parameter.
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let mut state = mix(seed.wrapping_add(GOLDEN));
        state = mix(state ^ (purpose as u64).wrapping_mul(GOLDEN));
        Self(mix(state ^ index.wrapping_mul(GOLDEN)))
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A uniform number below `bound`, 0 for a bound of 0. The bias of the multiplication is below bound / 2^64.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A uniform number from 0 up to and without 1, a multiple of 2^-24: exact in f32.
    pub fn unit(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// Puts `items` into random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// Moves `count` items, chosen at random, to the front; the others follow in no particular order.
    pub fn choose<T>(&mut self, items: &mut [T], count: usize) {
        for index in 0..count.min(items.len()) {
            let other = index + self.below(items.len() - index);
            items.swap(index, other);
        }
    }
}

/// Seeds libtorch's generators, on every device, for `step`. All threads draw from them: only what one thread draws is repeatable.
pub fn seed_torch(seed: u64, step: u64) {
    let value = Stream::new(seed, Purpose::Torch, step).next_u64();
    tch::manual_seed((value >> 1) as i64);
}

/// For a test that takes numbers from libtorch's generator, which all tests of a process share: it is alone while it holds this.
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
