#!/usr/bin/env bash
# Builds the C++ application; see --help.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

arch=$(uname -m)
build_dir=
build_type=Release
tests=OFF
sanitizers=
toolchain=
libraries=
jobs=$(nproc)

usage() {
    cat <<END
Build the C++ application: ascend310_infer/build/gdprnn_infer, and gdprnn_convert beside it.

  bash ascend310_infer/build.sh [OPTIONS]

  --build-dir DIR      where (build beside this script; build-ARCH for another --arch)
  --type TYPE          Release or Debug ($build_type)
  --tests              build the unit tests too, and run them
  --sanitizers LIST    e.g. address,undefined; best with --type Debug and a --build-dir of its own
  --arch ARCH          x86_64 or aarch64 ($arch); for the other one Debian's cross compiler is used
  --toolchain FILE     a CMake toolchain file of your own
  --libraries DIR      a folder with include and lib to search for the libraries instead of the system's
  --jobs N             compile so many files at once ($jobs)
  --help

What it needs: CMake 3.18, a C++17 compiler, and the development files of libsndfile, soxr, OpenSSL, Eigen, nlohmann
json and doctest. Libraries that are not installed are fetched without root on Debian and Ubuntu. MindSpore's runtime is
the SDK that the variable LITE_HOME names, or else the one on PyPI, fetched by pip (of \$PYTHON, .venv or python3) into
\$GDPRNN_CACHE or .cache of the repository. What was fetched once is used again without a network.
END
}

# A command's own path, as CMake would take its bare name for a file of this folder.
PYTHON=${PYTHON:+$(command -v -- "$PYTHON" || echo "$PYTHON")}

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 2
}

# cached NAME: what CMake noted at the last configuration.
cached() {
    sed -n "s/^$1:[A-Z]*=//p" "$build_dir/CMakeCache.txt"
}

# forget_other_sources: a repository that was moved, or copied with its builds, is configured anew; CMake would refuse.
forget_other_sources() {
    [ -f "$build_dir/CMakeCache.txt" ] || return 0
    [ "$(cached CMAKE_PROJECT_NAME)" = gdprnn_infer ] ||
        fail "$build_dir: found a build of '$(cached CMAKE_PROJECT_NAME)', expected an empty folder or one of this program"
    if [ "$(cached CMAKE_HOME_DIRECTORY)" != "$here" ] ||
        [ "$(realpath -- "$(cached CMAKE_CACHEFILE_DIR)" 2>/dev/null)" != "$(realpath -- "$build_dir")" ]; then
        rm -rf -- "$build_dir/CMakeCache.txt" "$build_dir/CMakeFiles"
    fi
}

while [ $# -gt 0 ]; do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --tests)
        tests=ON
        shift
        continue
        ;;
    --build-dir | --type | --sanitizers | --arch | --toolchain | --libraries | --jobs) ;;
    *) fail "found '$1', which is no option of build.sh (see --help)" ;;
    esac
    if [ $# -lt 2 ] || [ -z "$2" ]; then
        fail "$1: found no value after it, expected one (see --help)"
    fi
    case $1 in
    --build-dir) build_dir=$2 ;;
    --type) build_type=$2 ;;
    --sanitizers) sanitizers=$2 ;;
    --arch) arch=$2 ;;
    --toolchain) toolchain=$2 ;;
    --libraries) libraries=$2 ;;
    --jobs) jobs=$2 ;;
    esac
    shift 2
done

case $build_type in
Release | Debug) ;;
*) fail "--type: found '$build_type', expected Release or Debug" ;;
esac
case $arch in
x86_64 | aarch64) ;;
*) fail "--arch: found '$arch', expected x86_64 or aarch64" ;;
esac
command -v cmake >/dev/null || fail "found no cmake: apt-get install cmake, or dnf install cmake"

is_native=true
if [ "$arch" != "$(uname -m)" ]; then
    is_native=false
    if [ -z "$toolchain" ]; then
        toolchain=$here/cmake/$arch-linux-gnu.cmake
        [ -f "$toolchain" ] || fail "--arch $arch on $(uname -m): expected a --toolchain FILE for it"
        command -v "$arch-linux-gnu-g++" >/dev/null ||
            fail "found no $arch-linux-gnu-g++, expected a cross compiler: apt-get install g++-$arch-linux-gnu"
    fi
    [ -n "$build_dir" ] || build_dir=$here/build-$arch
elif [ -z "${CXX:-}" ] && ! command -v c++ >/dev/null; then
    fail "found no C++ compiler: apt-get install g++, or dnf install gcc-c++"
fi
build_dir=${build_dir:-$here/build}

mkdir -p "$build_dir" || fail "$build_dir: cannot be made, expected a folder for the build"
: 2>/dev/null >"$build_dir/.lock" || fail "$build_dir: cannot be written, expected a folder for the build"
exec {lock}>"$build_dir/.lock"
if ! flock --nonblock "$lock"; then
    echo "waiting for another build of $build_dir"
    flock "$lock"
fi
forget_other_sources
rm -f "$build_dir/failure.txt"
if ! cmake -S "$here" -B "$build_dir" -DCMAKE_BUILD_TYPE="$build_type" -DGDPRNN_TESTS="$tests" \
    -DGDPRNN_SANITIZERS="$sanitizers" -DLITE_HOME="${LITE_HOME:-}" -DGDPRNN_CACHE="${GDPRNN_CACHE:-}" \
    -DGDPRNN_PYTHON="${PYTHON:-}" ${toolchain:+-DCMAKE_TOOLCHAIN_FILE="$toolchain"} \
    ${libraries:+-DGDPRNN_LIBRARIES="$libraries"} 2>"$build_dir/configure.log"; then
    # What this project's own CMake files found is told in one line, anything else as CMake tells it.
    [ ! -f "$build_dir/failure.txt" ] || fail "$(cat "$build_dir/failure.txt")"
    cat "$build_dir/configure.log" >&2
    exit 2
fi
cmake --build "$build_dir" --parallel "$jobs"
if [ "$tests" = ON ] && [ "$is_native" = true ]; then
    (cd "$build_dir" && ctest --output-on-failure)
fi
echo "built $build_dir/gdprnn_infer"
