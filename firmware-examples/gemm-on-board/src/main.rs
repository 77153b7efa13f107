//! Receives its arguments by semihosting. `KERNELS ROWS DEPTH COLUMNS TIMES` runs one int8 GEMM
//! TIMES times. Nothing else in the program depends on TIMES. `benches/instructions` computes the
//! difference between two runs.
//!
//! `check` compares the GEMM of every kernel set with plain loops, for many shapes and extreme
//! values. The proptests of `electra-core` do not run without an operating system.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use electra_core::Kernels;
use semihosting::experimental::env;
use semihosting::{eprintln, print, println, process};

/// Largest GEMM: 32 rows, depth by columns 1024 x 256 or 256 x 1024.
const ROWS: usize = 32;
const WIDE: usize = 1024;
const WEIGHTS: usize = 1024 * 256;

#[cortex_m_rt::entry]
fn main() -> ! {
    // `entry` turns these into references. Each can be taken once.
    static mut A: [u8; ROWS * WIDE] = [0; ROWS * WIDE];
    static mut WEIGHTS_OF_ALL: Weights = Weights([0; WEIGHTS]);
    static mut SUMS: [i32; WIDE] = [0; WIDE];
    static mut OUT: [i32; ROWS * WIDE] = [0; ROWS * WIDE];
    process::exit(match run(A, &mut WEIGHTS_OF_ALL.0, SUMS, OUT) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("gemm-on-board: {error}");
            2
        }
    })
}

/// Weights, aligned as in a model file.
#[repr(align(64))]
struct Weights([i8; WEIGHTS]);

fn run(a: &mut [u8], weights: &mut [i8], sums: &[i32], out: &mut [i32]) -> Result<(), &'static str> {
    const USAGE: &str = "usage: check | KERNELS ROWS DEPTH COLUMNS TIMES";
    let arguments = env::args::<128>().map_err(|_| USAGE)?;
    let mut arguments = (&arguments).into_iter().skip(1);
    let kernels = arguments.next().and_then(Result::ok).ok_or(USAGE)?;
    if kernels == "check" {
        return check(a, weights, sums, out);
    }
    let kernels = Kernels::by_name(kernels).map_err(|_| "no such kernels on this processor")?;
    let mut number = || arguments.next().and_then(Result::ok).and_then(|text| text.parse().ok()).ok_or(USAGE);
    let (rows, depth, columns, times): (usize, usize, usize, usize) =
        (number()?, number()?, number()?, number()?);
    let fits = "shape: larger than this program's memory";
    let a = a.get_mut(..rows * depth).ok_or(fits)?;
    let weights = weights.get_mut(..columns * depth).ok_or(fits)?;
    let sums = sums.get(..columns).ok_or(fits)?;
    let out = out.get_mut(..rows * columns).ok_or(fits)?;
    let byte = |i: usize| (i * 37 % 255) as u8;
    a.iter_mut().enumerate().for_each(|(i, a)| *a = byte(i));
    weights.iter_mut().enumerate().for_each(|(i, weight)| *weight = (byte(i) as i8).max(-127));
    for _ in 0..times {
        kernels.gemm(a, depth, weights, sums, out);
    }
    println!("{:08x}", out.iter().fold(0u32, |hash, sum| hash.rotate_left(5) ^ *sum as u32));
    Ok(())
}

/// Compares the GEMM of every kernel set with plain loops. Activations may be -128, which encodes
/// the probability 0. Weights may not. Rows may start at any address.
fn check(a: &mut [u8], weights: &mut [i8], sums: &[i32], out: &mut [i32]) -> Result<(), &'static str> {
    let mut state = 1u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let byte = (state >> 24) as i8;
        match state >> 16 & 7 {
            0 => -128,
            1 => 127,
            2 => 0,
            _ => byte,
        }
    };
    let mut products = 0;
    for rows in 1..=9 {
        for depth in (4..=76).step_by(4).chain([256, 260, 512, 1024]) {
            let (columns, offset) = (16 * (1 + rows % 3), depth / 4 % 4);
            let a = &mut a[offset..offset + rows * depth];
            let weights = &mut weights[..columns * depth];
            a.iter_mut().for_each(|a| *a = next() as u8);
            weights.iter_mut().for_each(|weight| *weight = next().max(-127));
            // The largest possible sums.
            if depth == 1024 {
                a.fill(-128i8 as u8);
                weights.fill(if rows % 2 == 0 { -127 } else { 127 });
            }
            for kernels in Kernels::all() {
                let out = &mut out[..rows * columns];
                out.fill(i32::MIN);
                kernels.gemm(a, depth, weights, &sums[..columns], out);
                for (i, out) in out.iter().enumerate() {
                    let (row, column) = (i / columns, i % columns);
                    let expected: i32 = (0..depth)
                        .map(|k| {
                            let at = column / 16 * 16 * depth + k / 4 * 64 + column % 16 * 4 + k % 4;
                            i32::from(a[row * depth + k] as i8) * i32::from(weights[at])
                        })
                        .sum();
                    if *out != expected {
                        eprintln!("{} rows {rows} depth {depth} at {row}, {column}", kernels.name());
                        return Err("other sums than those of plain loops");
                    }
                    products += 1;
                }
            }
        }
    }
    for (index, kernels) in Kernels::all().enumerate() {
        print!("{}{}", if index == 0 { "" } else { ", " }, kernels.name());
    }
    println!(": {products} sums are those of plain loops");
    Ok(())
}
