#!/usr/bin/env bash
# Makes the environment if needed and runs all tests; arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. tools/environment.sh
# A browser and Graphviz, for the tests that use them; where they cannot be had, those tests skip.
if [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { command -v chromium && command -v dot; } >/dev/null ||
        { apt-get -qq update && apt-get -qq install -y chromium graphviz; } >/dev/null 2>&1 || true
fi
# The optional requirements too; their tests skip where these are absent.
make_environment requirements.txt requirements-test.txt requirements-export.txt requirements-demo.txt
# Most tests wait for one process of their own; those of a file share what they made.
# In the order of their names: the default begins with the files of many tests, and the longest tests,
# alone in theirs, would come last, one process waiting for the other.
exec "$python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
