# What packs a release, at fixed versions: cargo-deb and cargo-generate-rpm, compiled here, since
# Python wheels of them are older than resolver 3. A target
# with musl takes Debian's musl-gcc for its C parts. Sourced by bash in the repository's root.

RELEASE_TOOLS=${RELEASE_TOOLS:-$PWD/target/release-tools}
export PATH="$RELEASE_TOOLS/bin:$PATH"

install_release_tools() {
  . .ci/machine.sh
  case ${CARGO_BUILD_TARGET:-} in
    *-musl)
      rustup target add "$CARGO_BUILD_TARGET"
      need 'has musl-gcc' musl-tools 'the C parts of a static program'
      # Compiles OpenSSL.
      need 'has perl && perl -MFindBin -e 1' perl "OpenSSL's Configure"
      ;;
  esac
  find_root
  need_compiler
  need 'has xz' xz-utils 'compresses packages'
  need 'has dpkg-shlibdeps' dpkg-dev 'dependencies of the .deb'
  install_missing
  cargo install --quiet --locked --root "$RELEASE_TOOLS" cargo-deb@3.8.0 cargo-generate-rpm@0.21.1
}
