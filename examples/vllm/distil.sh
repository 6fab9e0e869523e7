#!/bin/sh
# Distils a dataset with a model that vLLM serves on this machine. The server is started for the run, started again when it
# dies, and stopped at the end. Run the same line again after any stop: stored answers are reused.
#
#   examples/vllm/distil.sh INPUT OUTPUT
#
# MODEL and PORT choose the server, SERVE_OPTIONS go to `vllm serve`. TEACHER=simulated tries the script without a GPU.
set -eu
input=$1 output=$2
model=${MODEL:-Qwen/Qwen3-8B}
port=${PORT:-8000}
teacher=${TEACHER:-$model@http://127.0.0.1:$port/v1}

# What the run would send, and how long the answers may get. It sends nothing.
cohobate plan "$input" --teacher "$teacher" --max-tokens 4096

if [ "$teacher" = simulated ]; then
  cohobate distill "$input" --teacher simulated --max-tokens 4096 -o "$output"
else
  # --enable-prefix-caching: each turn repeats the history of its conversation, and vLLM need not compute it again.
  cohobate distill "$input" --teacher "$teacher" --max-tokens 4096 -o "$output" \
    --serve "vllm serve $model --port $port --enable-prefix-caching ${SERVE_OPTIONS:-}"
fi

# Proves that no row is missing, duplicated or truncated.
cohobate verify "$input" --teacher "$teacher" --max-tokens 4096 -o "$output"
