# shellcheck shell=bash
# Part of test.sh: measures sizes and instruction counts, and writes the tables of them.
# shellcheck disable=SC2154 # what is not assigned here is in test.sh

flash_limit=$((96 * 1024)) ram_limit=$((24 * 1024)) arena_limit=$((160 * 1024))
# Instructions per MAC.
m7_gemm_limit=1.4 m55_gemm_limit=0.15
tolerance_percent=2

# Records a figure of the board for the table.
note() { # EXAMPLE NAME VALUE
  echo "$1|$2|$board|$3" >>"$scratch/notes"
}

noted() { # EXAMPLE NAME BOARD
  awk -F'|' -v example="$1" -v name="$2" -v board="$3" '$1 == example && $2 == name && $3 == board { print $4 }' \
    "$scratch/notes"
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

code_and_memory() { # EXAMPLE MODEL
  local vectors text rodata data bss arena stack code ram
  vectors=$(section_bytes "$1" .vector_table) text=$(section_bytes "$1" .text) rodata=$(section_bytes "$1" .rodata)
  data=$(section_bytes "$1" .data) bss=$(section_bytes "$1" .bss) arena=$(section_bytes "$1" .arena)
  stack=$(($(symbol "$1" _stack_region_end) - $(symbol "$1" _stack_region_start)))
  code=$((vectors + text + rodata + data)) ram=$((data + bss + stack))
  note "$1" text "$text"
  note "$1" rodata "$rodata"
  note "$1" "vector table" "$vectors"
  note "$1" data "$data"
  note "$1" bss "$bss"
  note "$1" "code: text, rodata, vector table, data" "$code"
  note "$1" "stack, reserved" "$stack"
  note "$1" "RAM besides the arena: data, bss, stack" "$ram"
  note "$1" "arena for 64 tokens" "$arena"
  note "$1" heap 0
  [ "$text" -gt 0 ] && [ "$rodata" -gt 0 ] && [ "$stack" -gt 0 ] || fail "$1: sections not found"
  [ "$code" -le $flash_limit ] || fail "$1: $code bytes of code and constants, at most $flash_limit"
  [ "$ram" -le $ram_limit ] || fail "$1: $ram bytes of RAM besides the arena, at most $ram_limit"
  echo "ok: $1: $code bytes of code and constants, $ram of RAM besides the arena"
  if [ "$1" = sentiment-uart ] || [ "$1" = c-uart ]; then
    local small
    small=$(arena_bytes_for 32 "$2")
    expect "arena bytes, as the host computes them" "$arena" "$(arena_bytes_for 64 "$2")"
    [ "$small" -le $arena_limit ] || fail "arena for 32 tokens: $small bytes, at most $arena_limit"
    note "$1" "arena for 32 tokens" "$small"
    note "$1" "model, in external memory" "$(stat -c %s "$2")"
  fi
}

# Records the figures of the last run, from $scratch/answers and $scratch/expected. A tick has as
# many instructions as nanoseconds.
figures() { # EXAMPLE
  local clock most
  clock=$(sed -n 's/.* \([0-9]*\) ticks per second.*/\1/p' "$scratch/$1.greeting")
  most=$(sed -n 's/.* stack=\([0-9]*\).*/\1/p' "$scratch/answers" | sort -n | tail -1)
  [ -n "$clock" ] && [ -n "$most" ] || { fail "$1: no figures"; return; }
  note "$1" "stack, most in use" "$most"
  [ "$1" = sentiment-uart ] || return 0
  note "$1" kernels "$(greeted kernels)"
  paste -d' ' "$scratch/answers" "$scratch/expected" |
    sed -n 's/.*tokens=\([0-9]*\) ticks=\([0-9]*\).*macs=\([0-9]*\)/\1 \2 \3/p' | sort -n | awk -v clock="$clock" '
      $1 != tokens {
        count = $2 * 1e9 / clock
        printf "%d tokens: %.1f M instructions, %.2f M a token, %.3f a MAC\n", $1, count / 1e6, count / $1 / 1e6, count / $3
        tokens = $1
      }' | tee "$scratch/counts"
  note "$1" "million instructions a token, of 64" "$(sed -n 's/^64 tokens.* \([0-9.]*\) M a token.*/\1/p' "$scratch/counts")"
  note "$1" "instructions a MAC, all of a run of 64 tokens" "$(sed -n 's/^64 tokens.* \([0-9.]*\) a MAC/\1/p' "$scratch/counts")"
  local limit gemm
  gemm=$(gemm_alone)
  note "$1" "instructions a MAC, the GEMM alone" "$gemm"
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

table() { # EXAMPLE
  local names name board cells limit
  printf '| bytes, or as said |'
  printf ' %s |' "${all_boards[@]}"
  printf ' at most |\n|---|'
  printf -- '---:|%.0s' "${all_boards[@]}" limit
  echo
  mapfile -t names < <(awk -F'|' -v example="$1" '$1 == example && !seen[$2]++ { print $2 }' "$scratch/notes")
  for name in "${names[@]}"; do
    case $name in
      code:*) limit=$flash_limit ;;
      RAM*) limit=$ram_limit ;;
      "arena for 32 tokens") limit=$arena_limit ;;
      heap) limit=0 ;;
      *GEMM*) limit="M7 $m7_gemm_limit, M55 $m55_gemm_limit" ;;
      *) limit="" ;;
    esac
    cells=$(for board in "${all_boards[@]}"; do printf ' %s |' "$(noted "$1" "$name" "$board")"; done)
    echo "| $name |$cells $limit |"
  done | sed -E ':again; s/([ ][0-9]+)([0-9]{3})( |,)/\1,\2\3/; t again'
}

page() {
  cat <<'MARKDOWN'
# Footprint

`firmware-examples/test.sh --update` writes this file. `firmware-examples/test.sh` compares the
figures with it and fails if one is more than 2 % higher. The instructions are counted with QEMU,
whose virtual clock advances by one nanosecond per instruction (`-icount shift=0`). An instruction
is not a cycle, and external memory has wait states, so these figures do not give the time on a
board. The programs were not run on hardware.

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
}

# Compares the figures of all boards with FOOTPRINT.md, or writes it.
footprint() {
  page >"$scratch/FOOTPRINT.md"
  sed -n '/^|/p' "$scratch/FOOTPRINT.md"
  if $update; then
    cp "$scratch/FOOTPRINT.md" FOOTPRINT.md
    return
  fi
  awk -F'|' -v tolerance=$tolerance_percent '
    /^## / { table = $0 }
    /^\| bytes, or as said/ { for (i = 3; i < NF - 1; i++) board[i] = $i; next }
    /^\|---/ { next }
    /^\|/ && FNR == NR { for (i = 3; i < NF - 1; i++) before[table, $2, board[i]] = $i }
    /^\|/ && FNR != NR {
      for (i = 3; i < NF - 1; i++) {
        old = before[table, $2, board[i]]; new = $i
        gsub(/[ ,]/, "", old); gsub(/[ ,]/, "", new)
        if (new ~ /^[0-9.]+$/ ? old == "" || new + 0 > old * (1 + tolerance / 100) : new != old) {
          printf "%s,%son%s: %s, FOOTPRINT.md has \"%s\"\n", substr(table, 4), $2, board[i], new, old
          failed = 1
        }
      }
    }
    END { exit failed }' FOOTPRINT.md "$scratch/FOOTPRINT.md" || fail "figures above those of FOOTPRINT.md (--update writes it)"
}
