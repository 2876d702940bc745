# Sourced by scripts that start in the project's folder.
#
#     make_environment [--latest] FILE...
#
# makes .venv, installs these requirement files and sets $python; a second call with the same files
# reuses it. --latest takes the newest versions they allow instead of keeping what is installed.

fail() { printf 'error: %s\n' "$1" >&2; exit 2; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3.10 python3 python}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
            2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
}

make_environment() {
    local found stamp wanted free_kb file flags=()
    if [ "$1" = --latest ]; then
        flags+=(--upgrade --upgrade-strategy eager)
        shift
    fi
    wanted=$(cat "$@" | cksum)
    stamp=.venv/installed-requirements
    python=.venv/bin/python
    if [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    found=$(find_python)
    [ -n "$found" ] || fail "no Python from 3.10 to 3.13 was found (${PYTHON:-python3} is \
$("${PYTHON:-python3}" -V 2>&1 || true)); install one, or name it: PYTHON=/path/to/python $0"
    "$found" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$("$found" -V) has no venv module; install it (Debian, Ubuntu: apt install python3-venv)"
    free_kb=$(df -Pk . | awk 'NR == 2 {print $4}')
    [ "$free_kb" -ge 4000000 ] ||
        fail "the packages need 4 GB of disk in $PWD, but only $((free_kb / 1000)) MB are free; make room"
    echo "installing packages into .venv (some 3 GB with $("$found" -V), once)"
    if [ ! -x "$python" ]; then
        "$found" -m venv .venv || fail "the environment .venv could not be made; see above"
    fi
    for file in "$@"; do flags+=(-r "$file"); done
    "$python" -m pip install --quiet --disable-pip-version-check "${flags[@]}" &&
        "$python" -m pip install --quiet --disable-pip-version-check --no-deps --editable . ||
        fail "the packages could not be installed; see pip's message above, mend it and start again"
    echo "$wanted" > "$stamp"
}
