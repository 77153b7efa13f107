//! One int8 GEMM.

use electra_core::Kernels;

/// Runs the GEMM of `rows` by `depth` activations and `depth` by `columns` weights `times` times.
/// Returns a hash of the sums.
pub fn run(kernels: Kernels, [rows, depth, columns, times]: [usize; 4]) -> u32 {
    let bytes = |len: usize| (0..len).map(|i| (i * 37 % 255) as i16 as u8);
    let a: Vec<u8> = bytes(rows * depth).collect();
    let weights: Vec<i8> = bytes(columns * depth).map(|byte| (byte as i8).max(-127)).collect();
    let sums = vec![0; columns];
    let mut out = vec![0; rows * columns];
    for _ in 0..times {
        kernels.gemm(&a, depth, &weights, &sums, &mut out);
    }
    out.iter().fold(0, |hash, sum| hash.rotate_left(5) ^ *sum as u32)
}
