//! Standard input, output and error, as the process that started this one left them: closed, non-blocking, or neither.
//!
//! `std` opens `/dev/null` in the place of a stream that is closed, before `main`, and its writers give up at a stream that
//! is non-blocking and full. A stream that was started by Node.js or shared with a terminal multiplexer often is.

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// One bit for each stream that was closed when the process started, standard input's in the lowest one.
static CLOSED_AT_START: AtomicU8 = AtomicU8::new(0);

/// How long to wait where `poll` says that a stream is ready and the stream says that it is not.
const DISAGREEMENT_PAUSE: Duration = Duration::from_millis(10);

/// Looks at the streams before `std` replaces those that are closed. Must not allocate, print or panic.
#[ctor::ctor]
fn look_for_closed_streams() {
    let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    for (number, stream) in streams.into_iter().enumerate() {
        if matches!(rustix::io::fcntl_getfd(stream), Err(Errno::BADF)) {
            CLOSED_AT_START.fetch_or(1 << number, Ordering::Relaxed);
        }
    }
}

fn was_closed(number: u8) -> bool {
    CLOSED_AT_START.load(Ordering::Relaxed) & (1 << number) != 0
}

/// Returns whether standard output was closed when the process started (`>&-`).
pub(crate) fn stdout_was_closed() -> bool {
    was_closed(1)
}

/// Standard input, without a buffer.
#[derive(Debug, Default)]
pub(crate) struct Stdin;

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if was_closed(0) {
            return Err(io::Error::other("standard input is closed"));
        }
        let stdin = rustix::stdio::stdin();
        when_ready(stdin, PollFlags::IN, || rustix::io::read(stdin, &mut *buffer))
    }
}

/// Standard output, without a buffer.
#[derive(Debug, Default)]
pub(crate) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stdout = rustix::stdio::stdout();
        when_ready(stdout, PollFlags::OUT, || rustix::io::write(stdout, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard error, without a buffer.
#[derive(Debug, Default)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stderr = rustix::stdio::stderr();
        when_ready(stderr, PollFlags::OUT, || rustix::io::write(stderr, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Repeats an attempt that would have blocked, or that a signal interrupted, until it has an outcome.
fn when_ready(
    stream: BorrowedFd<'_>,
    flags: PollFlags,
    mut attempt: impl FnMut() -> Result<usize, Errno>,
) -> io::Result<usize> {
    let mut attempts = 0;
    loop {
        match attempt() {
            Ok(bytes) => return Ok(bytes),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                attempts += 1;
                match poll(&mut [PollFd::from_borrowed_fd(stream, flags)], None) {
                    Ok(_) if attempts > 2 => std::thread::sleep(DISAGREEMENT_PAUSE),
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}
