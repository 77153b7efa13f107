#!/usr/bin/env bash
# Adds a new board in a copy of the checkout, in the steps of README.md: copies a board's folder
# under another name and adapts it. test.sh must report each missing step with its file and line,
# and must pass with the complete board.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")"

board=new-board
model_board=mps2-an500
root=$(cd .. && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/firmware}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for entry in "$root"/*; do
  case ${entry##*/} in
    firmware-examples | target) ;;
    *) ln -s "$entry" "$scratch" ;;
  esac
done
cp -r "$root/firmware-examples" "$scratch"
cd "$scratch/firmware-examples"

lacks() { # MESSAGE
  local said
  if said=$(./test.sh "$board" 2>&1); then
    echo "FAILED: test.sh passed, expected it to say: $1" >&2
    exit 1
  fi
  grep -qF "$1" <<<"$said" || {
    echo "FAILED: test.sh does not say: $1" >&2
    echo "$said" >&2
    exit 1
  }
  echo "ok: $1"
}

lacks "$board: no folder in firmware-examples/boards, expected one of:"
mkdir "boards/$board"
cp "boards/$model_board/board.toml" "boards/$board"
lacks "boards/$board/board.x: missing"
cp "boards/$model_board"/* "boards/$board"
lacks "boards/$board/board.toml: a line is missing, expected: BOARD = { value = \"$board\""
sed -i "s/^BOARD = { value = \"$model_board\"/BOARD = { value = \"$board\"/" "boards/$board/board.toml"
./test.sh "$board"
