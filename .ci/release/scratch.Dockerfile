# The statically linked program and the certificates of public hosts, nothing else: 40 MB.
# Built by `cargo xtask images` with the target x86_64-unknown-linux-musl.
FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="ingot" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/ingot-build/ingot"
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY ingot /usr/local/bin/ingot
ENV PATH=/usr/local/bin INGOT_DATA_DIR=/data INGOT_STATE_DIR=/data/state TMPDIR=/data
# A directory that any user may be given: `docker run -v data:/data`.
WORKDIR /data
EXPOSE 7420
ENTRYPOINT ["ingot"]
