#!/bin/sh
# Merges the stores of the shards, and writes all rows in the order of the input. It sends nothing.
#
#   INPUT=talks.jsonl examples/slurm/merge.sh OUTPUT
#
# MODEL (or TEACHER) as for the tasks. Exit code 3 says that rows are missing: let the tasks finish, and merge again.
set -eu
output=$1
teacher=${TEACHER:-${MODEL:-Qwen/Qwen3-8B}@http://127.0.0.1:8000/v1}

cohobate merge .cohobate/shard-*-of-* --into .cohobate/merged
cohobate export "${INPUT:?the dataset}" --teacher "$teacher" --store .cohobate/merged -o "$output"
cohobate verify "$INPUT" --teacher "$teacher" --store .cohobate/merged -o "$output"
