//! Shapley values: the share of each player of a game in the value of all players.
//!
//! The Shapley value of a player is the mean of its marginal contribution over all orders in which
//! the players can join (Shapley, "A value for n-person games", 1953). It is estimated from random
//! orders as in Castro, Gómez and Tejada, "Polynomial calculation of the Shapley value based on
//! sampling", Computers & Operations Research 36 (2009). Štrumbelj and Kononenko, "Explaining
//! prediction models and individual predictions with feature contributions", Knowledge and
//! Information Systems 41 (2014), explain predictions in this way.
//!
//! Each random order is followed by its reverse. A player that joins early in one of them joins
//! late in the other, so the mean of the pair usually varies less than that of two independent
//! orders.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::NonZeroUsize;

/// A game whose values without players and with all players are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Game {
    /// Number of players.
    pub players: usize,
    /// Value without players.
    pub empty: f64,
    /// Value with all players.
    pub whole: f64,
}

/// The contributions of all players. They add up to `whole - empty` of the game.
#[derive(Clone, Debug)]
pub(crate) struct Estimate {
    /// The contribution of each player.
    pub contributions: Vec<Contribution>,
    /// Number of orders that were drawn; 0 if the contributions are exact.
    pub samples: usize,
    /// Number of sets whose value was computed.
    pub evaluated: usize,
}

/// The contribution of one player.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Contribution {
    pub value: f64,
    /// Standard error of the mean over the pairs of orders. It is 0 if the contribution is exact,
    /// and `None` for a single pair.
    pub standard_error: Option<f64>,
}

/// Computes the Shapley values exactly, or estimates them from `samples` orders, rounded up to an
/// even number. `value` returns the value of each set of players; a set has one entry per player.
///
/// At most `samples * players` values are computed, each of them once. The contributions are exact
/// if the values of all sets are not more than that.
///
/// # Errors
/// Returns the errors of `value`.
pub(crate) fn estimate<E>(
    game: Game,
    samples: NonZeroUsize,
    seed: u64,
    value: impl FnMut(&[Vec<bool>]) -> Result<Vec<f64>, E>,
) -> Result<Estimate, E> {
    let pairs = samples.get().div_ceil(2);
    let most = pairs.saturating_mul(2).saturating_mul(game.players).saturating_add(2);
    let sets = u32::try_from(game.players).ok().and_then(|players| 1usize.checked_shl(players));
    match sets.filter(|&sets| sets <= most) {
        Some(sets) => exact(game, sets, value),
        None => sampled(game, pairs, seed, value),
    }
}

/// Computes the Shapley values from the values of all `sets`: the marginal contribution of a player
/// to a set of `size` others has the weight `1 / (players * binomial(players - 1, size))`.
fn exact<E>(
    game: Game,
    sets: usize,
    value: impl FnMut(&[Vec<bool>]) -> Result<Vec<f64>, E>,
) -> Result<Estimate, E> {
    let mut values = Values::new(game.players, value);
    for set in 1..sets.saturating_sub(1) {
        values.request(&(0..game.players).map(|player| set >> player & 1 == 1).collect::<Vec<_>>())?;
    }
    let inner = values.finish()?;
    let evaluated = inner.len();
    let value = |set: usize| match set {
        0 => game.empty,
        set if set + 1 == sets => game.whole,
        set => inner[set - 1],
    };
    let mut weights = vec![1.0 / game.players.max(1) as f64];
    for size in 1..game.players {
        weights.push(weights[size - 1] * size as f64 / (game.players - size) as f64);
    }
    let contribution = |player: usize| {
        let without = (0..sets).filter(|set| set >> player & 1 == 0);
        let marginals =
            without.map(|set| weights[set.count_ones() as usize] * (value(set | 1 << player) - value(set)));
        Contribution { value: marginals.sum(), standard_error: Some(0.0) }
    };
    Ok(Estimate { contributions: (0..game.players).map(contribution).collect(), samples: 0, evaluated })
}

/// Estimates the Shapley values from `pairs` of a random order and its reverse.
fn sampled<E>(
    game: Game,
    pairs: usize,
    seed: u64,
    value: impl FnMut(&[Vec<bool>]) -> Result<Vec<f64>, E>,
) -> Result<Estimate, E> {
    let mut random = SplitMix64(seed);
    let mut values = Values::new(game.players, value);
    let mut order: Vec<usize> = (0..game.players).collect();
    // For each order its players and, for each of them but the last, the index of the value that
    // the set has when the player has joined.
    let mut orders = Vec::with_capacity(2 * pairs);
    for _ in 0..pairs {
        random.shuffle(&mut order);
        for _ in 0..2 {
            let mut set = vec![false; game.players];
            let mut joined = Vec::with_capacity(game.players);
            for &player in order.iter().take(game.players.saturating_sub(1)) {
                set[player] = true;
                joined.push(values.request(&set)?);
            }
            orders.push((order.clone(), joined));
            order.reverse();
        }
    }
    let values = values.finish()?;
    let mut means = vec![Mean::default(); game.players];
    for pair in orders.chunks_exact(2) {
        let mut marginals = vec![0.0; game.players];
        for (order, joined) in pair {
            let after = joined.iter().map(|&index| values[index]).chain([game.whole]);
            let mut before = game.empty;
            for (&player, after) in order.iter().zip(after) {
                marginals[player] += (after - before) / 2.0;
                before = after;
            }
        }
        means.iter_mut().zip(marginals).for_each(|(mean, marginal)| mean.add(marginal));
    }
    let contributions = means.iter().map(Mean::contribution).collect();
    Ok(Estimate { contributions, samples: 2 * pairs, evaluated: values.len() })
}

/// Sets for which a value was requested. Values are computed for many sets in one call.
struct Values<F> {
    value: F,
    waiting: Vec<Vec<bool>>,
    values: Vec<f64>,
    /// The index of each set by its bits, for as many players as an integer has bits. Random orders
    /// of more players have hardly a set in common.
    known: Option<HashMap<u64, usize>>,
}

impl<E, F: FnMut(&[Vec<bool>]) -> Result<Vec<f64>, E>> Values<F> {
    /// Sets whose values are computed in one call. This limits the memory for many players.
    const TOGETHER: usize = 1024;

    fn new(players: usize, value: F) -> Self {
        let known = (players <= 64).then(HashMap::new);
        Self { value, waiting: Vec::new(), values: Vec::new(), known }
    }

    /// Requests the value of a set and returns its index in the result of [`Values::finish`].
    fn request(&mut self, set: &[bool]) -> Result<usize, E> {
        let index = self.values.len() + self.waiting.len();
        if let Some(known) = &mut self.known {
            let bits = set.iter().fold(0, |bits, &is_in| bits << 1 | u64::from(is_in));
            let first = *known.entry(bits).or_insert(index);
            if first < index {
                return Ok(first);
            }
        }
        self.waiting.push(set.to_vec());
        if self.waiting.len() == Self::TOGETHER {
            self.compute()?;
        }
        Ok(index)
    }

    fn compute(&mut self) -> Result<(), E> {
        if !self.waiting.is_empty() {
            self.values.extend((self.value)(&self.waiting)?);
            self.waiting.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<f64>, E> {
        self.compute()?;
        Ok(self.values)
    }
}

/// Mean and sum of squared deviations so far, computed as by Welford, "Note on a method for
/// calculating corrected sums of squares and products", Technometrics 4 (1962).
#[derive(Clone, Copy, Default)]
struct Mean {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let deviation = value - self.mean;
        self.mean += deviation / self.count;
        self.squares += deviation * (value - self.mean);
    }

    fn contribution(&self) -> Contribution {
        let standard_error =
            (self.count > 1.0).then(|| (self.squares / (self.count - 1.0) / self.count).sqrt());
        Contribution { value: self.mean, standard_error }
    }
}

/// Random numbers as by Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ bits >> 31
    }

    /// Shuffles as by Fisher and Yates. The multiplication maps 64 bits to an index; its bias is at
    /// most `items.len() / 2^64`.
    fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            let index = ((u128::from(self.next()) * (last as u128 + 1)) >> 64) as usize;
            items.swap(last, index);
        }
    }
}
