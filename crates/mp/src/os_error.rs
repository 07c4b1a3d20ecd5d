//! Hints for operating system errors, by error number.

use std::error::Error as StdError;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::text::counted;

/// Returns the first OS error number found in an error or its sources.
pub(crate) fn errno_of(error: &(dyn StdError + 'static)) -> Option<Errno> {
    let mut next = Some(error);
    while let Some(error) = next {
        let of_io = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        let of_library = error.downcast_ref::<mixpanel_data::Error>().and_then(mixpanel_data::Error::os_error);
        if let Some(number) = of_io.or(of_library) {
            return Some(Errno::from_raw_os_error(number));
        }
        next = error.source();
    }
    None
}

/// Returns the hint for a failure to read or write a file; `None` if the error's own text is sufficient.
pub(crate) fn file_hint(errno: Errno) -> Option<String> {
    let hint = match errno {
        Errno::FBIG => return Some(too_large_hint()),
        Errno::MFILE => return Some(descriptors_hint()),
        Errno::NFILE => "the system has too many open files: close other programs, or raise the limit `fs.file-max`",
        // Returned if a thread cannot be started.
        Errno::AGAIN => return Some(threads_hint()),
        Errno::NOSPC => "free up space on the disk",
        Errno::DQUOT => "your disk quota is exhausted: delete files, or request a larger quota",
        Errno::ROFS => "the file system is mounted read-only: use a path on another one",
        Errno::IO => "the disk or its connection is failing: check the system log (`dmesg`) before running this again",
        Errno::NOMEM => match memory_limit() {
            Some((_, hint)) => return Some(hint),
            None => "the system is out of memory: close other programs, or lower `--memory`",
        },
        Errno::ACCESS => "check the permissions of the file and of the directories above it with `ls -ld`",
        Errno::PERM => {
            "the system forbids it regardless of permissions: check for an immutable flag (`lsattr`), a sandbox or another owner"
        }
        Errno::NOENT => "check the path",
        Errno::NOTDIR => "part of the path is a file, not a directory: check the path",
        Errno::ISDIR => "the path is a directory: specify a file",
        Errno::NAMETOOLONG => "use a shorter file name or path",
        Errno::LOOP => "its symbolic links form a loop: check them with `ls -l`",
        Errno::BUSY | Errno::TXTBSY => "another program is using it: close it there",
        Errno::STALE => "the network file system has lost the file: mount it again, or use a local path",
        Errno::NOLCK => "the file system does not support file locks: use a local path",
        Errno::NXIO | Errno::NODEV => "the device is missing: check that the disk is connected",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns whether an error means that the file system does not support the operation. FUSE and network file systems
/// return any of these for unsupported operations.
pub(crate) fn is_unsupported(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INVAL
            | Errno::NOTSUP
            | Errno::NOSYS
            | Errno::PERM
            | Errno::ACCESS
            | Errno::BADF
            | Errno::NOTTY
            | Errno::NOLCK
            | Errno::ISDIR
    ) || errno == Errno::OPNOTSUPP
}

/// Returns the hint for a process that has reached its limit of open files.
pub(crate) fn descriptors_hint() -> String {
    match getrlimit(Resource::Nofile).current {
        Some(limit) => {
            format!(
                "this process may open {}: raise the limit with `ulimit -n 256` and run it again",
                counted(limit, "file")
            )
        }
        None => "close inherited files, and run it again".to_owned(),
    }
}

/// Returns the hint for a thread that cannot be started.
pub(crate) fn threads_hint() -> String {
    // Each thread also needs address space.
    let memory = memory_limit().map_or_else(String::new, |(_, hint)| format!("; or {hint}"));
    format!(
        "this user or container may not start more threads: stop other programs, or raise the limit with `ulimit -u 4096`, \
         `--pids-limit` (Docker) or `TasksMax` (systemd){memory}"
    )
}

/// Returns the limit on this process's address space or data segment, in bytes, with a hint on how to raise it.
pub(crate) fn memory_limit() -> Option<(u64, String)> {
    let limits = [(Resource::As, 'v'), (Resource::Data, 'd')];
    let limits = limits.into_iter().filter_map(|(resource, flag)| Some((getrlimit(resource).current?, flag)));
    let (limit, flag) = limits.min()?;
    Some((limit, format!("raise the limit on the memory of this process with `ulimit -{flag} unlimited`")))
}

fn too_large_hint() -> String {
    match getrlimit(Resource::Fsize).current {
        Some(limit) => {
            let limit = counted(limit, "byte");
            format!("this process may write files of up to {limit}: raise the limit with `ulimit -f unlimited`")
        }
        None => "the file system does not support files this large (FAT: 4 GB): use a path on another one".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mixpanel_data::{Error, ErrorKind};

    use super::*;

    #[test]
    fn the_number_is_found_below_other_errors() {
        let number = |errno: Errno| std::io::Error::from_raw_os_error(errno.raw_os_error());
        let inner = Error::new(ErrorKind::Storage, "cannot write").with_source(number(Errno::FBIG));
        let outer = Error::new(ErrorKind::Storage, "cannot load").with_source(inner);
        assert_eq!(errno_of(&outer), Some(Errno::FBIG));
        assert_eq!(errno_of(&number(Errno::ROFS)), Some(Errno::ROFS));
        assert_eq!(errno_of(&std::io::Error::other("none")), None);
        let said = Error::new(ErrorKind::Storage, "m").with_detail("os_error", Errno::DQUOT.raw_os_error());
        assert_eq!(errno_of(&said), Some(Errno::DQUOT));
    }

    #[test]
    fn no_two_errors_share_a_hint_that_fits_only_one() {
        let numbers = [
            Errno::FBIG,
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::ROFS,
            Errno::IO,
            Errno::NOMEM,
            Errno::ACCESS,
            Errno::PERM,
            Errno::NOENT,
            Errno::NOTDIR,
            Errno::ISDIR,
            Errno::NAMETOOLONG,
            Errno::LOOP,
        ];
        let hints: Vec<String> = numbers.into_iter().filter_map(file_hint).collect();
        let different: std::collections::BTreeSet<&String> = hints.iter().collect();
        assert_eq!((hints.len(), different.len()), (numbers.len(), numbers.len()), "{hints:#?}");
    }
}
