#!/usr/bin/env bash
# Builds the wheel of this machine's architecture, installs it into a new environment, and runs the
# tests. They compare the package with the command `electra`, with transformers, and with Spark.
#
#     runtime/python/test.sh [ARGUMENTS OF PYTEST]
#
# Needs Python 3.11 with venv, gcc, binutils, and a Java runtime for Spark. Without
# ELECTRA_LIBTORCH, tools/train/setup downloads PyTorch.
set -euo pipefail
cd "$(dirname "$0")/../.."
architecture=$(uname -m)

packaging/build-wheels "${architecture/armv7l/armv7}"
cargo build --quiet --release --locked -p electra-cli --no-default-features
export ELECTRA_COMMAND=$PWD/target/release/electra

# From a wheel to a label, as README shows it. The limit includes the time of pip.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
start=$SECONDS
python3 -m venv "$scratch/new"
"$scratch/new/bin/pip" install --quiet --no-index target/wheels/*.whl
(cd "$scratch" && new/bin/python -c '
import electra_edge
classify = electra_edge.pipeline("sentiment-analysis")
print(classify("ELECTRA is surprisingly fast and accurate."))')
echo "from the wheel to a label in $((SECONDS - start)) s"
[ $((SECONDS - start)) -le 30 ]

environment=target/python-tests
requirements=runtime/python/tests/requirements.txt
cmp -s "$requirements" "$environment/installed" || {
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$environment/installed"
}
# Apart from the other packages, so that a test of Spark can hide it from the workers.
rm -rf "$environment/package"
"$environment/bin/pip" install --quiet --no-index --no-deps --target "$environment/package" target/wheels/*.whl

eval "$(tools/train/setup)"
libtorch=$(dirname "$LIBTORCH")
export PYTHONPATH=$PWD/$environment/package:$libtorch PYTHONDONTWRITEBYTECODE=1
LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$(runtime/python/tests/cuda-stubs "$libtorch" "$PWD/target/cuda-stubs")
cd runtime/python
exec "../../$environment/bin/python" -m pytest -q -p no:cacheprovider "$@"
