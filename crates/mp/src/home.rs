//! The user's home directory, and paths that begin with `~`.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::failure::Failure;

/// Returns the failure for an unknown home directory.
pub(crate) fn no_home() -> Failure {
    Failure::new("the home directory is unknown").hint("set HOME, or specify files with MP_CONFIG_PATH and `--db`")
}

/// Replaces a leading `~` that the shell has not expanded, as in `--db=~/x.db`, with the home directory.
///
/// # Errors
/// A usage error for `~name`, which only a shell can resolve, or if the home directory is unknown.
pub(crate) fn expanded(path: &Path, home: Option<&Path>) -> Result<PathBuf, Failure> {
    let mut components = path.components();
    let Some(Component::Normal(first)) = components.next() else { return Ok(path.to_owned()) };
    if !first.as_bytes().starts_with(b"~") {
        return Ok(path.to_owned());
    }
    let rest = components.as_path();
    if first != "~" {
        // Without a path after it, this is a file name such as `~x.db`.
        if rest.as_os_str().is_empty() {
            return Ok(path.to_owned());
        }
        let shown = path.display();
        return Err(Failure::usage(format!(
            "the path `{shown}` starts with `~` and a user name, which only a shell expands"
        ))
        .hint(format!("write the full path, or `./{shown}` for a file of that name")));
    }
    let home = home.ok_or_else(no_home)?;
    Ok(if rest.as_os_str().is_empty() { home.to_owned() } else { home.join(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_expanded_as_in_a_shell() {
        let table = [
            ("~/x.db", Some("/home/me/x.db")),
            ("~//a/../x.db", Some("/home/me/a/../x.db")),
            ("~", Some("/home/me")),
            ("~/", Some("/home/me")),
            ("./~/x.db", Some("./~/x.db")),
            ("a/~/x.db", Some("a/~/x.db")),
            ("/~/x.db", Some("/~/x.db")),
            ("x~", Some("x~")),
            ("-", Some("-")),
            ("~me/x.db", None),
            ("~x.db", Some("~x.db")),
            ("~/", Some("/home/me")),
            ("~+/x.db", None),
        ];
        for (path, expected) in table {
            let found = expanded(Path::new(path), Some(Path::new("/home/me")));
            assert_eq!(found.ok(), expected.map(PathBuf::from), "{path}");
        }
        assert!(expanded(Path::new("~/x.db"), None).is_err());
    }
}
