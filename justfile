# Each recipe is one command that runs without just as well.

# List the recipes
default:
    @just --list

# Format, lints, unit tests and quick integration tests
fast:
    .ci/run format lint fast

# Everything that continuous integration runs, and a sample of mutants
full:
    .ci/run
    .ci/run mutants

# The chaos suite with all its cases: 500 kills, 500 crash states, 2,000 flipped bits; another draw each time
chaos STATES="500":
    COHOBATE_CHAOS_SEED=$(date +%s) COHOBATE_CHAOS_STATES={{STATES}} .ci/run chaos

# The documentation, without warnings
docs:
    .ci/run docs

# The oldest compiler that Cargo.toml promises, where it is installed
msrv:
    .ci/run msrv

# The documentation as a site, with every link checked
site:
    .ci/run site

# The official clients, `datasets` and a browser read the output
clients:
    .ci/run clients

# The trainers read the output, distilabel runs the step for it; downloads 6 GB
consumers:
    .ci/run consumers

# Types and tests of the Python package, and a wheel in a bare environment
python:
    .ci/run python wheel

# A sample of small changes that the tests must notice; SEED repeats a sample
mutants SEED="":
    COHOBATE_TEST_SEED={{SEED}} .ci/run mutants

# What the gate catches of damaged answers, and what it rejects wrongly, in twelve languages; TEXTS holds `*-LANGUAGE.jsonl`
damage TEXTS="":
    COHOBATE_TEXTS={{TEXTS}} cargo test --locked --release --test it damage::tables -- --ignored --nocapture

# Fuzz one target for SECONDS
fuzz TARGET SECONDS="60":
    fuzz/run {{TARGET}} {{SECONDS}}

# Keep a small set of the inputs that fuzzing one target has found
fuzz-keep TARGET:
    fuzz/keep {{TARGET}}
