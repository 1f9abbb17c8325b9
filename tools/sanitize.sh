#!/usr/bin/env bash
# Builds the kernels with sanitizers in a temporary folder and runs their tests: AddressSanitizer and
# UndefinedBehaviorSanitizer, or, if the first argument is `thread`, ThreadSanitizer with the tests that share work.
# PYTHON names the interpreter (default: python3); further arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
case $python in */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;; esac
kind=address,undefined library=libasan.so tests=(tests/kernels)
if [[ ${1:-} == thread ]]; then
    shift
    kind=thread library=libtsan.so tests=(tests/kernels -k "threads or list or fork or memory or blocks")
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
TGE_SANITIZE=$kind TGE_REQUIRE_NATIVE=1 TGE_PURE=1 \
    "$python" setup.py -q build_ext --build-lib "$work/lib" --build-temp "$work/tmp"
mkdir "$work/run"
tar -cf - --exclude='*.so' --exclude=__pycache__ tinygrad_edu tests/kernels pyproject.toml | tar -xf - -C "$work/run"
cp "$work"/lib/tinygrad_edu/kernels/_native*.so "$work/run/tinygrad_edu/kernels/"
cd "$work/run"
compiler=${CXX:-g++}
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
export TSAN_OPTIONS=ignore_noninstrumented_modules=1:die_after_fork=0:allocator_may_return_null=1:exitcode=66
LD_PRELOAD="$($compiler -print-file-name=$library) $($compiler -print-file-name=libstdc++.so)" \
PYTHONMALLOC=malloc PYTHONPATH=. "$python" -m pytest -q -p no:cacheprovider "${tests[@]}" "$@"
