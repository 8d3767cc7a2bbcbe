#!/usr/bin/env bash
# Build the wheel into the folder $1, with the maturin on the PATH: the same bytes for the same
# sources and compiler, wherever they lie and whenever it is.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo=${CARGO_HOME:-$HOME/.cargo}
export CARGO_TARGET_DIR=$target
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-315532800} # 1980, the first year of a zip archive
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS # they would replace those of .cargo/config.toml, which these join
remap="\"--remap-path-prefix=$PWD=/evote-native\", \"--remap-path-prefix=$target=/target\", \"--remap-path-prefix=$cargo=/cargo\""
exec maturin build --release --locked --out "$out" --config "target.'cfg(all())'.rustflags=[$remap]"
