# The program on Debian with a shell for shell-local and for CI jobs that run their steps in it, and
# git for INGOT_BUILD_FINGERPRINT. Built by `cargo xtask images`; BASE is debian:12-slim or another
# Debian 12.
ARG BASE=debian:12-slim
FROM ${BASE}
ARG VERSION
LABEL org.opencontainers.image.title="ingot" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/ingot-build/ingot"
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git libssl3 openssh-client \
 && rm -rf /var/lib/apt/lists/*
COPY ingot /usr/local/bin/ingot
EXPOSE 7420
ENTRYPOINT ["ingot"]
