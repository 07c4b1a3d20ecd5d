//! Ctrl-C, and the other ways of asking a process to end: the first time politely, the second time at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Exit, Failure};
use crate::output::Output;

const HANGUP: u8 = 1;
const INTERRUPT: u8 = 2;
const TERMINATE: u8 = 15;

/// Listens to signals for as long as the runtime lives.
#[derive(Debug)]
pub(crate) struct Interrupts {
    stop: CancellationToken,
    received: Arc<AtomicU8>,
}

impl Interrupts {
    /// Begins to listen; `message` is shown at the first signal. Must be called within a tokio runtime.
    pub(crate) fn listen(output: &Output, message: &'static str) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new("could not listen to signals").caused_by(&error);
        let ignored = ignored_signals();
        let open = |number: u8, kind: SignalKind| -> Result<Option<Signal>, Failure> {
            // Whoever started us with nohup, or in the background of a script, does not want us to hear it.
            if ignored & (1 << (number - 1)) != 0 { Ok(None) } else { signal(kind).map(Some).map_err(failed) }
        };
        let interrupt = open(INTERRUPT, SignalKind::interrupt())?;
        let terminate = open(TERMINATE, SignalKind::terminate())?;
        let hangup = open(HANGUP, SignalKind::hangup())?;
        let interrupts = Self { stop: CancellationToken::new(), received: Arc::new(AtomicU8::new(0)) };
        let (stop, received, output) = (interrupts.stop.clone(), Arc::clone(&interrupts.received), output.clone());
        tokio::spawn(async move {
            let (mut interrupt, mut terminate, mut hangup) = (interrupt, terminate, hangup);
            loop {
                let number = tokio::select! {
                    () = next(&mut interrupt) => INTERRUPT,
                    () = next(&mut terminate) => TERMINATE,
                    () = next(&mut hangup) => HANGUP,
                };
                if stop.is_cancelled() {
                    std::process::exit(i32::from(Exit::Signal(number).code()));
                }
                received.store(number, Ordering::SeqCst);
                output.words(&format!("{message}\n"));
                stop.cancel();
            }
        });
        Ok(interrupts)
    }

    /// Is cancelled at the first signal.
    pub(crate) fn token(&self) -> CancellationToken {
        self.stop.clone()
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

/// Waits for a signal; for ever, if it is not listened to.
async fn next(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Returns the set of ignored signals, the first one in the lowest bit, where the system tells; else none.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}
