#!/usr/bin/env bash
# Tests packaging/nginx/electra.conf: nginx with TLS in front of `electra serve --http`.
#
#     tools/cli/tests/nginx/test.sh [ELECTRA]      ELECTRA is the executable, by default that of
#                                                  target/debug
set -euo pipefail
cd "$(dirname "$0")/../../../.."

electra=$(realpath "${1:-target/debug/electra}")
# Debian installs nginx where only root looks for programs.
PATH=$PATH:/usr/sbin
for program in nginx openssl curl; do
  command -v "$program" >/dev/null || {
    echo "$program not found; install the Debian package of this name (nginx-light for nginx)" >&2
    exit 1
  }
done

work=$(mktemp -d)
processes=()
finish() {
  kill "${processes[@]}" 2>/dev/null || true
  wait
  rm -rf "$work"
}
trap finish EXIT

# The service chooses a free port. The port of nginx is one that was free a moment ago.
openssl rand -hex 32 >"$work/token"
"$electra" serve --http 127.0.0.1:0 --token-file "$work/token" \
  --model models/electra-small-sentiment/model.electra 2>"$work/log" &
processes+=($!)
for _ in $(seq 100); do
  address=$(sed -n 's/^electra: listening on http:\/\/\([^,]*\),.*/\1/p' "$work/log")
  [ -z "$address" ] || break
  sleep 0.1
done
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=electra.example.org \
  -addext subjectAltName=DNS:electra.example.org -keyout "$work/key.pem" -out "$work/fullchain.pem" 2>/dev/null
# Only addresses and paths of the shipped file change.
sed -e "s|127.0.0.1:8080|$address|; s|listen 443 ssl|listen 127.0.0.1:$port ssl|; s|/etc/ssl/electra|$work|" \
  packaging/nginx/electra.conf >"$work/electra.conf"
cat >"$work/nginx.conf" <<CONF
daemon off;
pid $work/pid;
error_log $work/error.log;
events {}
http {
  access_log off;
  client_body_temp_path $work/body;
  proxy_temp_path $work/proxy;
  fastcgi_temp_path $work/fastcgi;
  uwsgi_temp_path $work/uwsgi;
  scgi_temp_path $work/scgi;
  include $work/electra.conf;
}
CONF
nginx -c "$work/nginx.conf" -e "$work/error.log" &
processes+=($!)

# Prints the status and the body of an answer.
ask() { # PATH [CURL OPTIONS]
  local path=$1
  shift
  curl --silent --show-error --cacert "$work/fullchain.pem" --write-out ' %{http_code}' \
    --resolve "electra.example.org:$port:127.0.0.1" "https://electra.example.org:$port$path" "$@"
}
expect() { # WHAT PATTERN ANSWER
  # shellcheck disable=SC2053
  [[ $3 == $2 ]] || {
    echo "$1: $3, expected $2; $(cat "$work/error.log" "$work/log")" >&2
    exit 1
  }
  echo "$1: ok"
}
for _ in $(seq 100); do
  ask /health >/dev/null 2>&1 && break
  sleep 0.1
done

token=(-H "Authorization: Bearer $(cat "$work/token")")
json=(-H 'Content-Type: application/json' -d '{"inputs": "ELECTRA is surprisingly fast and accurate."}')
expect "health" '*ok* 200' "$(ask /health)"
expect "the page" '*<!doctype html>* 200' "$(ask / | tr 'A-Z' 'a-z')"
expect "no token" '* 401' "$(ask /predict "${json[@]}")"
expect "a wrong token" '* 401' "$(ask /predict -H 'Authorization: Bearer x' "${json[@]}")"
expect "an answer" '*POSITIVE* 200' "$(ask /predict "${token[@]}" "${json[@]}")"
expect "the metrics" '* 403' "$(ask /metrics "${token[@]}")"
head -c 300000 /dev/zero | tr '\0' x >"$work/large"
expect "a large body" '* 413' "$(ask /predict "${token[@]}" -H 'Content-Type: application/json' --data-binary @"$work/large")"
