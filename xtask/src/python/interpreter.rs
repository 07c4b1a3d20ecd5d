//! Finds a Python for the package's tests.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::paths;

/// The oldest Python that the package supports, as in `python/pyproject.toml`.
const OLDEST: (u32, u32) = (3, 11);

/// The programs that are tried, in this order.
const PROGRAMS: [&str; 6] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];

/// Prints what [`Found`] needs. It must run in any Python 3.
const PROBE: &str = "
import sys, sysconfig
try:
    import ensurepip, venv
    is_complete = True
except ImportError:
    is_complete = False
print('%d.%d.%d' % sys.version_info[:3])
print(sys.implementation.name)
print('free-threaded' if sysconfig.get_config_var('Py_GIL_DISABLED') else 'usual')
print('complete' if is_complete else 'incomplete')
print(sys.executable)
";

/// A Python with which the package can be built and tested.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// The program, as an absolute path.
    pub(crate) program: PathBuf,
    /// The version, such as `3.11.7`.
    pub(crate) version: String,
}

/// The reason why there is no suitable Python, with a hint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoPython {
    problem: String,
    hint: String,
}

impl fmt::Display for NoPython {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.hint)
    }
}

impl From<NoPython> for Failure {
    fn from(reason: NoPython) -> Self {
        Self::new(reason.problem).hint(reason.hint)
    }
}

/// Finds the first suitable Python: the one in the environment variable `PYTHON` if it is set, else one in PATH.
pub(crate) fn find() -> Result<Interpreter, NoPython> {
    if let Some(program) = paths::non_empty("PYTHON") {
        let problem = format!("PYTHON is {}, which", program.display());
        let hint = format!("set it to the path of a Python {}.{} or later, or unset it", OLDEST.0, OLDEST.1);
        let Some(printed) = probe(&program) else {
            return Err(NoPython { problem: format!("{problem} cannot be run"), hint });
        };
        return classify(&printed).map_err(|unsuitable| unsuitable.explain(&problem, hint));
    }
    let mut reason = None;
    for program in PROGRAMS {
        let Some(printed) = probe(program.as_ref()) else { continue };
        match classify(&printed) {
            Ok(interpreter) => return Ok(interpreter),
            Err(unsuitable) => reason = reason.or(Some(unsuitable.explain(program, install(&["python3"])))),
        }
    }
    let none = || NoPython {
        problem: format!("there is no Python {}.{} or later", OLDEST.0, OLDEST.1),
        hint: install(&["python3", "python3-venv"]),
    };
    Err(reason.unwrap_or_else(none))
}

/// Runs a program with [`PROBE`], and returns what it printed.
fn probe(program: &std::ffi::OsStr) -> Option<String> {
    // Isolated, so that neither the environment nor the working directory changes the result.
    let output = Command::new(program).args(["-I", "-c", PROBE]).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Why a Python is unsuitable.
#[derive(Debug, PartialEq, Eq)]
enum Unsuitable {
    Version(String),
    Implementation(String),
    FreeThreaded,
    /// Without the modules that make virtual environments, which Debian packages separately.
    Incomplete {
        version: String,
    },
    Unreadable,
}

impl Unsuitable {
    /// Explains the problem of `program`. A hint to install another Python is replaced if only modules are missing.
    fn explain(self, program: &str, hint: String) -> NoPython {
        let (problem, hint) = match self {
            Self::Version(version) => {
                (format!("{program} is Python {version}, but {}.{} is needed", OLDEST.0, OLDEST.1), hint)
            }
            Self::Implementation(name) => (format!("{program} is {name}, but CPython is needed"), hint),
            Self::FreeThreaded => {
                (format!("{program} is free-threaded, which the stable ABI of Python does not support"), hint)
            }
            Self::Incomplete { version } => {
                let minor = version.rsplit_once('.').map_or(version.as_str(), |(minor, _)| minor);
                let packages = [&format!("python{minor}-venv") as &str];
                (format!("{program} cannot make virtual environments (no module ensurepip)"), install(&packages))
            }
            Self::Unreadable => (format!("{program} does not behave like Python"), hint),
        };
        NoPython { problem, hint }
    }
}

/// Judges what [`PROBE`] printed.
fn classify(printed: &str) -> Result<Interpreter, Unsuitable> {
    let lines: Vec<&str> = printed.lines().collect();
    let [version, implementation, threads, modules, program] = lines[..] else { return Err(Unsuitable::Unreadable) };
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if (major, minor) < OLDEST {
        Err(Unsuitable::Version(version.to_owned()))
    } else if implementation != "cpython" {
        Err(Unsuitable::Implementation(implementation.to_owned()))
    } else if threads == "free-threaded" {
        Err(Unsuitable::FreeThreaded)
    } else if modules != "complete" {
        Err(Unsuitable::Incomplete { version: version.to_owned() })
    } else {
        Ok(Interpreter { program: PathBuf::from(program), version: version.to_owned() })
    }
}

/// Returns the command that installs packages of Debian, or an alternative on other systems.
fn install(packages: &[&str]) -> String {
    let packages = packages.join(" ");
    if cfg!(target_os = "macos") {
        "install one with `brew install python`, or set PYTHON to the path of another".to_owned()
    } else if Path::new("/etc/debian_version").exists() {
        format!("install it with `apt-get install {packages}`, or set PYTHON to the path of another")
    } else {
        "install one (https://www.python.org/downloads), or set PYTHON to the path of another".to_owned()
    }
}

/// Returns a command for a Python program that ignores the caller's Python settings.
pub(crate) fn command(program: impl Into<OsString>) -> Command {
    let mut command = Command::new(program.into());
    for name in ["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONSAFEPATH"] {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(version: &str, implementation: &str, threads: &str, modules: &str) -> String {
        [version, implementation, threads, modules, "/usr/bin/python3", ""].join("\n")
    }

    #[test]
    fn a_suitable_python_is_complete_and_recent() {
        let suitable = classify(&printed("3.11.7", "cpython", "usual", "complete")).unwrap();
        assert_eq!((suitable.program.as_path(), &*suitable.version), (Path::new("/usr/bin/python3"), "3.11.7"));
        assert!(classify(&printed("3.100.0", "cpython", "usual", "complete")).is_ok());
        assert!(classify(&printed("4.0.0", "cpython", "usual", "complete")).is_ok());
    }

    #[test]
    fn an_unsuitable_python_is_explained_with_a_way_out() {
        let cases = [
            (printed("3.10.12", "cpython", "usual", "complete"), "python3 is Python 3.10.12, but 3.11 is needed"),
            (printed("3.11.13", "pypy", "usual", "complete"), "python3 is pypy, but CPython is needed"),
            (printed("3.14.0", "cpython", "free-threaded", "complete"), "free-threaded"),
            (printed("3.11.2", "cpython", "usual", "incomplete"), "cannot make virtual environments"),
            ("hello\n".to_owned(), "does not behave like Python"),
        ];
        for (printed, expected) in cases {
            let reason = classify(&printed).unwrap_err().explain("python3", "the hint".to_owned());
            assert!(reason.problem.contains(expected), "{reason}");
            assert!(!reason.hint.is_empty(), "{reason}");
        }
        let debian = Unsuitable::Incomplete { version: "3.11.2".to_owned() }.explain("python3", String::new());
        assert!(!Path::new("/etc/debian_version").exists() || debian.hint.contains("python3.11-venv"), "{debian}");
    }

    #[test]
    fn the_probe_prints_what_is_judged() {
        if let Some(printed) = probe("python3".as_ref()) {
            assert_ne!(classify(&printed), Err(Unsuitable::Unreadable), "{printed}");
        }
        assert_eq!(probe("no-such-python".as_ref()), None);
    }
}
