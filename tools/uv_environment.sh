# Sourced by scripts that resolve versions: makes .venv with uv in it, sets $python, and
# hands uv the settings that pip has on this machine, which uv does not read.
. tools/environment.sh
make_environment requirements.lock requirements-test.txt
[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
[ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"
