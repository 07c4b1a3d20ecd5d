//! Sets the linker options of the module: the rpath to a prebuilt DuckDB library, and on macOS the symbols of Python.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    let target = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let engine_is_inside = env::var_os("CARGO_FEATURE_BUNDLED").is_some();
    if let Ok(directory) = env::var("DUCKDB_LIB_DIR")
        && matches!(target.as_str(), "linux" | "macos")
        && !engine_is_inside
    {
        println!("cargo::rustc-link-arg-cdylib=-Wl,-rpath,{directory}");
    }
    if target == "macos" {
        // The interpreter that loads the module has them.
        println!("cargo::rustc-link-arg-cdylib=-undefined");
        println!("cargo::rustc-link-arg-cdylib=dynamic_lookup");
    }
}
