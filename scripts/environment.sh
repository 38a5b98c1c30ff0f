# shellcheck shell=bash
# Sourced by the other scripts, which stand in the repository's root by then: makes .venv with what a
# requirements file names, once, and leaves its interpreter's path in $PYTHON.

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 2
}

find_python() {
    local candidate
    for candidate in python3.11 python3.12 python3.10 python3; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

make_virtual_environment() {
    local python version
    [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] ||
        fail "found $(uname -s) on $(uname -m), expected Linux on x86_64: MindSpore 2.10 is built for no other common machine"
    python=$(find_python) ||
        fail "found no Python 3.10, 3.11 or 3.12 (python3 is $(python3 --version 2>&1 || true)): install one, e.g. apt-get install python3.11 python3.11-venv"
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "Python $version cannot make virtual environments: apt-get install python$version-venv"
    echo "making .venv with Python $version"
    rm -rf .venv
    "$python" -m venv .venv
}

# prepare_environment REQUIREMENTS...: nothing is done when these very files were installed before.
prepare_environment() {
    local requirements stamp
    .venv/bin/python -c 'import sys' 2>/dev/null || make_virtual_environment
    PYTHON=$PWD/.venv/bin/python
    for requirements in "$@"; do
        stamp=.venv/installed-$requirements
        if ! cmp -s "$requirements" "$stamp"; then
            echo "installing $requirements (MindSpore alone is 0.8 GB; about 3 GB on the disk in all)"
            # requirements.txt bounds the others: else one of them may bring a NumPy that MindSpore fails with
            "$PYTHON" -m pip install --disable-pip-version-check -q --progress-bar on -r "$requirements" \
                -c requirements.txt ||
                fail "$requirements could not be installed: see pip's message above; the same command goes on from there"
            cp "$requirements" "$stamp"
        fi
    done
}
