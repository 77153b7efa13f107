#!/usr/bin/env bash
# Builds the firmware, checks its sizes and symbols, runs it in QEMU, and compares every answer with the host's.
#
# Needs qemu-system-arm and binutils. Prints the figures of README.md; fails on any difference or broken limit.
set -euo pipefail
cd "$(dirname "$0")"

target=thumbv7em-none-eabihf
model=$PWD/../models/electra-small-sentiment/model.electra
image=$PWD/../target/firmware/$target/release/sentiment-uart
host=$PWD/../target/firmware/release/host-logits
run=$PWD/sentiment-uart/run-in-qemu
end=$'\x04'
flash_limit=$((96 * 1024)) ram_limit=$((24 * 1024)) stack_bytes=$((16 * 1024))
refused_long="refused: line: more than 512 bytes"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

fail() {
  echo "FAILED: $*" >&2
  failures=$((failures + 1))
}

expect() { # WHAT FOUND EXPECTED
  if [ "$2" = "$3" ]; then echo "ok: $1: $2"; else fail "$1: found '$2', expected '$3'"; fi
}

build() {
  rustup target add "$target" thumbv8m.main-none-eabihf >/dev/null 2>&1
  (cd host-logits && cargo build --quiet --release --locked -j 2)
  (cd sentiment-uart && cargo test --quiet --locked -j 2 --lib --target "$(rustc -vV | sed -n 's/^host: //p')")
  (cd sentiment-uart && cargo build --quiet --release --locked -j 2 --features provoke)
  cp "$image" "$scratch/provoke"
  (cd sentiment-uart && cargo build --quiet --release --locked -j 2)
  cp "$image" "$scratch/image"
}

section_bytes() { # NAME
  local size
  size=$(readelf -SW "$scratch/image" | sed 's/^ *\[ *[0-9]*\] *//' | awk -v name="$1" '$1 == name { print $5 }')
  [ -n "$size" ] || { echo "no section $1" >&2; return 1; }
  echo $((16#$size))
}

sizes() {
  local vectors text rodata data bss arena
  vectors=$(section_bytes .vector_table) text=$(section_bytes .text) rodata=$(section_bytes .rodata)
  data=$(section_bytes .data) bss=$(section_bytes .bss) arena=$(section_bytes .arena)
  echo "bytes: vectors $vectors, text $text, rodata $rodata, data $data, bss $bss, stack $stack_bytes, arena $arena"
  [ $((vectors + text + rodata + data)) -le $flash_limit ] || fail "code and constants above $flash_limit bytes"
  [ $((data + bss + stack_bytes)) -le $ram_limit ] || fail "RAM besides the arena above $ram_limit bytes"
  expect "arena bytes, as the host computes them" "$arena" \
    "$("$host" "$model" </dev/null 2>&1 | sed -n 's/^arena: \([0-9]*\) bytes.*/\1/p')"
}

no_allocator() {
  local pattern='__rust_alloc|__rg_alloc|__rdl_alloc|__rust_realloc| (malloc|calloc|realloc|free|_sbrk)$'
  # Both symbol tables can be read, and the pattern finds what the host's program has.
  nm "$scratch/image" | grep ' HardFault$' >/dev/null || fail "the image has no symbols to look at"
  nm "$host" | grep -E "$pattern" >/dev/null || fail "the pattern for allocators finds none on the host either"
  expect "allocator symbols" "$(nm "$scratch/image" | grep -Ec "$pattern" || true)" 0
}

# Every sentence, and one of the most bytes a line can have, under a counter that makes instructions a tick's fortieth.
sentences() {
  { cat sentences.txt; printf '?%0511d\n' 7; } >"$scratch/lines"
  "$host" "$model" <"$scratch/lines" >"$scratch/expected" 2>/dev/null
  local status=0
  { cat "$scratch/lines"; printf %s "$end"; } |
    QEMU_ARGS="-icount shift=0" "$run" "$scratch/image" | tr -d '\r' >"$scratch/answers" || status=$?
  expect "exit status after the sentences" "$status" 0
  sed -i 1d "$scratch/answers"
  diff <(sed 's/ macs=.*//' "$scratch/expected") <(sed 's/ ticks=.*//' "$scratch/answers") ||
    fail "answers differ from the host's (<)"
  echo "answers compared with the host's, logits to the bit: $(wc -l <"$scratch/expected")" \
    "($(grep -c logits= "$scratch/expected") with logits, $(grep -c 'first 64' "$scratch/expected") truncated)"
  grep 'first 64 tokens' "$scratch/expected" >/dev/null || fail "no sentence was long enough to be truncated"
  paste -d' ' "$scratch/answers" "$scratch/expected" | sed -n \
    's/.*tokens=\([0-9]*\) ticks=\([0-9]*\) stack=\([0-9]*\).*macs=\([0-9]*\)/\1 \2 \3 \4/p' | sort -n | awk '
      $1 != tokens { printf "tokens %d: %.1f M instructions, %.2f a MAC\n", $1, $2 * 40 / 1e6, $2 * 40 / $4; tokens = $1 }
      $3 > stack { stack = $3 }
      END { print "most stack used: " stack " bytes" }' | tee "$scratch/figures"
  grep -q '^most stack used: [1-9]' "$scratch/figures" || fail "no figures"
}

# What the last run answered: without its greeting, and without the line and column of a panic.
answers() { sed -E '/^ready: /d; s/^(stopped: panicked at .*\.rs:)[0-9:]*$/\1/' "$scratch/out"; }

last_leds() { sed -n 's/^mps2_fpgaio_write .* offset 0x0 data \(0x[0-9]*\) .*/\1/p' "$scratch/trace" | tail -1; }

# Runs IMAGE with standard input and leaves out, trace and status.
emulate() { # IMAGE [MODEL]
  status=0
  rm -f "$scratch/trace"
  MODEL=${2:-$model} QEMU_ARGS="-d trace:mps2_fpgaio_write -D $scratch/trace" "$run" "$1" >"$scratch/raw" || status=$?
  tr -d '\r' <"$scratch/raw" >"$scratch/out"
}

bad_lines() {
  local good
  good=$(echo 'A good line.' | "$host" "$model" 2>/dev/null)
  { printf '%0513d\n' 7; echo 'A good line.'; printf 'caf\xe9 au lait\n\xed\xa0\x80\n'; printf '%s' "$end"; } >"$scratch/in"
  emulate "$scratch/image" <"$scratch/in"
  expect "over-long line, good line, invalid UTF-8 twice" "$(answers | paste -sd'|')" \
    "$refused_long|$good|refused: line: byte 3 is not UTF-8|refused: line: byte 0 is not UTF-8"
  expect "exit status" "$status" 0
  expect "LEDs: ready, last line refused" "$(last_leds)" 0x3
}

stops() { # WHAT EXPECTED-LINE EXPECTED-STATUS IMAGE MODEL, input on standard input
  emulate "$4" "$5"
  expect "$1" "$(answers | paste -sd'|')" "$2"
  expect "$1: exit status" "$status" "$3"
  expect "$1: LEDs, stopped" "$(last_leds)" 0x2
}

bad_models() {
  local copy=$scratch/model
  local size
  size=$(stat -c %s "$model")
  damage() { printf '\x55' | dd of="$copy" bs=1 seek="$1" conv=notrunc status=none; }

  cp "$model" "$copy" && damage $((size / 2))
  cmp -s "$model" "$copy" && damage $((size / 2 + 1))
  stops "damaged weights" "stopped: model: section encoder: checksum mismatch, damaged" 2 "$scratch/image" "$copy" </dev/null
  cp "$model" "$copy" && damage 12
  stops "other version" "stopped: model: format version 85 found, 1 expected" 2 "$scratch/image" "$copy" </dev/null
  head -c $((size / 2)) "$model" >"$copy"
  stops "half a model" "stopped: model: section encoder: checksum mismatch, damaged" 2 "$scratch/image" "$copy" </dev/null
  head -c $((size - 1)) "$model" >"$copy"
  # Memory behind the file reads as zeros, as the last byte may have: one more is cut until a byte that counts goes.
  while [ "$(tail -c +$(($(stat -c %s "$copy") + 1)) "$model" | tr -d '\0' | wc -c)" = 0 ]; do
    truncate -s -1 "$copy"
  done
  stops "a model without its last byte" "stopped: model: section head: checksum mismatch, damaged" 2 "$scratch/image" "$copy" </dev/null
  head -c 5000 /dev/zero >"$copy"
  stops "no model" 'stopped: model: not an electra model file: it does not begin with "ELECTRA\0"' 2 "$scratch/image" "$copy" </dev/null
}

provoked() {
  stops "panic" "stopped: panicked at sentiment-uart/src/provoke.rs:|provoked" 101 "$scratch/provoke" "$model" <<<'!panic'
  stops "hard fault" "stopped: hard fault, fault status 0x00000082, address 0x1f000000" 102 "$scratch/provoke" "$model" <<<'!fault'
  emulate "$scratch/provoke" <<<'!overflow'
  expect "stack overflow" "$(answers | sed 's/,.*//')" "stopped: stack overflow"
  expect "stack overflow: exit status" "$status" 102
  status=0
  SECONDS_LIMIT=3 "$run" "$scratch/image" </dev/null >/dev/null 2>&1 || status=$?
  expect "exit status when nobody ends the session" "$status" 124
}

# The kernels of both cores against plain loops, where the host's tests cannot run.
kernels() { # TARGET MACHINE EXPECTED
  local found program=$PWD/../target/firmware/$1/release/instruction-counts
  (cd instruction-counts && cargo build --quiet --release --locked -j 2 --target "$1")
  found=$(timeout 120 qemu-system-arm -machine "$2" -display none -monitor none -serial null \
    -semihosting-config enable=on,target=native,arg=-,arg=check -kernel "$program" 2>&1) || true
  expect "GEMM on $2" "$found" "$3"
}

build
sizes
no_allocator
sentences
bad_lines
bad_models
provoked
kernels "$target" mps2-an500 "smlad, scalar: 64032 sums are those of plain loops"
kernels thumbv8m.main-none-eabihf mps3-an547 "mve, smlad, scalar: 96048 sums are those of plain loops"
[ "$failures" = 0 ] || { echo "$failures checks failed" >&2; exit 1; }
echo "all passed in $SECONDS s"
