#!/usr/bin/env bash
# Feeds the readers of audio files, index.json, descriptions and weights with what libFuzzer invents; see --help.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<END
Fuzz the readers of the C++ application with the address and undefined behaviour sanitizers.

  bash ascend310_infer/fuzz.sh [SECONDS]

Each of the four targets runs for SECONDS (60), all at the same time, beginning with the inputs kept in test/fuzz/corpus.
New ones that reach more of the code are added there, reduced to the smallest set. What makes a target fail is left in
build-fuzz, and the exit status is 1. Needs clang with libFuzzer: apt-get install clang libclang-rt-14-dev.
END
}

case ${1:-60} in
--help | -h)
    usage
    exit 0
    ;;
*[!0-9]*)
    echo "error: found '$1', expected a whole number of seconds (see --help)" >&2
    exit 2
    ;;
esac
seconds=${1:-60}
command -v clang++ >/dev/null || {
    echo "error: found no clang++: apt-get install clang libclang-rt-14-dev" >&2
    exit 2
}

# A command's own path, as CMake would take its bare name for a file of this folder.
PYTHON=${PYTHON:+$(command -v -- "$PYTHON" || echo "$PYTHON")}
build_dir=$here/build-fuzz
CC=clang CXX=clang++ cmake -S "$here" -B "$build_dir" -DGDPRNN_FUZZERS=ON -DGDPRNN_TESTS=OFF -DCMAKE_BUILD_TYPE=Release \
    -DGDPRNN_SANITIZERS=address,undefined "-DLITE_HOME=${LITE_HOME:-}" "-DGDPRNN_CACHE=${GDPRNN_CACHE:-}" \
    "-DGDPRNN_PYTHON=${PYTHON:-}" >/dev/null
cmake --build "$build_dir" --parallel --target fuzz_audio_reader fuzz_description fuzz_index fuzz_network_weights

# fuzz NAME LONGEST: LONGEST bytes at most; failures of the undefined behaviour sanitizer count too.
fuzz() {
    local corpus=$here/test/fuzz/corpus/$1 found=$build_dir/found-$1 program=$build_dir/fuzz_$1
    mkdir -p "$corpus" "$found"
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 "$program" "$found" "$corpus" -max_total_time="$seconds" \
        -max_len="$2" -timeout=20 -rss_limit_mb=3000 -artifact_prefix="$build_dir/$1-" -print_final_stats=1 \
        >"$build_dir/$1.log" 2>&1 || return 1
    "$program" -merge=1 -use_counters=0 -max_len="$2" -timeout=20 -rss_limit_mb=3000 "$corpus" "$found" >>"$build_dir/$1.log" 2>&1
}

names=(audio_reader description index network_weights)
longest=(65536 4096 4096 8192)
jobs=()
for place in "${!names[@]}"; do
    fuzz "${names[place]}" "${longest[place]}" &
    jobs+=($!)
done
failed=0
for place in "${!names[@]}"; do
    name=${names[place]}
    if wait "${jobs[place]}"; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build_dir/$name.log" | head -n 1)
        echo "$name: $runs inputs in $seconds s, nothing found; $(find "$here/test/fuzz/corpus/$name" -type f | wc -l) kept"
    else
        echo "$name: FAILED, see $build_dir/$name.log" >&2
        tail -n 30 "$build_dir/$name.log" >&2
        failed=1
    fi
done
exit "$failed"
