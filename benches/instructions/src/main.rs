//! Repeats a computation, for a counter of instructions around the program. Nothing else in the
//! program depends on TIMES, so the difference between the counts of two runs is the cost of the
//! computation.
//!
//! `instruction-counts gemm KERNELS ROWS DEPTH COLUMNS TIMES` runs one int8 GEMM TIMES times.
//! `instruction-counts model KERNELS FILE TOKENS TIMES` runs the model in FILE TIMES times on one
//! sequence of TOKENS tokens. Without arguments the program prints the names of the kernel sets of
//! this processor.
#![forbid(unsafe_code)]

mod gemm;
mod model;

use std::error::Error;
use std::process::ExitCode;

use electra_core::Kernels;

const USAGE: &str =
    "usage: instruction-counts [gemm KERNELS ROWS DEPTH COLUMNS TIMES | model KERNELS FILE TOKENS TIMES]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instruction-counts: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    // The program prints a hash of the result, so the compiler cannot remove the computation.
    let hash = match *arguments {
        [] => {
            Kernels::all().for_each(|kernels| println!("{}", kernels.name()));
            return Ok(());
        }
        ["gemm", kernels, ref sizes @ ..] => gemm::run(Kernels::by_name(kernels)?, numbers(sizes)?),
        ["model", kernels, path, ref sizes @ ..] => {
            model::run(path, Kernels::by_name(kernels)?, numbers(sizes)?)?
        }
        _ => return Err(USAGE.into()),
    };
    println!("{hash:08x}");
    Ok(())
}

fn numbers<const N: usize>(texts: &[&str]) -> Result<[usize; N], Box<dyn Error>> {
    let numbers: Vec<usize> = texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    numbers.try_into().map_err(|_| USAGE.into())
}
