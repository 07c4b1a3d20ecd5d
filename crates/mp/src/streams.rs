//! Standard input, output and error as inherited: possibly closed or non-blocking.
//!
//! Before `main`, `std` replaces a closed stream with `/dev/null`, and its writers fail if a non-blocking stream is
//! full. Streams inherited from Node.js or shared with a terminal multiplexer are often non-blocking.

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Bit mask of the streams that were closed at the start of the process; standard input is the lowest bit.
static CLOSED_AT_START: AtomicU8 = AtomicU8::new(0);

/// Pause before the next attempt if `poll` reports a stream as ready but the stream would still block.
const SPURIOUS_READY_PAUSE: Duration = Duration::from_millis(10);

/// Checks the streams before `std` replaces the closed ones. Must not allocate, print or panic.
///
/// In a shared library this runs when the library is loaded, which is too late: see [`note_closed_streams`].
#[ctor::ctor]
fn detect_closed_streams() {
    let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    for (number, stream) in streams.into_iter().enumerate() {
        if matches!(rustix::io::fcntl_getfd(stream), Err(Errno::BADF)) {
            CLOSED_AT_START.fetch_or(1 << number, Ordering::Relaxed);
        }
    }
}

/// Notes which standard streams, by number, were closed when the process began.
///
/// The binary `mp` finds them itself. In a program with another runtime, such as Python, the number of a closed stream is
/// given to the next file that is opened. Such a program must open `/dev/null` in place of the closed streams before
/// anything else is opened, and pass their numbers here before it calls [`run`](crate::run).
pub fn note_closed_streams(numbers: &[u8]) {
    let bits = numbers.iter().filter(|number| **number < 3).fold(0, |bits, number| bits | 1 << number);
    CLOSED_AT_START.fetch_or(bits, Ordering::Relaxed);
}

fn was_closed(number: u8) -> bool {
    CLOSED_AT_START.load(Ordering::Relaxed) & (1 << number) != 0
}

/// Returns whether standard output was closed at the start of the process (`>&-`).
pub(crate) fn stdout_was_closed() -> bool {
    was_closed(1)
}

/// Standard input, unbuffered.
#[derive(Debug, Default)]
pub(crate) struct Stdin;

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if was_closed(0) {
            return Err(io::Error::other("standard input is closed"));
        }
        let stdin = rustix::stdio::stdin();
        retry_io(stdin, PollFlags::IN, || rustix::io::read(stdin, &mut *buffer))
    }
}

/// Standard output, unbuffered.
#[derive(Debug, Default)]
pub(crate) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stdout = rustix::stdio::stdout();
        retry_io(stdout, PollFlags::OUT, || rustix::io::write(stdout, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard error, unbuffered.
#[derive(Debug, Default)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stderr = rustix::stdio::stderr();
        retry_io(stderr, PollFlags::OUT, || rustix::io::write(stderr, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Retries an attempt as long as it would block or is interrupted by a signal.
fn retry_io(
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
                    Ok(_) if attempts > 2 => std::thread::sleep(SPURIOUS_READY_PAUSE),
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}
