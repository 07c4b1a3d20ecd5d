//! The task `wheel`: builds the wheel of the Python package, and checks it in a fresh environment.

mod contents;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::paths::Paths;
use crate::python::{Environment, Interpreter, find};
use crate::work_dir::WorkDir;

/// The packages that build and check wheels.
const REQUIREMENTS: &str = "requirements-wheel.txt";

/// How often the import is measured.
const IMPORTS: usize = 5;

/// The DuckDB engine of a wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WheelEngine {
    /// The prebuilt library in the target directory. The wheel works only on this machine.
    Linked,
    /// Compiled from source, into the module. The wheel can be released.
    Bundled,
}

/// Builds the wheel into `target/wheels`, and checks it.
pub(crate) fn wheel(cargo: &Cargo<'_>, paths: &Paths, engine: WheelEngine) -> Result<ExitCode, Failure> {
    let interpreter = find()?;
    let environment = Environment::ready(paths, &interpreter, REQUIREMENTS)?;
    let work_dir = WorkDir::enter(paths, "wheel")?;
    let task = Wheel { cargo, environment: &environment, interpreter: &interpreter, directory: &work_dir.path, engine };
    let built = task.build(paths)?;
    let module = contents::unpack(&environment, &built, &work_dir.path.join("contents"))?;
    contents::check_exports(&module)?;
    task.audit(&built)?;
    let installed = task.install(&built)?;
    let import = import_time(&installed)?;
    let path = keep(&built, &paths.target.join("wheels"))?;
    let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len()) as f64 / 1e6;
    eprintln!(
        "wheel: {:.1} MB, {:.1} MB of it unpacked in the module, which exports only {}; import {} ms more than Python alone",
        size(&path),
        size(&module),
        contents::INIT,
        import.as_millis()
    );
    if engine == WheelEngine::Linked {
        eprintln!(
            "wheel: for development only: it needs the DuckDB library of this target directory; --bundled includes it"
        );
    }
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// A wheel that is being built.
struct Wheel<'a> {
    cargo: &'a Cargo<'a>,
    environment: &'a Environment,
    interpreter: &'a Interpreter,
    /// The directory to work in.
    directory: &'a Path,
    engine: WheelEngine,
}

impl Wheel<'_> {
    /// Builds the wheel, and returns its path.
    fn build(&self, paths: &Paths) -> Result<PathBuf, Failure> {
        let directory = self.directory.join("built");
        let mut maturin = self.cargo.for_builder(&self.environment.program("maturin"));
        maturin.args(build_args(self.engine)).arg("--interpreter").arg(self.environment.program("python"));
        maturin.arg("--out").arg(&directory).current_dir(paths.root.join("python"));
        run(maturin, "maturin")?;
        only_wheel(&directory)
    }

    /// Checks that the module uses only the stable ABI and, if it can be released, which systems it runs on.
    fn audit(&self, wheel: &Path) -> Result<(), Failure> {
        let mut abi3audit = Command::new(self.environment.program("abi3audit"));
        abi3audit.arg("--strict").arg(wheel);
        run(abi3audit, "abi3audit")?;
        if self.engine == WheelEngine::Bundled && cfg!(target_os = "linux") {
            let mut auditwheel = Command::new(self.environment.program("auditwheel"));
            auditwheel.arg("show").arg(wheel);
            run(auditwheel, "auditwheel show")?;
        }
        Ok(())
    }

    /// Installs the wheel into a fresh environment and runs its command once.
    fn install(&self, wheel: &Path) -> Result<Environment, Failure> {
        let installed = Environment::empty(self.interpreter, self.directory.join("venv"))?;
        let mut pip = installed.pip_install();
        pip.args(["--no-index", "--no-deps"]).arg(wheel);
        run(pip, "pip install")?;
        let mut mp = Command::new(installed.program("mp"));
        mp.arg("--version");
        run(mp, "mp --version")?;
        Ok(installed)
    }
}

/// Returns the arguments of maturin for an engine.
fn build_args(engine: WheelEngine) -> &'static [&'static str] {
    match engine {
        // The library stays where it is: the module has an rpath to it.
        WheelEngine::Linked => &[
            "build",
            "--release",
            "--locked",
            "--no-default-features",
            "--compatibility",
            "linux",
            "--auditwheel",
            "skip",
        ],
        // By default, maturin checks which Linux systems the module runs on, and names the wheel after the oldest.
        WheelEngine::Bundled => &["build", "--release", "--locked"],
    }
}

/// Runs a program, with its output on standard error.
fn run(mut command: Command, name: &str) -> Result<(), Failure> {
    eprintln!("==> {name}");
    let status = command.stdout(io::stderr()).status();
    let status = status.map_err(|error| Failure::new(format!("cannot run {name}: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{name} failed ({status})"))) }
}

/// Returns the path of the only wheel in a directory.
fn only_wheel(directory: &Path) -> Result<PathBuf, Failure> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let wheels: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|own| own == "whl")).collect();
    match <[PathBuf; 1]>::try_from(wheels) {
        Ok([wheel]) => Ok(wheel),
        Err(wheels) => Err(Failure::new(format!("maturin built {} wheels instead of one", wheels.len()))),
    }
}

/// Copies the wheel to the directory of finished ones, and returns its path there.
fn keep(wheel: &Path, directory: &Path) -> Result<PathBuf, Failure> {
    let path = directory.join(wheel.file_name().unwrap_or_default());
    fs::create_dir_all(directory)
        .and_then(|()| fs::copy(wheel, &path))
        .map_err(|error| Failure::new(format!("cannot copy the wheel to {}: {error}", path.display())))?;
    Ok(path)
}

/// Measures how much longer Python takes if it imports the package: the difference of the medians.
fn import_time(installed: &Environment) -> Result<Duration, Failure> {
    let median = |code: &str| -> Result<Duration, Failure> {
        let mut times = Vec::new();
        // The first run reads the files from the disk, and is not counted.
        for _ in 0..=IMPORTS {
            let begun = Instant::now();
            let status = installed.python(["-I", "-c", code]).status();
            let status = status.map_err(|error| Failure::new(format!("cannot run the installed Python: {error}")))?;
            if !status.success() {
                return Err(Failure::new(format!("`{code}` failed with the installed wheel ({status})")));
            }
            times.push(begun.elapsed());
        }
        times.remove(0);
        times.sort();
        Ok(times[IMPORTS / 2])
    };
    Ok(median("import mixpanel_data")?.saturating_sub(median("pass")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bundled_wheel_gets_the_default_features_and_an_audited_name() {
        let (linked, bundled) = (build_args(WheelEngine::Linked), build_args(WheelEngine::Bundled));
        assert!(linked.contains(&"--no-default-features") && linked.contains(&"skip"));
        assert!(!bundled.contains(&"--no-default-features") && !bundled.contains(&"--auditwheel"));
        for args in [linked, bundled] {
            assert!(args.starts_with(&["build", "--release", "--locked"]));
        }
    }
}
