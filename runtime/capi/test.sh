#!/usr/bin/env bash
# Installs libelectra into a temporary folder, builds the C and C++ examples with CMake, and runs
# them under valgrind. Their answers must be those of the command `electra`.
#
# Needs cmake, pkg-config, a C and a C++ compiler, and valgrind.
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sentiment=models/electra-small-sentiment/model.electra
detector=models/electra-small-rtd/model.electra

runtime/capi/install "$scratch/installed" >/dev/null
export PKG_CONFIG_PATH=$scratch/installed/lib/pkgconfig LD_LIBRARY_PATH=$scratch/installed/lib
cmake -S runtime/capi/examples -B "$scratch/build" -DCMAKE_BUILD_TYPE=Release >"$scratch/log" ||
  { cat "$scratch/log"; exit 1; }
cmake --build "$scratch/build" >"$scratch/log" || { cat "$scratch/log"; exit 1; }

# valgrind lacks AVX-512, and its detection of AVX2 depends on the machine.
export ELECTRA_KERNELS=scalar
checked() {
  valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect,possible \
    --errors-for-leak-kinds=definite,indirect,possible "$scratch/build/$@"
}

texts=("ELECTRA is surprisingly fast and accurate." "What a waste of money." "")
expected=$(for text in "${texts[@]}"; do
  cargo run --quiet --release -p electra-cli --no-default-features -- classify --model "$sentiment" -- "$text" |
    sed -E 's/^\[([A-Z]+)\] .*\(Score: ([0-9.]+)\)$/\1 \2/'
done)
diff <(checked classify "$sentiment" "${texts[@]}") <(echo "$expected")
checked misuse "$sentiment"
found=$(checked detect "$detector" "He was born in of 1952." | awk '{ print $3 }')
expected=$(cargo run --quiet --release -p electra-cli --no-default-features -- detect --model "$detector" "He was born in of 1952." |
  awk 'NR > 1 { print $3 }')
diff <(echo "$found") <(echo "$expected")

# A program that is linked to libelectra.a needs no libelectra.so.
cc -o "$scratch/static" runtime/capi/examples/classify.c -I"$scratch/installed/include" \
  "$scratch/installed/lib/libelectra.a" -lpthread -ldl -lm
env -u LD_LIBRARY_PATH "$scratch/static" "$sentiment" "${texts[0]}" | grep -q '^POSITIVE '
echo "ok: the C and C++ examples"
