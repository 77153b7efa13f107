#!/usr/bin/env bash
# Tests `electra serve --mqtt` with Debian's broker mosquitto and the client paho-mqtt.
#
#     tools/cli/tests/mqtt/test.sh [ELECTRA]      ELECTRA is the executable, by default that of
#                                                 target/debug
#
# Python packages go to target/mqtt-client, so no Python environment changes.
set -euo pipefail
cd "$(dirname "$0")/../../../.."

electra=$(realpath "${1:-target/debug/electra}")
environment=$PWD/target/mqtt-client
# Debian installs the broker where only root looks for programs.
PATH=$PATH:/usr/sbin
command -v mosquitto >/dev/null || {
  echo "mosquitto not found; install the Debian package mosquitto" >&2
  exit 1
}
[ -e "$environment/installed" ] || {
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet paho-mqtt==2.1.0
  touch "$environment/installed"
}
exec "$environment/bin/python" tools/cli/tests/mqtt/test.py "$electra" models/electra-small-sentiment/model.electra
