# A small image of the command, for a user without rights.
#
#   docker build -t cohobate .
#   docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" cohobate distill talks.jsonl --teacher NAME@URL -o out.jsonl
#
# The image has no shell: what runs commands (--serve, --on-end, --tool-results) needs an image of its own with this binary.
FROM rust:1.89-slim-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
RUN cargo build --profile dist --locked --bin cohobate && cp target/dist/cohobate /cohobate

# Has glibc, the certificates of public authorities and the time zones, and the user `nonroot`.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /cohobate /usr/local/bin/cohobate
WORKDIR /work
ENTRYPOINT ["/usr/local/bin/cohobate"]
CMD ["--help"]
