# shellcheck shell=bash
# Part of test.sh: measures sizes and instruction counts, and writes footprint.toml and
# FOOTPRINT.md.
# shellcheck disable=SC2154 # variables of test.sh

flash_limit=$((96 * 1024)) update_flash_limit=$((144 * 1024)) ram_limit=$((24 * 1024)) arena_limit=$((160 * 1024))
# Instructions per MAC.
m7_gemm_limit=1.4 m55_gemm_limit=0.15
tolerance_percent=2

# Records a figure of the board. Keys are those of footprint.toml.
note() { # EXAMPLE KEY VALUE
  echo "$1|$2|$board|$3" >>"$scratch/notes"
}

section_bytes() { # IMAGE NAME
  readelf -SW "$scratch/$1" | sed 's/^ *\[ *[0-9]*\] *//' |
    awk -v name="$2" '$1 == name { size = $5 } END { print size == "" ? 0 : size }' | { read -r size; echo $((16#$size)); }
}

symbol() { # IMAGE NAME
  nm "$scratch/$1" | awk -v name="$2" '$3 == name { print $1 }' | { read -r address; echo $((16#$address)); }
}

arena_bytes_for() { # TOKENS MODEL
  "$host" "$2" </dev/null 2>&1 | sed -n "s/^arena: \([0-9]*\) bytes for $1 tokens/\1/p"
}

code_limit() { # EXAMPLE
  if [ "$1" = model-update ]; then echo $update_flash_limit; else echo $flash_limit; fi
}

code_and_memory() { # EXAMPLE MODEL
  local vectors text rodata data bss arena stack code ram limit arena_key=arena_64_tokens
  limit=$(code_limit "$1")
  # The models that it receives have different sizes.
  [ "$1" != model-update ] || arena_key=arena
  vectors=$(section_bytes "$1" .vector_table) text=$(section_bytes "$1" .text) rodata=$(section_bytes "$1" .rodata)
  data=$(section_bytes "$1" .data) bss=$(section_bytes "$1" .bss) arena=$(section_bytes "$1" .arena)
  stack=$(($(symbol "$1" _stack_region_end) - $(symbol "$1" _stack_region_start)))
  code=$((vectors + text + rodata + data)) ram=$((data + bss + stack))
  note "$1" text "$text"
  note "$1" rodata "$rodata"
  note "$1" vector_table "$vectors"
  note "$1" data "$data"
  note "$1" bss "$bss"
  note "$1" code "$code"
  note "$1" stack "$stack"
  note "$1" ram_besides_arena "$ram"
  note "$1" $arena_key "$arena"
  note "$1" heap 0
  [ "$text" -gt 0 ] && [ "$rodata" -gt 0 ] && [ "$stack" -gt 0 ] || fail "$1: sections not found"
  [ "$code" -le "$limit" ] || fail "$1: $code bytes of code and constants, at most $limit"
  [ "$ram" -le $ram_limit ] || fail "$1: $ram bytes of RAM besides the arena, at most $ram_limit"
  echo "ok: $1: $code bytes of code and constants, $ram of RAM besides the arena"
  if [ "$1" = sentiment-uart ] || [ "$1" = c-uart ]; then
    local small
    small=$(arena_bytes_for 32 "$2")
    expect "arena bytes, as the host computes them" "$arena" "$(arena_bytes_for 64 "$2")"
    [ "$small" -le $arena_limit ] || fail "arena for 32 tokens: $small bytes, at most $arena_limit"
    note "$1" arena_32_tokens "$small"
    note "$1" model "$(stat -c %s "$2")"
  fi
}

# Records the figures of the last run, from $scratch/answers and $scratch/expected. A tick has as
# many instructions as nanoseconds.
figures() { # EXAMPLE
  local clock most
  clock=$(sed -n 's/.* \([0-9]*\) ticks per second.*/\1/p' "$scratch/$1.greeting")
  most=$(sed -n 's/.* stack=\([0-9]*\).*/\1/p' "$scratch/answers" | sort -n | tail -1)
  [ -n "$clock" ] && [ -n "$most" ] || { fail "$1: no figures"; return; }
  note "$1" stack_in_use "$most"
  [ "$1" = sentiment-uart ] || return 0
  note "$1" kernels "$(greeted kernels)"
  paste -d' ' "$scratch/answers" "$scratch/expected" |
    sed -n 's/.*tokens=\([0-9]*\) ticks=\([0-9]*\).*macs=\([0-9]*\)/\1 \2 \3/p' | sort -n | awk -v clock="$clock" '
      $1 != tokens {
        count = $2 * 1e9 / clock
        printf "%d tokens: %.1f M instructions, %.2f M a token, %.3f a MAC\n", $1, count / 1e6, count / $1 / 1e6, count / $3
        tokens = $1
      }' | tee "$scratch/counts"
  note "$1" million_instructions_per_token "$(sed -n 's/^64 tokens.* \([0-9.]*\) M a token.*/\1/p' "$scratch/counts")"
  note "$1" instructions_per_mac "$(sed -n 's/^64 tokens.* \([0-9.]*\) a MAC/\1/p' "$scratch/counts")"
  local limit gemm
  gemm=$(gemm_alone)
  note "$1" instructions_per_mac_gemm "$gemm"
  for limit in "cortex-m7 $m7_gemm_limit" "cortex-m55 $m55_gemm_limit"; do
    [ "${limit% *}" != "$processor" ] || awk -v found="$gemm" -v limit="${limit#* }" 'BEGIN { exit !(found <= limit + 0) }' ||
      fail "GEMM alone: $gemm instructions a MAC, at most ${limit#* }"
  done
}

# Prints the instructions per MAC of the GEMMs that benches/instructions counts for this board's
# core and kernels.
gemm_alone() {
  awk -v core="$processor $(greeted kernels)" '$1 " " $2 == core { macs += $3 * $4 * $5; instructions += $6 }
    END { if (macs) printf "%.3f\n", instructions / macs; else print "-" }' ../benches/instructions/expected
}

# Prints the rows of a table: a key of footprint.toml, its name for readers, and its limit.
rows() { # EXAMPLE
  cat <<ROWS
text|text|
rodata|rodata|
vector_table|vector table|
data|data|
bss|bss|
code|code: text, rodata, vector table, data|$(code_limit "$1")
stack|stack, reserved|
ram_besides_arena|RAM besides the arena: data, bss, stack|$ram_limit
arena|arena|
arena_64_tokens|arena for 64 tokens|
heap|heap|0
arena_32_tokens|arena for 32 tokens|$arena_limit
model|model, in external memory|
stack_in_use|stack, most in use|
kernels|kernels|
million_instructions_per_token|million instructions per token, of 64|
instructions_per_mac|instructions per MAC, all of a run of 64 tokens|
instructions_per_mac_gemm|instructions per MAC, the GEMM alone|M7 $m7_gemm_limit, M55 $m55_gemm_limit
signature_million_instructions_per_mb|signature, million instructions per MB of the model|
signature_million_instructions_fixed|signature, million instructions besides|
ROWS
}

# Prints the figures of a file in the form of footprint.toml: lines EXAMPLE|KEY|BOARD|VALUE.
figures_of() { # FILE
  awk '
    /^\[/ { gsub(/[][]/, ""); split($0, table, ".") }
    / = / { key = $1; sub(/^[^=]*= /, ""); gsub(/"/, ""); print table[1] "|" key "|" table[2] "|" $0 }' "$1"
}

# Prints the recorded figures as TOML. A dash stands for a figure that does not exist.
toml() {
  cat <<'TOML'
# `firmware-examples/test.sh --update` writes this file. Without `--update` it compares the figures
# with it. FOOTPRINT.md shows them as tables, and `electra footprint --target` reports them. Sizes
# are in bytes.
TOML
  awk -F'|' '
    $4 == "-" { next }
    { table = $1 "." $3; if (!(table in lines)) order[++tables] = table
      lines[table] = lines[table] $2 " = " ($4 ~ /^[0-9.]+$/ ? $4 : "\"" $4 "\"") "\n" }
    END { for (i = 1; i <= tables; i++) printf "\n[%s]\n%s", order[i], lines[order[i]] }' "$scratch/notes"
}

table() { # EXAMPLE
  local key name limit cells board
  printf '| bytes, or as said |'
  printf ' %s |' "${all_boards[@]}"
  printf ' at most |\n|---|'
  printf -- '---:|%.0s' "${all_boards[@]}" limit
  echo
  while IFS='|' read -r key name limit; do
    grep -q "^$1|$key|" "$scratch/figures" || continue
    cells=$(for board in "${all_boards[@]}"; do
      printf ' %s |' "$(sed -n "s/^$1|$key|$board|//p" "$scratch/figures")"
    done)
    echo "| $name |$cells $limit |"
  done < <(rows "$1") | sed -E ':again; s/([ ][0-9]+)([0-9]{3})( |,)/\1,\2\3/; t again'
}

# Prints FOOTPRINT.md for the figures in $scratch/figures.
page() {
  cat <<'MARKDOWN'
# Footprint

`firmware-examples/test.sh --update` writes this file and `footprint.toml`, whose figures it shows.
`firmware-examples/test.sh` measures them again and fails if one is more than 2 % higher. The
instructions are counted with QEMU, whose virtual clock advances by one nanosecond per instruction
(`-icount shift=0`). An instruction is not a cycle, and external memory has wait states, so these
figures do not give the time on a board. The programs were not run on hardware.

"GEMM alone" is the int8 inner loop as `benches/instructions` counts it: 32 rows, 256 by 1024 and
1024 by 256, including loads and loop control. "All of a run" adds LayerNorm, GELU, softmax and
quantization. These use floats, which the riscv32imac core computes in software.

## sentiment-uart, ELECTRA-Small

MARKDOWN
  table sentiment-uart
  cat <<'MARKDOWN'

## typing-detector

The arena has the size for ELECTRA-Small. The model of the test is tiny (28 KB) and uses only a part
of it.

MARKDOWN
  table typing-detector
  cat <<'MARKDOWN'

## c-uart, ELECTRA-Small

The example in plain C, which exists for two boards.

MARKDOWN
  table c-uart
  cat <<'MARKDOWN'

## model-update

The example exists for two boards. It contains the engine, the verification of signatures (Ed25519
and BLAKE2b) and the two slots. Its arena suffices for small models.

MARKDOWN
  table model-update
}

# Compares the figures of all boards with footprint.toml, or writes it and FOOTPRINT.md.
footprint() {
  toml >"$scratch/footprint.toml"
  figures_of "$scratch/footprint.toml" >"$scratch/figures"
  page | sed -n '/^|/p'
  if $update; then
    cp "$scratch/footprint.toml" footprint.toml
    page >FOOTPRINT.md
    return
  fi
  awk -F'|' -v tolerance=$tolerance_percent '
    FNR == NR { before[$1, $2, $3] = $4; next }
    {
      old = before[$1, $2, $3]
      if ($4 ~ /^[0-9.]+$/ ? old == "" || $4 + 0 > old * (1 + tolerance / 100) : $4 != old) {
        printf "%s on %s: %s is %s, footprint.toml has \"%s\"\n", $1, $3, $2, $4, old
        failed = 1
      }
    }
    END { exit failed }' <(figures_of footprint.toml) "$scratch/figures" ||
    fail "figures above those of footprint.toml (--update writes it)"
  figures_of footprint.toml >"$scratch/figures"
  page | cmp -s - FOOTPRINT.md || fail "FOOTPRINT.md is not that of footprint.toml (--update writes it)"
}
