//! `instruction-counts [KERNELS ROWS DEPTH COLUMNS TIMES]` runs one int8 GEMM TIMES times. Nothing
//! else in the program depends on TIMES, so the difference between the instruction counts of two
//! runs is the cost of the kernel. Without arguments it prints the names of the kernel sets of this
//! processor.
#![forbid(unsafe_code)]

use std::error::Error;
use std::process::ExitCode;

use electra_core::Kernels;

const USAGE: &str = "usage: instruction-counts [KERNELS ROWS DEPTH COLUMNS TIMES]";

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instruction-counts: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [kernels, numbers @ ..] = arguments else {
        Kernels::all().for_each(|kernels| println!("{}", kernels.name()));
        return Ok(());
    };
    let kernels = Kernels::by_name(kernels)?;
    let numbers: Vec<usize> = numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
    let [rows, depth, columns, times] = numbers[..] else { return Err(USAGE.into()) };
    let bytes = |len: usize| (0..len).map(|i| (i * 37 % 255) as i16 as u8);
    let a: Vec<u8> = bytes(rows * depth).collect();
    let weights: Vec<i8> = bytes(columns * depth).map(|byte| (byte as i8).max(-127)).collect();
    let sums = vec![0; columns];
    let mut out = vec![0; rows * columns];
    for _ in 0..times {
        kernels.gemm(&a, depth, &weights, &sums, &mut out);
    }
    // The program prints a hash of the result, so the compiler cannot remove the computation.
    println!("{:08x}", out.iter().fold(0u32, |hash, sum| hash.rotate_left(5) ^ *sum as u32));
    Ok(())
}
