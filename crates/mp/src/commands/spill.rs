//! Lets queries spill to a directory beside their database.

use std::path::PathBuf;

use mixpanel_data::Workspace;

use crate::signals;

/// Returns the workspace with a memory budget for its queries, if one is given, and with a directory to which they
/// spill, which is removed when a signal ends the process.
pub(super) fn with_spill_until_a_signal(workspace: Workspace, memory: Option<u64>) -> Workspace {
    let mut directory = workspace.database().as_os_str().to_owned();
    directory.push(format!(".spill-{}", std::process::id()));
    let directory = PathBuf::from(directory);
    let workspace = workspace.with_spill_directory(&directory);
    // If signals cannot be listened to, one leaves the directory behind, and the next query that spills removes it.
    let _ = signals::end_after(move || {
        let _ = std::fs::remove_dir_all(&directory);
    });
    match memory {
        Some(memory) => workspace.with_query_memory(memory),
        None => workspace,
    }
}
