#!/usr/bin/env bash
# Compares signatures with the real minisign (Debian package minisign): each program verifies the
# signatures of the other one.
#
#     tools/cli/tests/minisign.sh [ELECTRA]      (default: target/debug/electra)
set -euo pipefail
electra=$(realpath "${1:-$(dirname "$0")/../../../target/debug/electra}")
model=$(realpath "$(dirname "$0")/../../../models/electra-small-sentiment/model.electra")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cp "$model" model.electra
# The key has no password.
minisign -G -W -p key.pub -s key.secret >/dev/null

minisign -S -s key.secret -m model.electra -t 'by minisign' >/dev/null
"$electra" verify model.electra --public-key key.pub | grep -F 'trusted comment: by minisign'
# The format before minisign 0.10: a signature of the file, not of its hash.
minisign -S -l -s key.secret -m model.electra -t 'of the file' >/dev/null
"$electra" verify model.electra --public-key key.pub | grep -F 'trusted comment: of the file'
rm model.electra.minisig
"$electra" sign model.electra --secret-key key.secret --comment 'by electra'
minisign -V -p key.pub -m model.electra | grep -F 'Trusted comment: by electra'

printf '\1' | dd of=model.electra bs=1 seek=1000000 conv=notrunc status=none
if minisign -V -q -p key.pub -m model.electra 2>/dev/null; then
  echo "minisign accepts a changed file" >&2
  exit 1
fi
if "$electra" verify model.electra --public-key key.pub 2>/dev/null; then
  echo "electra accepts a changed file" >&2
  exit 1
fi
echo "minisign and electra agree"
