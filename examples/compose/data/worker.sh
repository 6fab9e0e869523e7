#!/bin/sh
# One worker of the shared run: every worker runs the same line.
set -eu
: "${STORE:=postgres://cohobate@db/distill}"
: "${TEACHER:=simulated}"
# The journal of this worker alone: a directory that no other worker has.
: "${OUTBOX:=/tmp/outbox}"
cd "$(dirname "$0")"
if [ -r /run/secrets/password ]; then
  PGPASSWORD=$(cat /run/secrets/password)
  export PGPASSWORD
fi
exec cohobate distill conversations.jsonl --teacher "$TEACHER" --store "$STORE" --run example \
  --max-requests 100000 --outbox "$OUTBOX" -o distilled.jsonl
