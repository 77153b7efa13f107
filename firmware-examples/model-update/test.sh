# shellcheck shell=bash
# Part of ../test.sh: updates models in QEMU. The sender is this script, and minisign signs.
# shellcheck disable=SC2154 # variables of ../test.sh

piece_bytes=240
text="the film is great, and the story was not too bad."

# The same key on each run makes the same signature, so that the ticks of its verification do not
# differ either.
owner=$PWD/model-update/test-keys/test-only

# Signs the models with the key of the owner, and one with another key. Called once.
sign_models() {
  local name
  minisign -G -W -p "$scratch/other.pub" -s "$scratch/other.secret" >/dev/null
  for name in v1 v2 v3 large forged; do
    minisign -S -s "$owner.secret" -m "$scratch/$name.electra" -t "test of $name" >/dev/null
  done
  minisign -S -s "$scratch/other.secret" -m "$scratch/v3.electra" -x "$scratch/other.minisig" -t other >/dev/null
}

# Prints the lines that announce a model.
announced() { # NAME VERSION
  echo "begin $(stat -c %s "$scratch/$1.electra") $(fingerprint "$1") $2"
}

# Prints the checksum in the header of a model file, where it is a little-endian number.
fingerprint() { # NAME
  od -An -v -tx1 -j32 -N4 "$scratch/$1.electra" | awk '{ print $4 $3 $2 $1 }'
}

# Prints the lines that send a model from an offset on.
pieces() { # NAME [OFFSET]
  od -An -v -tx1 -w$piece_bytes -j"${2:-0}" "$scratch/$1.electra" | tr -d ' ' |
    awk -v offset="${2:-0}" -v bytes=$piece_bytes '{ printf "piece %d %s\n", offset + (NR - 1) * bytes, $0 }'
}

signature() { sed 's/^/signature /' "$1"; }

# Prints the lines of a whole update.
update() { # NAME VERSION
  announced "$1" "$2"
  pieces "$1"
  signature "$scratch/$1.electra.minisig"
  echo finish
}

on_host() { "$host" "$scratch/$1.electra" <<<"$text" 2>/dev/null; }

# Runs the scenario and compares every answer but those to pieces and lines of the signature.
model_update() {
  local clock sent=$((50 * piece_bytes)) most
  local resumed=$((sent / 4096 * 4096))
  {
    echo "classify $text"
    echo self-test
    # Version 2, from the announcement to the end of its trial.
    update v2 2
    echo "classify $text"
    echo restart
    echo "classify $text"
    echo self-test
    echo confirm
    # Version 3 is interrupted and resumed.
    announced v3 3
    pieces v3 | sed -n 1,50p
    echo restart
    echo resume
    pieces v3 "$resumed"
    signature "$scratch/v3.electra.minisig"
    echo finish
    # Nobody confirms it.
    echo restart
    echo "classify $text"
    printf 'restart\nrestart\nrestart\n'
    # Models that must not run.
    announced v3 3
    pieces v3
    signature "$scratch/other.minisig"
    echo finish
    update forged 3
    announced v1 1
    # A larger one, to measure how long the signature takes.
    update large 4
    echo rollback
    echo "classify $text"
    echo status
    printf %s "$end"
  } >"$scratch/in"
  {
    echo "slot A, factory, version 1, model $(fingerprint v1)"
    on_host v1
    echo "passed: 3 golden sentences"
    echo "receiving version 2 at 0"
    echo "installed version 2; restart begins its trial"
    on_host v1
    echo "slot B, trial 1, version 2, model $(fingerprint v2)"
    on_host v2
    echo "passed: 3 golden sentences"
    echo confirmed
    echo "receiving version 3 at 0"
    echo "slot B, confirmed, version 2, model $(fingerprint v2)"
    echo "receiving version 3 at $resumed"
    echo "installed version 3; restart begins its trial"
    echo "slot A, trial 1, version 3, model $(fingerprint v3)"
    on_host v3
    echo "slot A, trial 2, version 3, model $(fingerprint v3)"
    echo "slot A, trial 3, version 3, model $(fingerprint v3)"
    echo "slot B, unconfirmed update undone, version 2, model $(fingerprint v2)"
    echo "receiving version 3 at 0"
    echo "refused: signature: the signature is by the key $(key_id "$scratch/other"), expected one by the key $(key_id "$owner")"
    echo "receiving version 3 at 0"
    echo "refused: golden sentence: logit 0 has the bits"
    echo "refused: version of the model: 1, expected at least 2 (the active model)"
    echo "receiving version 4 at 0"
    echo "installed version 4; restart begins its trial"
    echo "slot B, confirmed, version 2, model $(fingerprint v2)"
    on_host v2
    echo "slot B, confirmed, version 2, model $(fingerprint v2)"
  } >"$scratch/expected"
  QEMU_ARGS="-icount shift=0" SECONDS_LIMIT=600 emulate model-update "$scratch/v1.electra" <"$scratch/in"
  expect "model-update: exit status" "$status" 0
  if diff "$scratch/expected" <(decisions); then
    echo "ok: model-update: $(wc -l <"$scratch/expected") answers: installed, resumed, undone, refused, rolled back"
  else
    fail "model-update: answers differ from those expected (<)"
  fi
  [ "$(on_host v1)" != "$(on_host v2)" ] && [ "$(on_host v2)" != "$(on_host v3)" ] ||
    fail "model-update: two versions give the same answer"
  clock=$(sed -n '1s/.* \([0-9]*\) ticks per second.*/\1/p' "$scratch/out")
  most=$(sed -n 's/.* stack=\([0-9]*\).*/\1/p' "$scratch/out")
  note model-update stack_in_use "$most"
  signature_ticks "$clock"
}

# Prints the id of a key as 16 digits. minisign 0.11 leaves leading zeros out.
key_id() { printf %16s "$(sed -n '1s/.* //p' "$1.pub")" | tr ' ' 0; }

# Prints the answers of the last run without those to pieces, and without figures.
decisions() {
  paste -d'\t' <(commands) "$scratch/out" | grep -v '^\(piece\|signature\)' | cut -f2 |
    sed -E 's/^ready: [^,]*, [0-9]* ticks per second, //; s/; signature .*//; s/, stack=.*//; s/(has the bits) .*/\1/'
}

# Prints the first word of each line that was sent, after one for the greeting.
commands() {
  echo greeting
  sed 's/ .*//; /^.$/d' "$scratch/in"
}

# Records the instructions of the verification of a signature: for no bytes, and for 1 MB. The
# installed models v2, v3 and large are the samples.
signature_ticks() { # CLOCK
  local small large
  small=$(stat -c %s "$scratch/v2.electra") large=$(stat -c %s "$scratch/large.electra")
  sed -n 's/^installed .*; signature \([0-9]*\) ticks.*/\1/p' "$scratch/out" | awk -v clock="$1" -v small="$small" -v large="$large" '
    { million[NR] = $1 * 1000 / clock }
    END {
      per_byte = (million[3] - million[1]) / (large - small)
      printf "%.2f %.2f\n", per_byte * 1e6, million[1] - per_byte * small
    }' >"$scratch/counts"
  note model-update signature_million_instructions_per_mb "$(cut -d' ' -f1 "$scratch/counts")"
  note model-update signature_million_instructions_fixed "$(cut -d' ' -f2 "$scratch/counts")"
  echo "signature: $(cut -d' ' -f1 "$scratch/counts") million instructions per MB and $(cut -d' ' -f2 "$scratch/counts") more"
}
