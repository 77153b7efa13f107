//! Tests of `electra footprint --target`: each target has its own figures, and there is advice for
//! models that do not fit.

mod common;

use std::fs;
use std::path::Path;

use common::{expect_code, run, stderr, stdout};
use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const MODEL_BYTES: u64 = 14_419_904;

/// Returns the JSON object that the command prints, whatever its exit code.
fn json(args: &[&str]) -> Value {
    serde_json::from_str(&stdout(&run(args))).expect("one JSON object")
}

fn footprint(target: &str, more: &[&str]) -> Value {
    json(&[&["footprint", "--json", "--target", target], more].concat())
}

#[test]
fn footprint_answers_before_anything_is_flashed() {
    let board = ["footprint", "--target", "thumbv7em", "--tokens", "32", "--json"];
    let report = json(&board);
    let (flash, ram) = (&report["flash"], &report["ram"]);
    assert_eq!(flash["parts"]["model"].as_u64(), Some(14_419_904));
    let used = ram["bytes"].as_u64().expect("bytes");
    assert!(ram["parts"]["arena"].as_u64().is_some_and(|arena| arena < used && used < 160 << 10), "{report}");
    assert_eq!(report["fits"], true);

    let exact = used.to_string();
    let fits = run(&[&board[..5], &["--flash", "16M", "--ram", &exact]].concat());
    assert!(stdout(&fits).contains(&format!("of {used}: fits, 0 are left")), "{}", stdout(&fits));
    let short = (used - 1).to_string();
    let too_small = run(&[&board[..5], &["--ram", &short]].concat());
    expect_code(&too_small, 1);
    assert!(stdout(&too_small).contains("does not fit, 1 are missing"), "{}", stdout(&too_small));

    for wrong in [
        &["footprint", "--target", "avr"][..],
        &["footprint", "--ram", "1M"],
        &["footprint", "--target", "thumbv7em", "--ram", "much"],
    ] {
        expect_code(&run(wrong), 2);
    }
}

/// The expected figures are those of the file: the sizes of the packaged executables, not of
/// this one.
#[test]
fn another_machine_gets_no_figures_of_this_one() {
    let figures = fs::read_to_string(Path::new(ROOT).join("packaging/executables.toml")).expect("readable");
    for (target, architecture) in [("aarch64", "aarch64"), ("armv7", "arm"), ("x86_64", "x86_64")] {
        let report = footprint(target, &["--ram", "512M", "--max-tokens", "128"]);
        assert_eq!(report["fits"], true, "{report}");
        assert_eq!(report["flash"]["parts"]["model"].as_u64(), Some(MODEL_BYTES));
        let executable = report["flash"]["parts"]["executable"].as_u64();
        if (std::env::consts::OS, std::env::consts::ARCH) == ("linux", architecture) {
            let own = fs::metadata(env!("CARGO_BIN_EXE_electra")).expect("this executable").len();
            assert_eq!(executable, Some(own));
            assert_eq!(report["source"], "this executable, measured now");
            assert!(report["not_counted"].is_null(), "{report}");
            continue;
        }
        let row = figures.lines().find_map(|line| line.strip_prefix(&format!("{target} = ")));
        let figure: u64 = row.expect("a row").parse().expect("a number");
        assert_eq!(executable, Some(figure));
        assert_eq!(report["flash"]["bytes"].as_u64(), Some(MODEL_BYTES + figure));
        // The size of the arena is computed and is the same on every machine, see README.md.
        assert_eq!(report["ram"]["parts"]["arena"].as_u64(), Some(300_096));
        assert_eq!(report["ram"]["bytes"].as_u64(), Some(300_096 + MODEL_BYTES + figure));
        assert!(report["not_counted"].as_str().is_some_and(|what| what.contains("heap")), "{report}");
        let text = stdout(&run(&["footprint", "--target", target]));
        assert!(text.contains("executables.toml") && text.contains("not counted    heap"), "{text}");
    }
}

#[test]
fn processors_and_boards_name_targets() {
    for (names, target) in [
        (&["cortex-m4", "Cortex-M7", "thumbv7em-none-eabihf"][..], "thumbv7em"),
        (&["cortex-m33", "m33", "thumbv8m.main-none-eabihf"], "thumbv8m.main"),
        (&["cortex-m55", "CORTEX-M85"], "thumbv8.1m.main"),
        (&["riscv32imac-unknown-none-elf"], "riscv32imac"),
        (&["arm64", "cortex-a53", "cortex-a72", "cortex-a76", "raspberry-pi-5", "pi4"], "aarch64"),
        (&["armhf", "cortex-a7", "raspberry-pi-2"], "armv7"),
        (&["amd64", "x86-64"], "x86_64"),
    ] {
        for name in names {
            assert_eq!(footprint(name, &["--max-tokens", "8"])["target"], target, "{name}");
        }
    }
    let refused = run(&["footprint", "--target", "cortex-m3"]);
    expect_code(&refused, 2);
    assert!(stderr(&refused).contains("thumbv8m.main   Cortex-M33\n"), "{}", stderr(&refused));
}

#[test]
fn a_target_without_room_suggests_others() {
    let advice = |report: &Value| -> String {
        assert_eq!(report["fits"], false, "{report}");
        let advice = report["advice"].as_array().expect("advice").iter();
        advice.map(|line| line.as_str().expect("a text")).collect::<Vec<_>>().join("\n")
    };
    // Flash that is too small for the model, then for the code.
    let report = footprint("cortex-m33", &["--flash", "4M", "--tokens", "32"]);
    let code = report["flash"]["parts"]["code"].as_u64().expect("bytes");
    let found = advice(&report);
    assert!(found.contains(&format!("a model file of at most {} bytes", (4 << 20) - code)), "{found}");
    assert!(found.contains("external flash") && found.contains("16 MiB"), "{found}");
    assert!(found.contains("--target aarch64"), "{found}");
    let found = advice(&footprint("cortex-m33", &["--flash", "64K"]));
    assert!(found.contains(&format!("the code alone has {code} bytes")), "{found}");

    // RAM: the advised length fits, the next one does not.
    for target in ["cortex-m7", "riscv32imac"] {
        let found = advice(&footprint(target, &["--ram", "192K", "--tokens", "512"]));
        let (_, tokens) = found.split_once("--max-tokens ").expect("a length");
        let tokens: usize = tokens.split(';').next().and_then(|it| it.parse().ok()).expect("a number");
        for (tokens, fits) in [(tokens, true), (tokens + 1, false)] {
            let report = footprint(target, &["--ram", "192K", "--tokens", &tokens.to_string()]);
            assert_eq!(report["fits"], fits, "{report}");
        }
    }
    let found = advice(&footprint("cortex-m7", &["--ram", "32K"]));
    assert!(found.contains("no sequence of this model fits: 3 tokens need"), "{found}");
    // Pages of files need not stay in memory.
    let found = advice(&footprint("armv7", &["--ram", "8M"]));
    let advised = footprint("aarch64", &["--ram", "8M"]);
    for found in [found, advice(&advised)] {
        assert!(found.contains("bytes must stay in memory"), "{found}");
    }

    let fits = footprint("cortex-m7", &["--flash", "16M", "--ram", "512K", "--tokens", "32"]);
    assert_eq!((&fits["fits"], fits["advice"].as_array().map(Vec::len)), (&Value::from(true), Some(0)));
    let text = stdout(&run(&["footprint", "--target", "cortex-m33", "--flash", "4M"]));
    assert!(text.lines().any(|line| line.starts_with("advice         a model file of at most")), "{text}");
    for wrong in ["0", "2", "513"] {
        for target in ["thumbv7em", "aarch64", "x86_64"] {
            expect_code(&run(&["footprint", "--target", target, "--max-tokens", wrong]), 2);
        }
    }
}
