//! Ctrl-C, and the other ways of asking a process to end: the first time politely, the second time at once.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use indicatif::ProgressDrawTarget;
use mixpanel_data::limits::STOP_GRACE;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Exit, Failure};
use crate::output::Output;

const HANGUP: u8 = 1;
const INTERRUPT: u8 = 2;
const TERMINATE: u8 = 15;

/// Time that work gets to end after a signal that nobody waits for at a terminal: whoever sent it may kill next, Docker for
/// one after 10 s.
const TERMINATE_GRACE: Duration = Duration::from_secs(5);

/// Time that words get to reach a terminal, or a pipe that nobody may read. A signal is obeyed all the same.
const WORDS_WAIT: Duration = Duration::from_millis(250);

/// What is said at the first signal, with the time that is left.
type FirstWords = Box<dyn Fn(Duration) -> String + Send>;

/// What is to be said before the process ends at once.
type LastWords = Box<dyn Fn() -> Option<String> + Send>;

/// Listens to signals for as long as the runtime lives.
pub(crate) struct Interrupts {
    stop: CancellationToken,
    time_is_up: CancellationToken,
    received: Arc<AtomicU8>,
    first_words: Arc<Mutex<FirstWords>>,
    last_words: Arc<Mutex<Option<LastWords>>>,
}

impl Interrupts {
    /// Begins to listen; at the first signal, what `message` makes of the time that is left is shown. Must be called within
    /// a tokio runtime.
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
            let number = signals.next().await;
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
            say(move || words.words(&format!("{message}\n")));
            let number = signals.next().await;
            say(move || say_last(&output, &last_words));
            // Without destructors: other threads are in the middle of their work, and what is on disk is good at any time.
            signal_hook::low_level::exit(i32::from(Exit::Signal(number).code()));
        });
        Ok(interrupts)
    }

    /// Is cancelled at the first signal.
    pub(crate) fn token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits until the time is up that a signal left for ending; for ever after Ctrl-C, or without a signal.
    pub(crate) async fn time_is_up(&self) {
        self.time_is_up.cancelled().await;
    }

    /// Sets what is shown at the first signal, for work that has several steps.
    pub(crate) fn set_first_words(&self, words: impl Fn(Duration) -> String + Send + 'static) {
        *self.first_words.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(words);
    }

    /// Sets the hint that is shown before a second signal ends the process.
    pub(crate) fn set_last_words(&self, words: impl Fn() -> Option<String> + Send + 'static) {
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(words));
    }

    /// Gives work that was stopped the exit code of the signal that stopped it.
    pub(crate) fn settle<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| match (failure.exit, self.exit()) {
            (Exit::Signal(_), Some(exit)) => failure.exit(exit),
            _ => failure,
        })
    }

    /// Returns how the command ends if a signal came.
    pub(crate) fn exit(&self) -> Option<Exit> {
        match self.received.load(Ordering::SeqCst) {
            0 => None,
            number => Some(Exit::Signal(number)),
        }
    }
}

impl fmt::Debug for Interrupts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Interrupts").field("received", &self.received).finish_non_exhaustive()
    }
}

/// The signals that are listened to.
struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
}

impl Signals {
    fn open() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new("could not listen to signals").caused_by(&error);
        let ignored = ignored_signals();
        let open = |number: u8, kind: SignalKind| -> Result<Option<Signal>, Failure> {
            // Whoever started us with nohup, or in the background of a script, does not want us to hear it.
            if ignored & (1 << (number - 1)) != 0 { Ok(None) } else { signal(kind).map(Some).map_err(failed) }
        };
        Ok(Self {
            interrupt: open(INTERRUPT, SignalKind::interrupt())?,
            terminate: open(TERMINATE, SignalKind::terminate())?,
            hangup: open(HANGUP, SignalKind::hangup())?,
        })
    }

    /// Waits for the next one and returns its number.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            () = next(&mut self.interrupt) => INTERRUPT,
            () = next(&mut self.terminate) => TERMINATE,
            () = next(&mut self.hangup) => HANGUP,
        }
    }
}

/// Waits for a signal; for ever, if it is not listened to.
async fn next(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Says something, in a thread of its own: a pipe that nobody reads holds up whoever writes to it.
fn say(words: impl FnOnce() + Send + 'static) {
    let (said, is_said) = mpsc::channel();
    let thread = std::thread::Builder::new().spawn(move || {
        words();
        let _nobody_waits = said.send(());
    });
    // Without a thread nothing is said, but the signal is obeyed.
    if thread.is_ok() {
        let _not_in_time = is_said.recv_timeout(WORDS_WAIT);
    }
}

fn say_last(output: &Output, last_words: &Mutex<Option<LastWords>>) {
    let words = last_words.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|words| words());
    // No bar may be drawn again over what the shell writes next.
    let _gone = output.bars().clear();
    output.bars().set_draw_target(ProgressDrawTarget::hidden());
    if let Some(words) = words {
        output.hint(&words);
    }
}

/// Returns the set of ignored signals, the first one in the lowest bit, where the system tells; else none.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}
