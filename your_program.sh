#!/bin/sh
# Builds the server in release mode and runs it with the given flags, in the current directory.
# The server replaces this shell, so signals to this process reach the server.
set -e
here=$(cd -- "$(dirname -- "$0")" && pwd)
cargo build --quiet --release --manifest-path "$here/Cargo.toml" --target-dir "$here/target"
exec "$here/target/release/redis-clone" "$@"
