//! The terminal that bars are drawn on. One that is gone, because its window was closed, is nobody's concern: the bars'
//! crate would panic where we go on.

use std::io;

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

/// Drawings a second, at most.
const REFRESH_RATE: u8 = 20;

/// Standard error, as a place for bars.
pub(crate) fn draw_target() -> ProgressDrawTarget {
    // Whether there is colour is decided where the bars' templates are made.
    console::set_colors_enabled(true);
    ProgressDrawTarget::term_like_with_hz(Box::new(Forgiving(Term::buffered_stderr())), REFRESH_RATE)
}

/// A terminal whose failures do not matter.
#[derive(Debug)]
struct Forgiving(Term);

impl TermLike for Forgiving {
    fn width(&self) -> u16 {
        // A terminal of 0 columns does not know its width.
        match self.0.size().1 {
            0..20 => 80,
            width => width,
        }
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        forgive(self.0.move_cursor_up(n))
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        forgive(self.0.move_cursor_down(n))
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        forgive(self.0.move_cursor_right(n))
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        forgive(self.0.move_cursor_left(n))
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        forgive(self.0.write_line(s))
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        forgive(self.0.write_str(s))
    }

    fn clear_line(&self) -> io::Result<()> {
        forgive(self.0.clear_line())
    }

    fn flush(&self) -> io::Result<()> {
        forgive(self.0.flush())
    }
}

fn forgive(result: io::Result<()>) -> io::Result<()> {
    let _gone = result;
    Ok(())
}
