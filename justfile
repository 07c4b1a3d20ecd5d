# For those who have just; everyone else types `cargo xtask ...`.

set positional-arguments

# Shows what there is.
default:
    @just --list

# Runs everything that has to pass before a commit.
check *args:
    cargo xtask check "$@"

# Shows mp at work, without an account.
demo *args:
    cargo xtask demo "$@"

# Runs the tests alone.
test *args:
    cargo xtask test "$@"

# Runs the long proof: simulated faults, kills, quota, full disks, signals, instructions.
prove *args:
    cargo xtask prove "$@"

# Measures how fast profiles are fetched, in the release build.
bench *args:
    cargo xtask bench "$@"
