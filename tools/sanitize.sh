#!/usr/bin/env bash
# Builds the kernels with AddressSanitizer and UndefinedBehaviorSanitizer in a temporary folder and runs their tests.
# PYTHON names the interpreter (default: python3); further arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
case $python in */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
TGE_SANITIZE=address,undefined TGE_REQUIRE_NATIVE=1 TGE_PURE=1 \
    "$python" setup.py -q build_ext --build-lib "$work/lib" --build-temp "$work/tmp"
mkdir "$work/run"
tar -cf - --exclude='*.so' --exclude=__pycache__ tinygrad_edu tests/kernels pyproject.toml | tar -xf - -C "$work/run"
cp "$work"/lib/tinygrad_edu/kernels/_native*.so "$work/run/tinygrad_edu/kernels/"
cd "$work/run"
compiler=${CXX:-g++}
LD_PRELOAD="$($compiler -print-file-name=libasan.so) $($compiler -print-file-name=libstdc++.so)" \
ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 PYTHONMALLOC=malloc PYTHONPATH=. \
    "$python" -m pytest -q -p no:cacheprovider tests/kernels "$@"
