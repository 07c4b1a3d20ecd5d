//! Disks that are too small: the database and its stage on a file system in memory, of many sizes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::simulator::Simulator;

use super::World;
use super::home::{Home, TABLE, printed_resume, serve};
use super::kills::{SERVER, Undisturbed, fetch};
use super::kills_cases::Kind;
use super::process::Ended;
use super::report::Report;

/// Sizes in the long and in the short form.
const SIZES: (u64, u64) = (60, 6);

/// A size that is enough for everything, in KiB.
const ENOUGH: u64 = 64 << 10;

/// Runs the part.
pub(super) fn prove(world: &World<'_>) -> Report {
    let sizes = world.length.pick(SIZES.0, SIZES.1);
    let folder = world.folder.join("mount-probe");
    if let Err(reason) =
        fs::create_dir_all(&folder).map_err(|error| error.to_string()).and_then(|()| Mount::new(&folder, 64))
    {
        return Report::skipped(&format!("{sizes} sizes of disk"), &reason);
    }
    let mut report = Report::default();
    let begun =
        serve(world, SERVER, "disks").and_then(|server| Ok((Undisturbed::fetch(world, &server, "disks")?, server)));
    let (undisturbed, server) = match begun {
        Ok(begun) => begun,
        Err(problem) => return Report::violated(problem),
    };
    let mut full = 0;
    for kind in [Kind::New, Kind::Replace] {
        let needed = match needed(world, &server, &undisturbed, kind) {
            Ok(needed) => needed,
            Err(problem) => return Report::violated(problem),
        };
        let least = undisturbed.database(kind).map_or(0, |old| size(old).div_ceil(1024) + 16);
        for step in 1..=sizes / 2 {
            // From next to nothing to a little more than is needed.
            let kib = least + 8 + (needed.saturating_sub(least) * step * 23) / (sizes / 2 * 20);
            let case = format!("{kind:?} on a disk of {kib} KiB");
            match starve(world, &server, &undisturbed, kind, kib) {
                Ok(was_full) => full += u64::from(was_full),
                Err(problem) => report.add(&case, Err(problem)),
            }
        }
    }
    report.counts.push(format!("{} sizes of disk, {full} of them too small", sizes / 2 * 2));
    report
}

/// What a fetch takes on disk when that is most: all pages and the table, in KiB.
fn needed(world: &World<'_>, server: &Simulator, undisturbed: &Undisturbed, kind: Kind) -> Result<u64, String> {
    let home =
        Home::new(world, server, "disk-needed")?.with_database(undisturbed.database(kind).map(PathBuf::as_path))?;
    let mut command = home.command(&fetch(kind));
    command.env("MP_KILL_POINT", "load-committed");
    home.start(command)?.wait()?;
    Ok(size(&home.folder.join("data")).div_ceil(1024))
}

/// Fetches onto a disk of this size, and goes on with more room. Says whether the disk was too small.
fn starve(
    world: &World<'_>,
    server: &Simulator,
    undisturbed: &Undisturbed,
    kind: Kind,
    kib: u64,
) -> Result<bool, String> {
    let home = Home::new(world, server, "disk")?;
    let mount = Mount::new(&home.folder.join("data"), kib)?;
    let home = home.with_database(undisturbed.database(kind).map(PathBuf::as_path))?;
    let ended = home.run(&fetch(kind))?;
    let after = undisturbed.after(kind);
    if ended.code == Some(0) {
        home.expect_table(after).map_err(|problem| format!("it ended with success, but {problem}"))?;
        return Ok(false);
    }
    mount.resize(ENOUGH)?;
    ended.exits(1)?;
    if !ended.stderr.contains("make room") {
        return Err(format!("nothing is said about the full disk: {}", ended.told()));
    }
    home.expect_table(&undisturbed.before(kind))?;
    go_on(&home, kind, &ended, undisturbed)?;
    Ok(true)
}

/// Goes on as the fetch has said, or begins again where nothing was staged.
pub(super) fn go_on(home: &Home<'_>, kind: Kind, ended: &Ended, undisturbed: &Undisturbed) -> Result<(), String> {
    let after = undisturbed.after(kind);
    if home.staged().pages().is_empty() {
        for run in home.unfinished()? {
            home.run(&["fetch", "discard", "--run", &run.run_id, "--force"])?.exits(0)?;
        }
        if home.table()? == *after {
            return Ok(());
        }
        return home.complete(|| home.run(&fetch(kind)), after);
    }
    let Some(resume) = printed_resume(&ended.stderr) else {
        return Err(format!("pages are staged, and nothing says how to go on: {}", ended.told()));
    };
    if !resume.contains(&format!("fetch resume {TABLE}")) {
        return Err(format!("the way to go on is `{resume}`"));
    }
    home.complete(|| home.run_printed(resume), after)
}

/// Bytes of all files in a folder, or of one file.
fn size(path: &Path) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else { return 0 };
    if !found.is_dir() {
        return found.len();
    }
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
}

/// A file system in memory; gone when dropped.
struct Mount {
    folder: PathBuf,
}

impl Mount {
    /// Mounts one of so many KiB.
    fn new(folder: &Path, kib: u64) -> Result<Self, String> {
        let options = format!("size={kib}k,mode=0700");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn resize(&self, kib: u64) -> Result<(), String> {
        run(Command::new("mount").args(["-o", &format!("remount,size={kib}k")]).arg(&self.folder))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.folder));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "))
}

/// Unmounts what a killed proof has left mounted below a folder.
pub(super) fn unmount_below(folder: &Path) {
    let Ok(mounts) = fs::read_to_string("/proc/self/mounts") else { return };
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    for place in places.filter(|place| Path::new(place).starts_with(folder)) {
        let _ = run(Command::new("umount").args(["--lazy", place]));
    }
}
