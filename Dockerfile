# A small image of the command, for a user without rights.
#
#   docker build -t cohobate .
#   docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" cohobate distill talks.jsonl --teacher NAME@URL -o out.jsonl
#
# It has a shell, for scripts and for what runs commands (--on-end, --tool-results), and nothing else.
FROM rust:1.89-slim-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
RUN cargo build --profile dist --locked --bin cohobate && cp target/dist/cohobate /cohobate

FROM debian:bookworm-slim
# The certificates of public authorities, and the names of time zones. Debian keeps no old versions, so none is named.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates tzdata \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --uid 1000 --create-home cohobate
COPY --from=build /cohobate /usr/local/bin/cohobate
USER 1000
WORKDIR /work
ENTRYPOINT ["cohobate"]
CMD ["--help"]
