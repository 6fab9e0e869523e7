#!/bin/sh
# Makes training data for a draft model (speculative decoding): the target model answers every turn, and each row has the
# token ids that the server sampled, with a mask that is 1 on them.
#
#   examples/draft_model/distil.sh INPUT OUTPUT
#
# TARGET is the target model; it must serve token ids: vLLM or SGLang. Without it, the simulated model answers.
# TO=speculators or TO=specforge writes rows for that trainer; `token-ids` is for everything else.
set -eu
input=$1 output=$2
target=${TARGET:-${TEACHER:-simulated}}

# The temperature of the target in use: the draft model learns what it will be compared with.
cohobate distill "$input" --teacher "$target" --token-ids --temperature "${TEMPERATURE:-0.7}" \
  --to "${TO:-token-ids}" -o "$output"
