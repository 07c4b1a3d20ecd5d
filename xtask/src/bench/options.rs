//! The command line of the bench.

use std::ffi::OsString;
use std::path::PathBuf;

use super::scenario::Extent;

/// What a bench is asked to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// How much is measured.
    pub(super) extent: Extent,
    /// What becomes of the page with the results.
    pub(super) page: Page,
    /// Where the programs are, if they are not to be built.
    pub(super) built: Option<PathBuf>,
}

/// What becomes of `docs/performance.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Page {
    /// It stays as it is.
    #[default]
    Keep,
    /// The results are written into it.
    Write,
}

impl Wanted {
    /// Reads the arguments that follow `cargo xtask bench`; returns the message for their author.
    pub(crate) fn read(args: &[OsString]) -> Result<Self, String> {
        let mut wanted = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("--quick") => wanted.extent = Extent::Quick,
                Some("--write") => wanted.page = Page::Write,
                Some("--built") => {
                    let folder = args.next().ok_or("--built needs the folder of a release build")?;
                    wanted.built = Some(PathBuf::from(folder));
                }
                _ => {
                    let stray = arg.to_string_lossy();
                    return Err(format!(
                        "unexpected argument `{stray}`; the task bench takes --quick, --write and --built FOLDER"
                    ));
                }
            }
        }
        Ok(wanted)
    }

    /// The command line that asks for this, for the page. The folder is left out: it is nobody else's business.
    pub(super) fn command(&self) -> String {
        let mut command = "cargo xtask bench".to_owned();
        if self.extent == Extent::Quick {
            command.push_str(" --quick");
        }
        if self.page == Page::Write {
            command.push_str(" --write");
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wanted, String> {
        Wanted::read(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_bench_is_full_and_writes_nothing_unless_it_is_told_to() {
        assert_eq!(read(""), Ok(Wanted { extent: Extent::Full, page: Page::Keep, built: None }));
        let wanted = read("--write --built elsewhere --quick").unwrap();
        assert_eq!(
            wanted,
            Wanted { extent: Extent::Quick, page: Page::Write, built: Some(PathBuf::from("elsewhere")) }
        );
    }

    #[test]
    fn a_stray_argument_is_named() {
        for (line, stray) in [("fast", "`fast`"), ("--quick twice", "`twice`"), ("--built", "needs the folder")] {
            let message = read(line).unwrap_err();
            assert!(message.contains(stray), "{message}");
        }
    }

    #[test]
    fn the_command_is_the_one_that_was_typed() {
        for line in ["", " --quick", " --write", " --quick --write"] {
            assert_eq!(read(line).unwrap().command(), format!("cargo xtask bench{line}"));
        }
    }
}
