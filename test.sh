#!/usr/bin/env bash
# Makes the environment if needed and runs all tests; arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. tools/environment.sh
make_environment requirements.txt requirements-test.txt
# Most tests wait for one process of their own; those of a file share what they made.
exec "$python" -m pytest -n 2 --dist loadfile "$@"
