//! The program under test.

use std::ffi::OsStr;
use std::fmt::{Display, Formatter, Result};
use std::ops::Deref;
use std::path::Path;
use std::sync::LazyLock;

/// Names another program to test than the binary: the script of the Python package, which contains the same command.
const VARIABLE: &str = "MP_TEST_PROGRAM";

/// The path of the program under test.
pub(crate) static MP: Program =
    Program(LazyLock::new(|| std::env::var(VARIABLE).unwrap_or_else(|_| env!("CARGO_BIN_EXE_mp").to_owned())));

/// A path that can be used as text, and in format strings.
pub(crate) struct Program(LazyLock<String>);

impl Deref for Program {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Display for Program {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        formatter.write_str(self)
    }
}

impl AsRef<OsStr> for Program {
    fn as_ref(&self) -> &OsStr {
        OsStr::new(&**self)
    }
}

impl AsRef<Path> for Program {
    fn as_ref(&self) -> &Path {
        Path::new(&**self)
    }
}
