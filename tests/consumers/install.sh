#!/usr/bin/env bash
# Makes a Python environment at $1 with what the consumer tests want: `small` the official clients and datasets, `distilabel` that
# alone, since it asks for other versions, and otherwise the trainers too (some 6 GB). A second run continues.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
environment=$1

[ -x "$environment/bin/python" ] || python3 -m venv "$environment"
pip() { "$environment/bin/python" -m pip --disable-pip-version-check install --quiet "$@"; }
if [ "${2:-all}" = distilabel ]; then
  # It imports requests, and writes a card with pillow, without asking for either.
  pip distilabel==1.5.3 requests pillow pytest mypy pyright
  exit
fi
grep -E '^(anthropic|openai|datasets)==' "$here/requirements.txt" | xargs "$environment/bin/python" -m pip install --quiet
[ "${2:-all}" = small ] && exit
pip -r "$here/requirements.txt"
# Without what they would bring along: the versions that they ask for contradict each other.
pip --no-deps llamafactory==0.9.5 axolotl==0.19.0 speculators==0.9.0 hs-connectors==0.9.0 specforge==0.2.0
