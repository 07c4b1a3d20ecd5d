//! Sets the rpath to a prebuilt DuckDB library, so that `target/debug/mp` runs without a library path.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    let rpath_exists = matches!(env::var("CARGO_CFG_TARGET_OS").as_deref(), Ok("linux" | "macos"));
    let engine_is_inside = env::var_os("CARGO_FEATURE_BUNDLED").is_some();
    if let Ok(directory) = env::var("DUCKDB_LIB_DIR")
        && rpath_exists
        && !engine_is_inside
    {
        println!("cargo::rustc-link-arg-bins=-Wl,-rpath,{directory}");
    }
}
