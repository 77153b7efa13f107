#!/usr/bin/env bash
# Tests `electra serve --http` with clients of other projects: huggingface_hub, and schemathesis,
# which makes requests from the OpenAPI description and checks the answers against it. Checks the
# metrics with promtool, if it is installed (Debian package prometheus).
#
#     tools/cli/tests/http_clients.sh [ELECTRA]      ELECTRA is the executable, by default that of
#                                                    target/debug
#
# Python packages go to target/http-clients, so no Python environment changes.
set -euo pipefail
cd "$(dirname "$0")/../../.."

electra=$(realpath "${1:-target/debug/electra}")
environment=$PWD/target/http-clients
model=models/electra-small-sentiment/model.electra
detector=models/electra-small-rtd/model.electra

[ -e "$environment/installed" ] || {
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet huggingface_hub==2.4.0 schemathesis==4.32.5
  touch "$environment/installed"
}

work=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

# Starts the service for a model. Sets `url`.
start() { # MODEL
  # The file exists before it is read, also if the service starts late.
  : >"$work/log"
  "$electra" serve --http 127.0.0.1:0 --model "$1" 2>>"$work/log" &
  server=$!
  local attempt
  for attempt in $(seq 100); do
    url=$(sed -n 's/^electra: listening on \(http[^,]*\),.*/\1/p' "$work/log")
    [ -z "$url" ] || return 0
    kill -0 "$server" || break
    sleep 0.1
  done
  echo "the service did not start: $(cat "$work/log")" >&2
  exit 1
}

# The service must have survived, and it must end without an error.
stop() {
  kill -TERM "$server"
  wait "$server"
  server=
}

# TEI answers a list that is too long with status 413, which schemathesis does not expect.
cat >"$work/schemathesis.toml" <<'TOML'
[checks.negative_data_rejection]
expected-statuses = [400, 401, 404, 405, 411, 413, 415, 422]
TOML

for served in "$model" "$detector"; do
  start "$served"
  if [ "$served" = "$model" ]; then
    "$environment/bin/python" tools/cli/tests/http_clients.py "$url" "$electra" "$model"
  fi
  # The generated requests depend on the seed only. Schemathesis keeps notes in the current folder.
  (cd "$work" && "$environment/bin/schemathesis" --config-file schemathesis.toml run "$url/openapi.json" \
    --checks all --max-examples 50 --seed 1)
  if command -v promtool >/dev/null; then
    "$environment/bin/python" -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())' \
      "$url/metrics" | promtool check metrics
    echo "promtool: the metrics are well-formed"
  fi
  stop
done
