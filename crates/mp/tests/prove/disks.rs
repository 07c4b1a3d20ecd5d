//! Full disks: the database and its stage on in-memory file systems of many sizes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cases::{Failures, Length, has_kill_points};
use crate::fetches::{Kind, Undisturbed, resume_from_hint};
use crate::support::{Home, Simulator};
use crate::tools::{finish, is_root, skip_unless};

/// Number of sizes per kind of fetch: long, quick.
const SIZES: (u64, u64) = (20, 3);

/// The same for events.
const EVENTS_SIZES: (u64, u64) = (15, 2);

/// A size that is always sufficient, in KiB.
pub(crate) const ENOUGH: u64 = 64 << 10;

#[test]
fn a_full_disk_fails_the_fetch_and_freeing_space_allows_resume() {
    if can_fill_disks() {
        fill(&Undisturbed::fetch(), [Kind::New, Kind::Replace], SIZES);
    }
}

#[test]
fn a_full_disk_fails_the_fetch_of_events_and_freeing_space_allows_resume() {
    if can_fill_disks() {
        fill(&Undisturbed::fetch_events(), [Kind::NewEvents, Kind::SinceLast], EVENTS_SIZES);
    }
}

fn can_fill_disks() -> bool {
    has_kill_points() && skip_unless(is_root(), "only root can mount a small file system")
}

fn fill(undisturbed: &Undisturbed, kinds: [Kind; 2], sizes: (u64, u64)) {
    let sizes = Length::wanted().pick(sizes.0, sizes.1);
    let failures = Failures::default();
    let mut full = 0;
    for kind in kinds {
        let needed = needed(undisturbed, &kind.server(), kind);
        let least = undisturbed.old_size(kind).div_ceil(1024) + 16;
        for step in 1..=sizes {
            // From almost nothing to slightly more than needed.
            let kib = least + 8 + (needed.saturating_sub(least) * step * 23) / (sizes * 20);
            failures.watch(&format!("{kind:?} on a disk of {kib} KiB"), || {
                full += u64::from(is_too_small(undisturbed, kind, kib));
            });
        }
    }
    eprintln!("prove: {} sizes of disk, {full} of them too small", 2 * sizes);
    failures.check();
    assert!(full > 0, "no disk was too small");
}

/// Returns the peak disk usage of a fetch, with all pages and the table on disk, in KiB.
fn needed(undisturbed: &Undisturbed, simulator: &Simulator, kind: Kind) -> u64 {
    let home = undisturbed.begin(kind, simulator);
    let mut command = home.command(&kind.fetch());
    command.env("MP_KILL_POINT", "load-committed");
    assert_eq!(finish(command).code, None, "it is killed");
    size(&data(&home)).div_ceil(1024)
}

/// Fetches onto a disk of this size and resumes with more space. Returns whether the disk was too small.
fn is_too_small(undisturbed: &Undisturbed, kind: Kind, kib: u64) -> bool {
    let simulator = kind.server();
    let home = Home::new().with_server(&simulator);
    let mount = Mount::new(data(&home), kib);
    undisturbed.put_old(kind, &home);
    let (before, after) = (undisturbed.before(kind), &undisturbed.after);
    let run = home.run(&kind.fetch());
    if run.code == Some(0) {
        assert_eq!(kind.table(&home), *after, "it ended with success");
        return false;
    }
    mount.resize(ENOUGH);
    let run = run.exits(1).says(&["free up"]);
    assert_eq!(kind.table(&home), before);
    resume_from_hint(&home, &simulator, kind, &run, after);
    true
}

/// Returns the directory of a home's database.
pub(crate) fn data(home: &Home) -> PathBuf {
    home.database().parent().expect("a directory").to_owned()
}

/// Returns the size of a file, or of all files below a directory, in bytes.
fn size(path: &Path) -> u64 {
    let found = fs::symlink_metadata(path).expect("it exists");
    if !found.is_dir() {
        return found.len();
    }
    fs::read_dir(path).expect("a directory").map(|entry| size(&entry.expect("an entry").path())).sum()
}

/// An in-memory file system, unmounted when dropped.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// Mounts a file system of `kib` KiB.
    pub(crate) fn new(directory: PathBuf, kib: u64) -> Self {
        fs::create_dir_all(&directory).expect("a directory");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=0700"), "tmpfs"])
            .arg(&directory));
        Self(directory)
    }

    /// Remounts it with this option.
    pub(crate) fn remount(&self, option: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,{option}")]).arg(&self.0));
    }

    fn resize(&self, kib: u64) {
        self.remount(&format!("size={kib}k"));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
