//! The platforms with a prebuilt DuckDB library, and its pinned checksums.

use std::env::consts;

/// The version of DuckDB.
pub(crate) const ENGINE_VERSION: &str = "1.5.5";

/// The version of the npm packages that contain this version of DuckDB.
pub(crate) const NPM_VERSION: &str = "1.5.5-r.5";

/// Returns the file name of the DuckDB library on the platform that xtask was built for.
pub(crate) fn library_name() -> String {
    format!("{}duckdb{}", consts::DLL_PREFIX, consts::DLL_SUFFIX)
}

/// A platform for which DuckDB publishes a prebuilt library.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    /// The platform name in npm package names.
    pub(crate) name: &'static str,
    /// The files needed for linking and running; the library is the first.
    pub(crate) files: &'static [&'static str],
    /// The SHA-256 of the npm package's archive; `None` if that package cannot be linked against.
    pub(crate) npm_sha256: Option<&'static str>,
}

/// The pinned checksums. For a new version of DuckDB, run `npm pack` for each package and `sha256sum` on each archive.
static PLATFORMS: [(&str, &str, &str, Platform); 6] = [
    (
        "linux",
        "x86_64",
        "gnu",
        npm("linux-x64", LINUX, "86d2bda909785550e8a14a57a8a4584827aff0e268d8f1a58c3fd48559f7020e"),
    ),
    (
        "linux",
        "aarch64",
        "gnu",
        npm("linux-arm64", LINUX, "3b85f3ea438f7dc3691d7b5e6e4222ffe9127fd17885f96ca72e0c99925c348e"),
    ),
    (
        "macos",
        "x86_64",
        "",
        npm("darwin-x64", MACOS, "1266f62ac7c02f7971554a2b0b2c4c19923a97258bfdf1b203873e174e7a28c4"),
    ),
    (
        "macos",
        "aarch64",
        "",
        npm("darwin-arm64", MACOS, "08b3cfd7d4d620a5fb67ef49db28551b767107266af3a8e2600e49d99ee59456"),
    ),
    // The npm packages for Windows lack `duckdb.lib`, which the linker needs; DuckDB's own archives contain it.
    ("windows", "x86_64", "msvc", Platform { name: "win32-x64", files: WINDOWS, npm_sha256: None }),
    ("windows", "aarch64", "msvc", Platform { name: "win32-arm64", files: WINDOWS, npm_sha256: None }),
];

const LINUX: &[&str] = &["libduckdb.so"];
const MACOS: &[&str] = &["libduckdb.dylib"];
const WINDOWS: &[&str] = &["duckdb.dll", "duckdb.lib"];

const fn npm(name: &'static str, files: &'static [&'static str], sha256: &'static str) -> Platform {
    Platform { name, files, npm_sha256: Some(sha256) }
}

impl Platform {
    /// Returns the platform that xtask was built for, if there is a prebuilt library for it.
    pub(crate) fn this() -> Option<&'static Self> {
        let env = if cfg!(target_env = "gnu") {
            "gnu"
        } else if cfg!(target_env = "msvc") {
            "msvc"
        } else if cfg!(target_env = "musl") {
            "musl"
        } else {
            ""
        };
        Self::of(consts::OS, consts::ARCH, env)
    }

    /// Finds a platform by Rust's names for the operating system, the architecture and the C library.
    fn of(os: &str, arch: &str, env: &str) -> Option<&'static Self> {
        PLATFORMS.iter().find(|(o, a, e, _)| (*o, *a, *e) == (os, arch, env)).map(|(.., platform)| platform)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_targets_map_to_npm_names() {
        let name = |os, arch, env| Platform::of(os, arch, env).map(|platform| platform.name);
        assert_eq!(name("linux", "x86_64", "gnu"), Some("linux-x64"));
        assert_eq!(name("macos", "aarch64", ""), Some("darwin-arm64"));
        assert_eq!(name("windows", "x86_64", "msvc"), Some("win32-x64"));
        // A library built for glibc does not work on musl.
        assert_eq!(name("linux", "x86_64", "musl"), None);
        if let Some(platform) = Platform::this() {
            assert_eq!(platform.files[0], library_name());
        }
    }

    #[test]
    fn pins_are_distinct_checksums() {
        let pins: Vec<&str> = PLATFORMS.iter().filter_map(|(.., platform)| platform.npm_sha256).collect();
        for (i, pin) in pins.iter().enumerate() {
            assert!(pin.len() == 64 && pin.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{pin}");
            assert!(!pins[..i].contains(pin), "{pin} stands twice");
        }
    }
}
