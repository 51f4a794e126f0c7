#!/bin/sh
# Builds the server, quietly, and becomes it: every flag is passed on, and the
# server runs in the directory this script was called from.
set -e
here=$(cd -- "$(dirname -- "$0")" && pwd)
cargo build --quiet --release --manifest-path "$here/Cargo.toml" --target-dir "$here/target"
exec "$here/target/release/redis-clone" "$@"
