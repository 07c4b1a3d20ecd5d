//! The terminal for progress bars. Its errors, for example after the window was closed, are ignored, because
//! `indicatif` panics on them.

use std::io;

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

/// The maximum number of redraws per second.
const REFRESH_RATE: u8 = 20;

/// Returns a draw target for bars on standard error.
pub(crate) fn draw_target() -> ProgressDrawTarget {
    // The templates of the bars decide whether to use colors.
    console::set_colors_enabled(true);
    ProgressDrawTarget::term_like_with_hz(Box::new(InfallibleTerm(Term::buffered_stderr())), REFRESH_RATE)
}

/// Returns the current width of the terminal on standard error, in columns.
pub(crate) fn width() -> u16 {
    width_of(&Term::stderr())
}

fn width_of(terminal: &Term) -> u16 {
    // Some terminals report 0 or implausibly few columns.
    match terminal.size().1 {
        0..20 => 80,
        width => width,
    }
}

/// A terminal whose errors are ignored.
#[derive(Debug)]
struct InfallibleTerm(Term);

impl TermLike for InfallibleTerm {
    fn width(&self) -> u16 {
        width_of(&self.0)
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        ignore_error(self.0.move_cursor_up(n))
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        ignore_error(self.0.move_cursor_down(n))
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        ignore_error(self.0.move_cursor_right(n))
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        ignore_error(self.0.move_cursor_left(n))
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        ignore_error(self.0.write_line(s))
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        ignore_error(self.0.write_str(s))
    }

    fn clear_line(&self) -> io::Result<()> {
        ignore_error(self.0.clear_line())
    }

    fn flush(&self) -> io::Result<()> {
        ignore_error(self.0.flush())
    }
}

fn ignore_error(result: io::Result<()>) -> io::Result<()> {
    let _gone = result;
    Ok(())
}
