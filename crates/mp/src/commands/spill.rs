//! Lets queries spill to a directory beside their database.

use std::path::PathBuf;

use mixpanel_data::{Error, ErrorKind, Workspace};

use crate::failure::Failure;
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

/// Returns the failure of a query. `memory` is its budget; by default, DuckDB's.
pub(super) fn query_failure(headline: &str, error: &Error, memory: Option<u64>) -> Failure {
    if error.kind() != ErrorKind::OutOfMemory {
        return Failure::library(headline, error);
    }
    Failure::without_hint(headline, error).hint(match memory {
        Some(memory) => format!("use a larger memory budget, such as `--memory {}`", doubled(memory)),
        None => "select fewer columns or rows at a time".to_owned(),
    })
}

/// Returns twice a size, as the option takes it.
fn doubled(memory: u64) -> String {
    let megabytes = memory.div_ceil(1_000_000).saturating_mul(2);
    if megabytes.is_multiple_of(1_000) { format!("{}GB", megabytes / 1_000) } else { format!("{megabytes}MB") }
}

#[cfg(test)]
mod tests {
    use super::doubled;

    #[test]
    fn a_suggested_budget_is_larger() {
        for (memory, suggested) in
            [(400_000_000, "800MB"), (500_000_000, "1GB"), (1_000_000_000, "2GB"), (256 << 20, "538MB")]
        {
            assert_eq!(doubled(memory), suggested);
        }
    }
}
