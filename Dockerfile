# The image: the `sluice` binary on a slim Debian, and nothing installed on top.
#
#   docker build -t sluice .
#   docker run --rm -p 3000:3000 sluice demo --listen 0.0.0.0:3000
#
# The binary links glibc only (root certificates are compiled in), so both stages are of the same Debian release.

FROM rust:1.95.0-bookworm AS build
WORKDIR /build
# rust-toolchain.toml stays outside (see .dockerignore): the compiler is the image's, of the same version.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY crates crates
RUN cargo build --locked --profile dist -p gateway --bin sluice

FROM debian:bookworm-slim
COPY --from=build /build/target/dist/sluice /usr/local/bin/sluice
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/sluice/
# No account of the machine. The books are the one thing that is written: sluice.db in here.
RUN install -d -o 10001 -g 10001 /var/lib/sluice
WORKDIR /var/lib/sluice
VOLUME /var/lib/sluice
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
# Asks as a client does, with what a slim Debian has. If `listen` has another port, change it here too.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3000 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q '^HTTP/1.. 200' <&3"]
ENTRYPOINT ["sluice"]
# `listen` in the file must be "0.0.0.0:3000": 127.0.0.1 is the container alone.
CMD ["serve", "--config", "/etc/sluice/sluice.toml"]
