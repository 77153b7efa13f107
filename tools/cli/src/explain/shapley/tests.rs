//! The oracle is the definition: the mean of the marginal contributions over all orders.

use std::convert::Infallible;

use super::*;

/// A game with a random value between 0 and 1 for each set. The index of a set has a bit per
/// player.
fn random_game(players: usize, random: &mut SplitMix64) -> Vec<f64> {
    (0..1usize << players).map(|_| random.next() as f64 / u64::MAX as f64).collect()
}

fn index(set: &[bool]) -> usize {
    set.iter().enumerate().map(|(player, &is_in)| usize::from(is_in) << player).sum()
}

fn game(table: &[f64]) -> Game {
    Game { players: table.len().ilog2() as usize, empty: table[0], whole: table[table.len() - 1] }
}

/// Returns the values of sets from the table of a game. Fails the test if a set is asked for twice.
fn lookup(table: &[f64]) -> impl FnMut(&[Vec<bool>]) -> Result<Vec<f64>, Infallible> + '_ {
    let mut seen = vec![false; table.len()];
    move |sets| {
        let value = |set: &Vec<bool>| {
            let index = index(set);
            assert!(!std::mem::replace(&mut seen[index], true), "set {index} is asked for twice");
            table[index]
        };
        Ok(sets.iter().map(value).collect())
    }
}

fn estimate_of(table: &[f64], samples: usize, seed: u64) -> Estimate {
    let samples = NonZeroUsize::new(samples).expect("not 0");
    let Ok(estimate) = estimate(game(table), samples, seed, lookup(table));
    estimate
}

fn sampled_of(table: &[f64], pairs: usize, seed: u64) -> Estimate {
    let Ok(estimate) = sampled(game(table), pairs, seed, lookup(table));
    estimate
}

/// Adds the marginal contributions of all orders that begin with the players in `set`.
fn add_orders(table: &[f64], set: usize, sums: &mut [f64], orders: &mut f64) -> f64 {
    let rest: Vec<usize> = (0..sums.len()).filter(|player| set >> player & 1 == 0).collect();
    if rest.is_empty() {
        *orders += 1.0;
        return 1.0;
    }
    let mut continuations = 0.0;
    for player in rest {
        let larger = set | 1 << player;
        let below = add_orders(table, larger, sums, orders);
        sums[player] += below * (table[larger] - table[set]);
        continuations += below;
    }
    continuations
}

fn by_definition(table: &[f64]) -> Vec<f64> {
    let (mut sums, mut orders) = (vec![0.0; game(table).players], 0.0);
    add_orders(table, 0, &mut sums, &mut orders);
    sums.iter().map(|sum| sum / orders).collect()
}

#[test]
fn few_players_have_exact_values() {
    let mut random = SplitMix64(7);
    for players in 3..=6 {
        for _ in 0..20 {
            let table = random_game(players, &mut random);
            let estimate = estimate_of(&table, 12, 1);
            assert_eq!((estimate.samples, estimate.evaluated), (0, table.len() - 2));
            for (found, expected) in estimate.contributions.iter().zip(by_definition(&table)) {
                assert!((found.value - expected).abs() < 1e-12, "{found:?}, expected {expected}");
                assert_eq!(found.standard_error, Some(0.0));
            }
        }
    }
}

/// The error of an estimate must be as large as its standard error says. A normal distribution has
/// 95.4 % of its values within two standard errors.
#[test]
fn sampled_values_are_within_their_standard_errors() {
    let mut random = SplitMix64(11);
    let (mut near, mut all) = (0, 0);
    for players in 3..=6 {
        for seed in 0..40 {
            let table = random_game(players, &mut random);
            let estimate = sampled_of(&table, 500, seed);
            assert_eq!(estimate.samples, 1000);
            for (found, expected) in estimate.contributions.iter().zip(by_definition(&table)) {
                let error = found.standard_error.expect("many pairs");
                assert!(error > 0.0 && error < 0.03, "{found:?}");
                assert!((found.value - expected).abs() < 5.0 * error, "{found:?}, expected {expected}");
                near += usize::from((found.value - expected).abs() < 2.0 * error);
                all += 1;
            }
        }
    }
    assert!((930..=975).contains(&(near * 1000 / all)), "{near} of {all}");
}

#[test]
fn contributions_add_up_in_every_game() {
    let mut random = SplitMix64(13);
    for players in 0..=8 {
        let table = random_game(players, &mut random);
        let expected = game(&table).whole - game(&table).empty;
        for samples in [1, 2, 3, 8, 100] {
            let estimate = estimate_of(&table, samples, samples as u64);
            let sum: f64 = estimate.contributions.iter().map(|found| found.value).sum();
            let expected = if players == 0 { 0.0 } else { expected };
            assert!((sum - expected).abs() < 1e-12, "{players} players: {sum}, expected {expected}");
            assert!(estimate.evaluated <= samples.next_multiple_of(2) * players);
        }
    }
}

#[test]
fn one_pair_is_exact_for_an_additive_game() {
    let worth = [0.25, -0.5, 0.125, 0.0, 1.0, 0.5];
    let value = |set: usize| -> f64 {
        worth
            .iter()
            .enumerate()
            .map(|(player, worth)| if set >> player & 1 == 1 { *worth } else { 0.0 })
            .sum()
    };
    let table: Vec<f64> = (0..1 << worth.len()).map(value).collect();
    let estimate = sampled_of(&table, 1, 3);
    assert_eq!((estimate.samples, estimate.evaluated), (2, 2 * (worth.len() - 1)));
    for (found, expected) in estimate.contributions.iter().zip(worth) {
        assert_eq!(*found, Contribution { value: expected, standard_error: None });
    }
    // The deviation of equal values is 0.
    assert!(sampled_of(&table, 4, 3).contributions.iter().all(|it| it.standard_error == Some(0.0)));
}

#[test]
fn a_player_without_effect_contributes_nothing() {
    let mut random = SplitMix64(17);
    for players in 2..=7 {
        let smaller = random_game(players - 1, &mut random);
        // The last player changes no value.
        let table = [&smaller[..], &smaller[..]].concat();
        for estimate in [estimate_of(&table, 60, 5), sampled_of(&table, 3, 5)] {
            assert_eq!(estimate.contributions[players - 1].value, 0.0);
            assert_eq!(estimate.contributions[players - 1].standard_error, Some(0.0));
        }
    }
}

#[test]
fn the_seed_decides_the_orders() {
    let table = random_game(8, &mut SplitMix64(19));
    let values = |seed| sampled_of(&table, 2, seed).contributions;
    assert_eq!(values(1), values(1));
    assert_ne!(values(1), values(2));
}

/// A reverse order balances a game in which only the first player to join gains.
#[test]
fn each_order_is_followed_by_its_reverse() {
    let table = [0.0, 1.0, 1.0, 1.0];
    for seed in 0..8 {
        for found in sampled_of(&table, 1, seed).contributions {
            assert_eq!(found.value, 0.5, "seed {seed}");
        }
    }
}

/// More players than an integer has bits, and more sets than one call takes.
#[test]
fn many_players_are_evaluated_in_several_calls() {
    let players = 1500;
    let game = Game { players, empty: 1.0, whole: 1.0 + players as f64 };
    let mut calls = 0;
    let value = |sets: &[Vec<bool>]| {
        calls += 1;
        let value = |set: &Vec<bool>| 1.0 + set.iter().filter(|&&is_in| is_in).count() as f64;
        Ok::<_, Infallible>(sets.iter().map(value).collect())
    };
    let Ok(estimate) = estimate(game, NonZeroUsize::new(2).expect("not 0"), 1, value);
    assert_eq!(estimate.evaluated, 2 * (players - 1));
    assert_eq!(calls, 3);
    assert!(estimate.contributions.iter().all(|found| (found.value - 1.0).abs() < 1e-9));
}

#[test]
fn the_first_error_is_returned() {
    let game = Game { players: 9, empty: 0.0, whole: 1.0 };
    let failed = estimate(game, NonZeroUsize::new(2).expect("not 0"), 1, |_| Err("no value"));
    assert_eq!(failed.expect_err("an error"), "no value");
}
