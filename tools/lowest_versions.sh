#!/usr/bin/env bash
# Installs exactly the lowest versions that requirements.txt and requirements-test.txt allow on this
# Python into .venv-lowest, and runs the fast tests on them: the library's, and one way through the
# scripts. Arguments go to pytest. A failing test means that a lower bound is false: raise it.
set -euo pipefail
shopt -s extglob
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/uv_environment.sh
lowest=.venv-lowest/bin/python
base=$("$python" -c 'import sys; print(sys._base_executable)')
"$python" -m uv venv --quiet --clear --python "$base" .venv-lowest
# Wheels only: a version of before this Python has none, so it is not among the lowest for it.
"$python" -m uv pip install --quiet --python "$lowest" --resolution lowest-direct \
    --only-binary :all: --requirements requirements.txt --requirements requirements-test.txt
"$python" -m uv pip install --quiet --python "$lowest" --no-deps --editable .
exec "$lowest" -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
    -m "not slow and not optional and not thorough" "$@" \
    tests/!(tools|benchmarks|artefacts)/ tests/test_json_to_submission.py \
    tests/test_training_scripts.py::test_stage_3_retrains_without_augmentation
