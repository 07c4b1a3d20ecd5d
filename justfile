# Shortcuts for users of just. Each recipe is equivalent to `cargo xtask ...`.

set positional-arguments

# Lists the recipes.
default:
    @just --list

# Runs all checks required before a commit.
check *args:
    cargo xtask check "$@"

# Runs the demo, which needs no account.
demo *args:
    cargo xtask demo "$@"

# Runs only the tests.
test *args:
    cargo xtask test "$@"

# Tests the Python package.
python *args:
    cargo xtask python "$@"

# Builds the wheel of the Python package.
wheel *args:
    cargo xtask wheel "$@"

# Runs the stress tests: simulated faults, kills, quota, full disks, signals, instruction counts, fuzzing.
prove *args:
    cargo xtask prove "$@"

# Runs the benchmarks of the release build.
bench *args:
    cargo xtask bench "$@"
