//! The package as the tests import it: the sources, with the native module beside them.
//!
//! The directory has links to the sources, so that an edit counts without another build, and so that no build output
//! is in the source tree.

use std::env::consts;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::environment::{Environment, clone_directory};
use crate::failure::Failure;
use crate::paths::Paths;

/// The name of the package, and of its directory.
const PACKAGE: &str = "mixpanel_data";

/// What Python writes beside sources.
const BYTECODE: &str = "__pycache__";

/// Returns the file name of the module as Python expects it.
fn module_name() -> &'static str {
    if cfg!(windows) { "_core.pyd" } else { "_core.abi3.so" }
}

/// Puts the built module and links to the sources into a directory, and returns it for `PYTHONPATH`.
pub(super) fn assemble(paths: &Paths) -> Result<PathBuf, Failure> {
    let built = paths.target.join("debug").join(format!("{}_core{}", consts::DLL_PREFIX, consts::DLL_SUFFIX));
    if !built.is_file() {
        return Err(Failure::new(format!("cargo built the module, but not at {}", built.display()))
            .hint("unset CARGO_BUILD_TARGET, and `build.target` in cargo's configuration files"));
    }
    let path = clone_directory(paths).join("path");
    let package = path.join(PACKAGE);
    let sources = paths.root.join("python").join(PACKAGE);
    link_tree(&sources, &package, &[module_name().into()])
        .and_then(|()| replace(&built, &package.join(module_name())))
        .map_err(|error| Failure::new(format!("cannot put the package into {}: {error}", package.display())))?;
    Ok(path)
}

/// Writes the script `mp` that an installation of the package would have, and returns its path.
pub(super) fn script(paths: &Paths, environment: &Environment, package: &Path) -> Result<PathBuf, Failure> {
    let path = clone_directory(paths).join("bin").join("mp");
    let (python, package) = (environment.program("python"), package.display());
    let text = format!(
        "#!{}\nimport sys\nsys.path.insert(0, {:?})\nfrom {PACKAGE}._cli import main\nsys.exit(main())\n",
        python.display(),
        package.to_string()
    );
    fs::create_dir_all(path.parent().unwrap_or(&path))
        .and_then(|()| fs::write(&path, text))
        .and_then(|()| make_executable(&path))
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    Ok(path)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes `directory` a copy of the tree `sources` in which every file is a link, except for `own` and bytecode.
fn link_tree(sources: &Path, directory: &Path, own: &[OsString]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let names: Vec<OsString> = names(sources)?.into_iter().filter(|name| name != BYTECODE).collect();
    for name in self::names(directory)? {
        if !names.contains(&name) && !own.contains(&name) && name != BYTECODE {
            remove(&directory.join(name))?;
        }
    }
    for name in names {
        let (source, link) = (sources.join(&name), directory.join(&name));
        if source.is_dir() {
            if fs::symlink_metadata(&link).is_ok_and(|found| !found.is_dir()) {
                remove(&link)?;
            }
            link_tree(&source, &link, &[])?;
        } else if !own.contains(&name) && fs::read_link(&link).ok().as_ref() != Some(&source) {
            remove(&link)?;
            link_file(&source, &link)?;
        }
    }
    Ok(())
}

fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

/// Removes a file, a link or a directory, if it exists.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn link_file(source: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(source, link)
}

#[cfg(not(unix))]
fn link_file(source: &Path, link: &Path) -> io::Result<()> {
    fs::hard_link(source, link)
}

/// Copies a file over another one, which a process may have mapped: it keeps the old contents.
fn replace(file: &Path, copy: &Path) -> io::Result<()> {
    let incoming = copy.with_extension(format!("new-{}", std::process::id()));
    fs::copy(file, &incoming)?;
    fs::rename(&incoming, copy)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_package_follows_its_sources_and_keeps_the_module() {
        let root = std::env::temp_dir().join(format!("xtask-package-{}", std::process::id()));
        let (sources, package) = (root.join("sources"), root.join("package"));
        fs::create_dir_all(sources.join("inner")).unwrap();
        fs::create_dir_all(sources.join(BYTECODE)).unwrap();
        for name in ["__init__.py", "old.py", "inner/deep.py", "_core.abi3.so"] {
            fs::write(sources.join(name), name).unwrap();
        }
        let own = [OsString::from("_core.abi3.so")];
        link_tree(&sources, &package, &own).unwrap();
        // A module left in the source tree is not the one that was built.
        assert!(!package.join("_core.abi3.so").exists());
        fs::write(root.join("built"), "module").unwrap();
        replace(&root.join("built"), &package.join("_core.abi3.so")).unwrap();
        fs::create_dir(package.join(BYTECODE)).unwrap();

        fs::remove_file(sources.join("old.py")).unwrap();
        fs::write(sources.join("__init__.py"), "edited").unwrap();
        link_tree(&sources, &package, &own).unwrap();
        let mut found = names(&package).unwrap();
        found.sort();
        assert_eq!(found, ["__init__.py", BYTECODE, "_core.abi3.so", "inner"]);
        assert_eq!(fs::read_to_string(package.join("__init__.py")).unwrap(), "edited");
        assert_eq!(fs::read_to_string(package.join("inner/deep.py")).unwrap(), "inner/deep.py");
        assert_eq!(fs::read_to_string(package.join("_core.abi3.so")).unwrap(), "module");
        fs::remove_dir_all(&root).unwrap();
    }
}
