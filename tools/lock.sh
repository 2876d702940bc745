#!/usr/bin/env bash
# Writes requirements.lock: for each requirement and all that it needs the newest version that
# requirements.txt allows, for every Python and system that the project runs on.
#
#     tools/lock.sh               keeps what is locked as far as requirements.txt still allows it
#     tools/lock.sh --upgrade     takes the newest of everything; where the newest TensorFlow wants an
#                                 older h5py, look which of the two was held back
#
# Run ./.ci/run before committing a new lock: its versions are promised to be tested.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/uv_environment.sh
"$python" -m uv pip compile --quiet --universal --python-version 3.10 --only-binary :all: \
    --no-emit-index-url --no-annotate --custom-compile-command tools/lock.sh \
    "$@" --output-file requirements.lock requirements.txt
