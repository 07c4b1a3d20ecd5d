//! Handles Ctrl-C and other termination signals: the first one stops the work gracefully, the second one ends the
//! process immediately.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use indicatif::ProgressDrawTarget;
use mixpanel_data::CancellationToken;
use mixpanel_data::limits::STOP_GRACE;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::ctrl_c;
use crate::failure::{Exit, Failure};
use crate::output::Output;

const HANGUP: u8 = 1;
pub(crate) const INTERRUPT: u8 = 2;
pub(crate) const QUIT: u8 = 3;
const TERMINATE: u8 = 15;
#[expect(clippy::cast_possible_truncation, reason = "signal numbers are small")]
pub(crate) const SUSPEND: u8 = signal_hook::consts::SIGTSTP as u8;

/// Grace period after SIGTERM or SIGHUP: the sender may follow up with SIGKILL, as Docker does after 10 s.
const TERMINATE_GRACE: Duration = Duration::from_secs(5);

/// Maximum time to write a message, because standard error may be a pipe without a reader. The signal takes effect in
/// any case.
const MESSAGE_TIMEOUT: Duration = Duration::from_millis(250);

/// Builds the message for the first signal from the grace period.
type StopMessage = Box<dyn Fn(Duration) -> String + Send>;

/// Builds the hint shown before a second signal ends the process.
type ExitHint = Box<dyn Fn() -> Option<String> + Send>;

/// Listens for signals as long as the runtime exists.
pub(crate) struct Interrupts {
    stop: CancellationToken,
    time_is_up: CancellationToken,
    received: Arc<AtomicU8>,
    first_words: Arc<Mutex<StopMessage>>,
    last_words: Arc<Mutex<Option<ExitHint>>>,
}

impl Interrupts {
    /// Starts listening. `message` builds the text shown at the first signal from the grace period. Must be called
    /// within a tokio runtime.
    pub(crate) fn listen(output: &Output, message: fn(Duration) -> String) -> Result<Self, Failure> {
        let mut signals = Signals::open()?;
        let interrupts = Self {
            stop: CancellationToken::new(),
            time_is_up: CancellationToken::new(),
            received: Arc::new(AtomicU8::new(0)),
            first_words: Arc::new(Mutex::new(Box::new(message))),
            last_words: Arc::default(),
        };
        let (stop, time_is_up) = (interrupts.stop.clone(), interrupts.time_is_up.clone());
        let (received, last_words) = (Arc::clone(&interrupts.received), Arc::clone(&interrupts.last_words));
        let first_words = Arc::clone(&interrupts.first_words);
        let output = output.clone();
        tokio::spawn(async move {
            let number = signals.next_for_us().await;
            received.store(number, Ordering::SeqCst);
            stop.cancel();
            let grace = if number == INTERRUPT { STOP_GRACE } else { TERMINATE_GRACE };
            if number != INTERRUPT {
                tokio::spawn(async move {
                    tokio::time::sleep(grace).await;
                    time_is_up.cancel();
                });
            }
            let words = output.clone();
            let message = first_words.lock().unwrap_or_else(PoisonError::into_inner)(grace);
            show_in_time(move || words.words(&format!("{message}\n")));
            let number = signals.next_for_us().await;
            show_in_time(move || show_exit_hint(&output, &last_words));
            // Skip destructors: other threads are still running, and the data on disk is always consistent.
            signal_hook::low_level::exit(i32::from(Exit::Signal(number).code()));
        });
        Ok(interrupts)
    }

    /// Returns the token that is cancelled at the first signal.
    pub(crate) fn token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits until the grace period of a signal is over. Never returns after Ctrl-C or without a signal.
    pub(crate) async fn time_is_up(&self) {
        self.time_is_up.cancelled().await;
    }

    /// Replaces the message for the first signal, for work with several steps.
    pub(crate) fn set_stop_message(&self, words: impl Fn(Duration) -> String + Send + 'static) {
        *self.first_words.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(words);
    }

    /// Sets the hint that is shown before a second signal ends the process.
    pub(crate) fn set_exit_hint(&self, words: impl Fn() -> Option<String> + Send + 'static) {
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(words));
    }

    /// Sets the exit code of cancelled work to that of the signal that stopped it.
    pub(crate) fn settle<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| match (failure.exit, self.exit()) {
            (Exit::Signal(_), Some(exit)) => failure.exit(exit),
            _ => failure,
        })
    }

    /// Returns the exit code for the signal received, if any.
    pub(crate) fn exit(&self) -> Option<Exit> {
        match self.received.load(Ordering::SeqCst) {
            0 => None,
            number => Some(Exit::Signal(number)),
        }
    }
}

/// Calls `cleanup` and ends the process when a signal arrives, for work that has nothing to finish.
///
/// # Errors
/// The signals cannot be listened to.
pub(crate) fn end_after(cleanup: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    in_thread(Signals::open, move |runtime, mut signals| {
        let number = runtime.block_on(signals.next_for_us());
        cleanup();
        end(number);
    })
}

/// Calls `handle` with the number of each signal that ends or suspends the process.
///
/// # Errors
/// The signals cannot be listened to.
pub(crate) fn handle_each(mut handle: impl FnMut(u8) + Send + 'static) -> Result<(), Failure> {
    in_thread(Signals::open_with_suspend, move |runtime, mut signals| {
        loop {
            handle(runtime.block_on(signals.next()));
        }
    })
}

/// Ends the process as after this signal.
pub(crate) fn end(number: u8) {
    signal_hook::low_level::exit(i32::from(Exit::Signal(number).code()));
}

/// Runs `work` in a thread of its own.
fn in_thread(
    open: fn() -> Result<Signals, Failure>,
    work: impl FnOnce(tokio::runtime::Runtime, Signals) + Send + 'static,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new("could not listen to signals").caused_by(&error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let signals = {
        let _within = runtime.enter();
        open()?
    };
    std::thread::Builder::new().spawn(move || work(runtime, signals)).map(drop).map_err(failed)
}

impl fmt::Debug for Interrupts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Interrupts").field("received", &self.received).finish_non_exhaustive()
    }
}

/// The signals to listen for.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
    quit: Option<Signal>,
    suspend: Option<Signal>,
}

impl Signals {
    /// Starts listening for SIGINT, SIGTERM and SIGHUP. Must be called within a tokio runtime.
    fn open() -> Result<Self, Failure> {
        Ok(Self {
            interrupt: open(INTERRUPT, SignalKind::interrupt())?,
            terminate: open(TERMINATE, SignalKind::terminate())?,
            hangup: open(HANGUP, SignalKind::hangup())?,
            quit: None,
            suspend: None,
        })
    }

    /// Starts listening for SIGQUIT as well, which otherwise ends the process. Must be called within a tokio runtime.
    pub(crate) fn open_all() -> Result<Self, Failure> {
        Ok(Self { quit: open(QUIT, SignalKind::quit())?, ..Self::open()? })
    }

    /// Starts listening for SIGQUIT and SIGTSTP as well. Must be called within a tokio runtime.
    fn open_with_suspend() -> Result<Self, Failure> {
        let suspend = open(SUSPEND, SignalKind::from_raw(SUSPEND.into()))?;
        Ok(Self { suspend, ..Self::open_all()? })
    }

    /// Waits for the next signal that is not for another program, and returns its number.
    async fn next_for_us(&mut self) -> u8 {
        loop {
            let number = self.next().await;
            let is_of_keyboard = matches!(number, INTERRUPT | QUIT);
            if !(is_of_keyboard && ctrl_c::is_for_another()) {
                return number;
            }
        }
    }

    /// Waits for the next signal and returns its number.
    pub(crate) async fn next(&mut self) -> u8 {
        tokio::select! {
            () = next(&mut self.interrupt) => INTERRUPT,
            () = next(&mut self.terminate) => TERMINATE,
            () = next(&mut self.hangup) => HANGUP,
            () = next(&mut self.quit) => QUIT,
            () = next(&mut self.suspend) => SUSPEND,
        }
    }
}

/// Starts listening for a signal, unless it was ignored at startup: it stays ignored, because `nohup` and background
/// jobs in scripts rely on this.
fn open(number: u8, kind: SignalKind) -> Result<Option<Signal>, Failure> {
    if ignored_signals() & (1 << (number - 1)) != 0 {
        return Ok(None);
    }
    signal(kind).map(Some).map_err(|error| Failure::new("could not listen to signals").caused_by(&error))
}

/// Waits for a signal; never returns if the signal is ignored.
async fn next(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Shows a message from a separate thread, because writing to a pipe that nothing reads from can block.
fn show_in_time(words: impl FnOnce() + Send + 'static) {
    let (said, is_said) = mpsc::channel();
    let thread = std::thread::Builder::new().spawn(move || {
        words();
        let _timed_out = said.send(());
    });
    // If no thread can be started, nothing is shown, but the signal still takes effect.
    if thread.is_ok() {
        let _not_in_time = is_said.recv_timeout(MESSAGE_TIMEOUT);
    }
}

fn show_exit_hint(output: &Output, last_words: &Mutex<Option<ExitHint>>) {
    let words = last_words.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|words| words());
    // Do not draw the bar over the shell's next output.
    let _gone = output.bars().clear();
    output.bars().set_draw_target(ProgressDrawTarget::hidden());
    if let Some(words) = words {
        output.hint(&words);
    }
}

/// Returns the bit mask of ignored signals, with signal 1 in the lowest bit; 0 if the system does not report it.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}
