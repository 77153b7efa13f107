#!/usr/bin/env bash
# Builds the firmware for every board, checks its sizes and symbols, and runs it in QEMU. Every
# answer must equal the host's. Every figure may be at most 2 % above that in footprint.toml.
#
# `test.sh` tests all boards, `test.sh BOARD ...` some. `test.sh --update` also writes the figures
# of all boards to footprint.toml and FOOTPRINT.md. MODEL and RTD_MODEL name other model files.
# Needs qemu-system-arm, qemu-system-misc and binutils, for the example in C also cmake and
# gcc-arm-none-eabi, for model-update minisign. With defmt-print, the log is checked as well.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")"

# Incremental builds have different sizes.
export CARGO_INCREMENTAL=0

# A board is a folder with its settings.
all_boards=(boards/*/board.toml)
all_boards=("${all_boards[@]%/board.toml}")
all_boards=("${all_boards[@]#boards/}")
model=${MODEL:-$PWD/../models/electra-small-sentiment/model.electra}
rtd_model=${RTD_MODEL:-$PWD/typing-detector/random.electra}
target_dir=${CARGO_TARGET_DIR:-$PWD/../target/firmware}
host=$target_dir/release/host-logits
end=$'\x04'

update=false
[ "${1:-}" != --update ] || { update=true; shift; }
boards=("${all_boards[@]}")
[ $# = 0 ] || boards=("$@")

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# shellcheck source=footprint.sh
. ./footprint.sh
# shellcheck source=model-update/test.sh
. ./model-update/test.sh

main() {
  local board target processor
  needed_programs
  for board in "${boards[@]}"; do complete "$board"; done
  build_host
  for board in "${boards[@]}"; do
    echo "== $board"
    target=$(of_board 's/^target = "\(.*\)"/\1/p')
    processor=$(of_board 's/.*"target-cpu=\([^"]*\)".*/\1/p')
    build "$board"
    code_and_memory sentiment-uart "$model"
    code_and_memory typing-detector "$rtd_model"
    ! has_model_update || code_and_memory model-update "$scratch/v1.electra"
    no_allocator
    sentences
    typing
    bad_lines
    bad_models
    provoked
    [ "$board" != mps2-an500 ] || small_arena
    [ "$board" != mps2-an500 ] || thresholds sentiment-uart
    ! has_model_update || model_update
    ! has_log_uart || standalone
    ! has_c_example || c_example
    case $processor in
      cortex-m7) kernels mps2-an500 "smlad, scalar: 64032 sums are those of plain loops" ;;
      cortex-m55) kernels mps3-an547 "mve, smlad, scalar: 96048 sums are those of plain loops" ;;
    esac
  done
  if [ ${#boards[@]} = ${#all_boards[@]} ]; then footprint; else echo "left out: footprint.toml, which is about all boards"; fi
  [ "$failures" = 0 ] || { echo "$failures checks failed" >&2; exit 1; }
  echo "all passed in $SECONDS s"
}

fail() {
  echo "FAILED: $*" >&2
  failures=$((failures + 1))
}

expect() { # WHAT FOUND EXPECTED
  if [ "$2" = "$3" ]; then echo "ok: $1: $2"; else fail "$1: found '$2', expected '$3'"; fi
}

needed_programs() {
  local program board emulators=()
  for board in "${boards[@]}"; do
    [ ! -e "boards/$board/board.toml" ] || emulators+=("$(sed -n 's/^command = "\([^ "]*\).*/\1/p' "boards/$board/board.toml")")
  done
  for program in nm readelf cmake arm-none-eabi-gcc minisign "${emulators[@]}"; do
    command -v "$program" >/dev/null || {
      echo "test.sh: $program: no such program, expected one on the PATH:" \
        "apt-get install qemu-system-arm qemu-system-misc binutils cmake gcc-arm-none-eabi minisign" >&2
      exit 1
    }
  done
}

# Reports missing files and lines of a board. boards/build.rs reports further missing lines, which
# the compiler would not name.
complete() { # BOARD
  local file line
  [ -d "boards/$1" ] || {
    echo "test.sh: $1: no folder in firmware-examples/boards, expected one of: ${all_boards[*]}" >&2
    exit 1
  }
  for file in board.toml board.x board.rs; do
    [ -f "boards/$1/$file" ] || {
      echo "test.sh: boards/$1/$file: missing, expected as firmware-examples/README.md describes it" >&2
      exit 1
    }
  done
  has_line "$1" board.toml '^target = "..*"' 'target = "TRIPLE" below [build]'
  has_line "$1" board.toml '^runner = "\./run-in-qemu"' 'runner = "./run-in-qemu" below [target.TRIPLE]'
  has_line "$1" board.toml "^BOARD = { value = \"$1\", force = true }" "BOARD = { value = \"$1\", force = true } below [env]"
  has_line "$1" board.rs 'const UNREADABLE: usize = 0x[0-9A-Fa-f_]*;' 'pub(crate) const UNREADABLE: usize = ADDRESS;'
  for line in command model_address; do has_line "$1" board.toml "^$line = \"" "$line = \"...\" below [emulator]"; done
}

has_line() { # BOARD FILE PATTERN LINE
  grep -q "$3" "boards/$1/$2" || {
    echo "test.sh: boards/$1/$2: a line is missing, expected: $4" >&2
    exit 1
  }
}

# Prints the value that SCRIPT extracts from the board's board.toml.
of_board() { # SCRIPT FOR SED
  sed -n "$1" "boards/$board/board.toml" | sed 1q
}

has_log_uart() { grep -q 'fn log_uart' "boards/$board/board.rs"; }

has_c_example() { [ -f "c-uart/boards/$board.h" ]; }

# Whether the memory map of the board has the space that model-update needs.
has_model_update() { grep -q _flash_length "boards/$board/board.x"; }

# Whether QEMU can trace the writes to the LEDs.
has_traced_leds() { grep -q '^use crate::devices::fpgaio;' "boards/$board/board.rs"; }

# Installs the Rust library of a target unless it is installed.
add_target() { # TARGET
  local said
  [ ! -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ] || return 0
  said=$(rustup target add "$1" 2>&1) || {
    echo "test.sh: rustup target add $1: $said" >&2
    exit 1
  }
}

build_host() {
  local example
  for example in host-logits host-models; do
    (cd $example && cargo build --quiet --release --locked -j 2)
  done
  "$target_dir/release/host-models" "$scratch"
  sign_models
  for example in session typing-detector model-update; do
    (cd $example && cargo test --quiet --locked -j 2 --lib --target "$(rustc -vV | sed -n 's/^host: //p')")
  done
}

# Builds the images of a board: sentiment-uart, also with some features, typing-detector, and
# model-update.
build() { # BOARD
  add_target "$target"
  image() { # EXAMPLE NAME OPTIONS
    local example=$1 name=$2
    shift 2
    # The compiler's warning about -mve.fp is expected.
    (cd "$example" && cargo build --quiet --release --locked -j 2 --config "../boards/$board/board.toml" "$@") 2>&1 |
      sed '/unstable feature specified/,/^$/d' >&2
    cp "$target_dir/$target/release/$example" "$scratch/$name"
  }
  image sentiment-uart provoke --features provoke
  [ "$1" != mps2-an500 ] || image sentiment-uart small-arena --features small-arena
  ! has_log_uart || image sentiment-uart standalone --features standalone
  image sentiment-uart sentiment-uart
  image typing-detector typing-detector
  ! has_model_update || ELECTRA_PUBLIC_KEY=$owner.pub image model-update model-update
}

allocators='__rust_alloc|__rg_alloc|__rdl_alloc|__rust_realloc| (malloc|calloc|realloc|free|_sbrk)$'

no_allocator() {
  local example examples=(sentiment-uart typing-detector)
  ! has_model_update || examples+=(model-update)
  # The pattern must find the allocator of the host's program.
  nm "$host" | grep -E "$allocators" >/dev/null || fail "the pattern for allocators finds none on the host either"
  for example in "${examples[@]}"; do
    nm "$scratch/$example" | grep ' main$' >/dev/null || fail "$example: the image has no symbols to look at"
    expect "$example: allocator symbols" "$(nm "$scratch/$example" | grep -Ec "$allocators" || true)" 0
  done
}

# Runs every line of a file, with one virtual nanosecond per instruction, and compares the answers
# with the host's. The answers are left in $scratch/answers.
compare_lines() { # EXAMPLE MODEL LINES
  local status=0
  "$host" "$2" <"$3" >"$scratch/expected" 2>/dev/null
  { cat "$3"; printf %s "$end"; } | MODEL=$2 LOG=$scratch/log SECONDS_LIMIT=600 QEMU_ARGS="-icount shift=0" \
    boards/run-in-qemu "$board" "$scratch/$1" | tr -d '\r' >"$scratch/answers" || status=$?
  expect "$1: exit status" "$status" 0
  sed 1q "$scratch/answers" >"$scratch/$1.greeting"
  sed -i 1d "$scratch/answers"
  if diff <(sed 's/ macs=.*//' "$scratch/expected") <(sed 's/ ticks=.*//' "$scratch/answers"); then
    echo "ok: $1: answers equal to the host's, logits to the bit: $(wc -l <"$scratch/expected")" \
      "($(grep -c logits= "$scratch/expected") with logits, $(grep -c '(first ' "$scratch/expected") truncated)"
  else
    fail "$1: answers differ from the host's (<)"
  fi
  grep -q '(first ' "$scratch/expected" || fail "$1: no line was long enough to be truncated"
  figures "$1"
}

# Tests the sentences and a line of the largest length in bytes.
sentences() {
  { cat sentiment-uart/sentences.txt; printf '?%0511d\n' 7; } >"$scratch/lines"
  compare_lines sentiment-uart "$model" "$scratch/lines"
  if command -v defmt-print >/dev/null; then
    expect "log, first and last line" "$(log | sed -n '1p;$p' | sed 's/, [0-9]* ticks//' | paste -sd'|')" \
      "INFO  ready: model $(greeted model), kernels $(greeted kernels)|INFO  3 tokens"
  else
    echo "left out: reading the log, for which defmt-print is not installed"
  fi
}

log() { defmt-print -e "$scratch/${1:-sentiment-uart}" <"$scratch/${2:-log}"; }

# Prints the value after a word in the greeting of sentiment-uart.
greeted() { sed -n "s/.*[ ,]$1 \([^ ,]*\).*/\1/p" "$scratch/sentiment-uart.greeting"; }

typing() {
  cp typing-detector/lines.txt "$scratch/lines"
  compare_lines typing-detector "$rtd_model" "$scratch/lines"
  # Only the default model is known to mark some words of a line and not others.
  [ -n "${RTD_MODEL:-}" ] || grep -q '\[.*\] [^[]* logits' "$scratch/expected" || fail "no line has words of both kinds"
  # Each program accepts only its own kind of model.
  stops "a classifier where a detector is expected" "stopped: model: no head for replaced-token detection" 2 \
    typing-detector "$model" </dev/null
  stops "a detector where a classifier is expected" \
    "stopped: model: no classification head with two labels or more" 2 sentiment-uart "$rtd_model" </dev/null
}

# Prints the answers of the last run, without its greeting and without the line and column of a
# panic.
answers() { sed -E '/^ready: /d; s/^(stopped: panicked at .*\.rs:)[0-9:]*$/\1/' "$scratch/out"; }

# Runs an image with standard input. Leaves its output in $scratch/out, the trace in $scratch/trace
# and the exit status in $status.
emulate() { # IMAGE [MODEL]
  local trace=()
  status=0
  rm -f "$scratch/trace"
  ! has_traced_leds || trace=(-d "trace:mps2_fpgaio_write" -D "$scratch/trace")
  MODEL=${2:-$model} QEMU_ARGS="${QEMU_ARGS:-} ${trace[*]}" boards/run-in-qemu "$board" "$scratch/$1" >"$scratch/raw" || status=$?
  tr -d '\r' <"$scratch/raw" >"$scratch/out"
}

expect_leds() { # WHAT EXPECTED
  ! has_traced_leds ||
    expect "$1" "$(sed -n 's/^mps2_fpgaio_write .* offset 0x0 data \(0x[0-9]*\) .*/\1/p' "$scratch/trace" | tail -1)" "$2"
}

bad_lines() {
  local good
  good=$(echo 'A good line.' | "$host" "$model" 2>/dev/null)
  { printf '%0513d\n' 7; echo 'A good line.'; printf 'caf\xe9 au lait\n\xed\xa0\x80\n'; printf '%s' "$end"; } >"$scratch/in"
  emulate sentiment-uart <"$scratch/in"
  expect "over-long line, good line, invalid UTF-8 twice" "$(answers | paste -sd'|')" \
    "refused: line: more than 512 bytes|$good|refused: line: byte 3 is not UTF-8|refused: line: byte 0 is not UTF-8"
  expect "exit status" "$status" 0
  expect_leds "LEDs: ready, last line refused" 0x3
}

stops() { # WHAT EXPECTED-LINE EXPECTED-STATUS IMAGE MODEL, input on standard input
  emulate "$4" "$5"
  expect "$1" "$(answers | paste -sd'|')" "$2"
  expect "$1: exit status" "$status" "$3"
  expect_leds "$1: LEDs, stopped" 0x2
}

bad_models() {
  local copy=$scratch/model size
  size=$(stat -c %s "$model")
  damage() { printf '\x55' | dd of="$copy" bs=1 seek="$1" conv=notrunc status=none; }
  refused() { stops "$1" "stopped: model: $2" 2 sentiment-uart "$copy" </dev/null; }

  cp "$model" "$copy" && damage $((size / 2))
  cmp -s "$model" "$copy" && damage $((size / 2 + 1))
  refused "damaged weights" "section encoder: checksum mismatch: the file is damaged"
  cp "$model" "$copy" && damage 12
  refused "other version" "format version 85 found, 2 expected: another version of electra wrote this file"
  head -c $((size / 2)) "$model" >"$copy"
  refused "half a model" "section encoder: checksum mismatch: the file is damaged"
  head -c $((size - 1)) "$model" >"$copy"
  # Memory after the file reads as zeros, and the last bytes of the file may be zeros. Bytes are cut
  # off until one that is not zero is gone.
  while [ "$(tail -c +$(($(stat -c %s "$copy") + 1)) "$model" | tr -d '\0' | wc -c)" = 0 ]; do
    truncate -s -1 "$copy"
  done
  refused "a model without its last byte" "section head: checksum mismatch: the file is damaged"
  head -c 5000 /dev/zero >"$copy"
  refused "no model" 'not an electra model file: it does not begin with "ELECTRA\0"'
}

provoked() {
  local address fault overflow
  # The codes depend on the architecture, and the address on the board.
  case $target in
    # UNREADABLE is in the guard below the stack.
    thumbv7em-*) fault="fault status 0x00000082" overflow="fault status 0x00000092" ;;
    thumbv8m.main-*) fault="fault status 0x00008200" overflow="fault status 0x00100000" ;;
    riscv32*) fault="cause 0x00000005" overflow="cause 0x00000007" ;;
    *)
      fail "boards/$board/board.toml: target $target, whose fault codes are missing in provoked() of test.sh"
      return
      ;;
  esac
  address=$(sed -n 's/.*const UNREADABLE: usize = \(0x[0-9A-Fa-f_]*\);.*/\1/p' "boards/$board/board.rs")
  fault+=$(printf ', address 0x%08x' "$((${address//_/}))")
  stops "panic" "stopped: panicked at boards/src/provoke.rs:|provoked" 101 provoke "$model" <<<'!panic'
  stops "hard fault" "stopped: hard fault, $fault" 102 provoke "$model" <<<'!fault'
  emulate provoke <<<'!overflow'
  expect "stack overflow" "$(answers | sed 's/, address .*//')" "stopped: stack overflow, $overflow"
  expect "stack overflow: exit status" "$status" 102
  expect_leds "stack overflow: LEDs, stopped" 0x2
  # The bit is in the encoder of ELECTRA-Small.
  if [ "$(stat -c %s "$model")" -gt $((9 << 20)) ]; then
    emulate provoke <<<'!rot'
    expect "a bit that flips while no line arrives" "$(answers | tail -1)" \
      "stopped: model: section encoder: checksum mismatch: the file is damaged"
    expect "a bit that flips: exit status" "$status" 2
  fi
  # An instruction takes 0.256 virtual microseconds, so that two minutes pass sooner.
  QEMU_ARGS="-icount shift=8" stops "watchdog" "stopped: watchdog: not fed for 120 s" 103 provoke "$model" <<<'!hang'
  status=0
  SECONDS_LIMIT=3 boards/run-in-qemu "$board" "$scratch/sentiment-uart" </dev/null >/dev/null 2>&1 || status=$?
  expect "exit status when nobody ends the session" "$status" 124
}

small_arena() {
  stops "an arena that is too small" "stopped: arena: 100000 bytes given, $(arena_bytes_for 64 "$model") needed for 64 tokens" \
    3 small-arena "$model" </dev/null
}

# Tests a model whose label POSITIVE has a threshold, and one with a threshold that is no number
# from 0 to 1.
thresholds() { # IMAGE
  printf 'A warm, funny and quietly moving film.\nWhat a waste of money.\n' >"$scratch/lines"
  { cat "$scratch/lines"; printf %s "$end"; } >"$scratch/in"
  emulate "$1" "$scratch/thresholds.electra" <"$scratch/in"
  expect "$1: a score below and one above the threshold" "$(answers | paste -sd'|')" "UNSURE 0.9343|NEGATIVE 0.8908"
  expect "$1: the same on the host" "$("$host" "$scratch/thresholds.electra" <"$scratch/lines" 2>/dev/null | paste -sd'|')" \
    "UNSURE 0.9343|NEGATIVE 0.8908"
  emulate "$1" "$scratch/bad-threshold.electra" </dev/null
  expect "$1: a bad threshold" "$(answers | paste -sd'|')" \
    "stopped: model: metadata: the threshold of a label is not a number from 0 to 1 with at most 6 decimals"
  expect "$1: a bad threshold: exit status" "$status" 2
}

# Tests the image for a board without a debugger: the log goes to the second UART, and the program
# waits for a reset at its end.
standalone() {
  local good
  good=$(echo 'A good line.' | "$host" "$model" 2>/dev/null)
  UART1=$scratch/uart1 SECONDS_LIMIT=15 emulate standalone <<<"A good line.
$end"
  expect "standalone" "$(answers)" "$good"
  expect "standalone: exit status, still waiting" "$status" 124
  if command -v defmt-print >/dev/null; then
    expect "standalone: log of UART 1" "$(log standalone uart1 | sed 's/, [0-9]* ticks//' | paste -sd'|')" \
      "INFO  ready: model $(greeted model), kernels $(greeted kernels)|INFO  6 tokens"
  fi
}

# Tests the example in C. It answers the same lines as sentiment-uart.
c_example() {
  local build=$target_dir/c-uart/$board
  {
    cmake -S c-uart -B "$build" -DCMAKE_TOOLCHAIN_FILE=arm-none-eabi.cmake -DBOARD="$board" &&
      cmake --build "$build"
  } >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; fail "c-uart: does not build"; return; }
  cp "$build/c-uart" "$scratch/c-uart"
  code_and_memory c-uart "$model"
  expect "c-uart: allocator symbols" "$(nm "$scratch/c-uart" | grep -Ec "$allocators" || true)" 0
  { cat sentiment-uart/sentences.txt; printf '?%0511d\n' 7; } >"$scratch/lines"
  compare_lines c-uart "$model" "$scratch/lines"
  { printf '%0513d\n' 7; printf 'caf\xe9 au lait\n%s' "$end"; } >"$scratch/in"
  emulate c-uart <"$scratch/in"
  expect "c-uart: over-long line, invalid UTF-8" "$(answers | paste -sd'|')" \
    "refused: line: more than 512 bytes|refused: text: byte 3 is not UTF-8"
  cp "$model" "$scratch/model" && printf '\x55\xaa' | dd of="$scratch/model" bs=1 seek=7000000 conv=notrunc status=none
  emulate c-uart "$scratch/model" </dev/null
  expect "c-uart: damaged weights" "$(answers | paste -sd'|')" \
    "stopped: model: section encoder: checksum mismatch: the file is damaged"
  expect "c-uart: damaged weights: exit status" "$status" 2
  [ "$board" != mps2-an500 ] || thresholds c-uart
}

# Compares the kernels of the board's processor with plain loops, because the host's tests cannot
# run there.
kernels() { # MACHINE EXPECTED
  local found program=$target_dir/$target/release/gemm-on-board
  add_target "$target"
  (cd gemm-on-board && cargo build --quiet --release --locked -j 2 --target "$target") 2>&1 |
    sed '/unstable feature specified/,/^$/d' >&2
  found=$(timeout 120 qemu-system-arm -machine "$1" -display none -monitor none -serial null \
    -semihosting-config enable=on,target=native,arg=-,arg=check -kernel "$program" 2>&1) || true
  expect "GEMM on $1" "$found" "$2"
}

main
