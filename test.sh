#!/usr/bin/env bash
# Makes the environment if needed and runs the tests; arguments go to pytest. Tests of optional
# programs and packages are skipped where these are not installed. Those marked thorough, minutes for
# what seldom changes, are left out: ./test.sh -m thorough runs them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. tools/environment.sh
make_environment requirements.lock requirements-test.txt
# Most tests wait for one process of their own; those of a file share what they made.
# In the order of their names: the default begins with the files of many tests, and the longest tests,
# alone in theirs, would come last, one process waiting for the other.
exec "$python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 20 -m "not thorough" "$@"
