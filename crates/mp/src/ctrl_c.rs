//! Whose Ctrl-C is: while another program uses the terminal, it is not for this one.

use std::sync::atomic::{AtomicBool, Ordering};

static IS_FOR_ANOTHER: AtomicBool = AtomicBool::new(false);

/// Returns whether another program uses the terminal.
pub(crate) fn is_for_another() -> bool {
    IS_FOR_ANOTHER.load(Ordering::SeqCst)
}

/// Leaves Ctrl-C and Ctrl-\\ to another program until dropped.
#[derive(Debug)]
pub(crate) struct ForAnother(());

impl ForAnother {
    pub(crate) fn begin() -> Self {
        IS_FOR_ANOTHER.store(true, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for ForAnother {
    fn drop(&mut self) {
        IS_FOR_ANOTHER.store(false, Ordering::SeqCst);
    }
}
