#!/usr/bin/env bash
# Tests the page of `electra serve --http` in Chromium.
#
#     tools/cli/tests/page/test.sh [ELECTRA]      ELECTRA is the executable, by default that of
#                                                 target/debug
#
# Needs Node.js 20 and Debian's package chromium. playwright-core goes to target/page-test.
# `SCREENSHOT=docs/page.png` in the environment writes the picture of README.
set -euo pipefail
cd "$(dirname "$0")/../../../.."

ELECTRA=$(realpath "${1:-target/debug/electra}")
MODELS=$PWD/models
[ -z "${SCREENSHOT:-}" ] || SCREENSHOT=$(realpath -m "$SCREENSHOT")
export ELECTRA MODELS SCREENSHOT

folder=target/page-test
mkdir -p "$folder"
[ -e "$folder/node_modules/playwright-core" ] ||
  npm install --silent --no-audit --no-fund --no-save --prefix "$folder" playwright-core@1.64.1
cp tools/cli/tests/page/page.test.mjs "$folder"
cd "$folder"
node --test page.test.mjs
