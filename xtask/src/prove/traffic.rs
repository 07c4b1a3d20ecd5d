//! What a simulator was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::simulator::Simulator;

/// Time that the simulator has to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The simulator's statistics.
#[derive(Clone, Debug)]
pub(super) struct Traffic(Value);

impl Traffic {
    /// Asks for them.
    pub(super) fn of(simulator: &Simulator) -> Result<Self, String> {
        let body = ask(simulator, "GET", "/_sim/stats")?;
        serde_json::from_str(&body)
            .map(Self)
            .map_err(|error| format!("the simulator's statistics are unreadable: {error}"))
    }

    /// How often each page was asked for.
    pub(super) fn hits(&self) -> BTreeMap<u64, u64> {
        let pages = self.0.get("hits_per_page").and_then(Value::as_object).into_iter().flatten();
        pages.filter_map(|(page, hits)| Some((page.parse().ok()?, hits.as_u64()?))).collect()
    }

    /// One of the numbers, by its path.
    pub(super) fn number(&self, path: &str) -> Result<u64, String> {
        let number = self.0.pointer(path).and_then(Value::as_u64);
        number.ok_or_else(|| format!("the simulator's statistics have no {path}"))
    }

    /// Errs if a page that was staged was asked for again, or a page more than once.
    pub(super) fn check(&self, staged: &BTreeSet<u64>) -> Result<(), String> {
        for (page, hits) in self.hits() {
            if staged.contains(&page) {
                return Err(format!("page {page} was staged and was asked for again"));
            }
            if hits > 1 {
                return Err(format!("page {page} was asked for {hits} times"));
            }
        }
        Ok(())
    }
}

/// Sets the simulator's statistics to zero.
pub(super) fn reset(simulator: &Simulator) -> Result<(), String> {
    ask(simulator, "POST", "/_sim/reset").map(drop)
}

fn ask(simulator: &Simulator, method: &str, path: &str) -> Result<String, String> {
    let address = simulator.address();
    let asked = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        Ok(reply)
    };
    let reply = asked().map_err(|error: std::io::Error| format!("the simulator does not answer: {error}"))?;
    match reply.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(format!("the simulator answered {}", reply.lines().next().unwrap_or("nothing"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_once_and_not_at_all_if_it_is_staged() {
        let traffic = |hits: &str| Traffic(serde_json::from_str(&format!(r#"{{"hits_per_page":{hits}}}"#)).unwrap());
        let staged = BTreeSet::from([0, 1, 2]);
        assert_eq!(traffic(r#"{"3":1,"4":1}"#).check(&staged), Ok(()));
        assert!(traffic(r#"{"2":1}"#).check(&staged).unwrap_err().contains("page 2 was staged"));
        assert!(traffic(r#"{"10":2}"#).check(&staged).unwrap_err().contains("2 times"));
        assert!(traffic("{}").number("/requests").is_err());
    }
}
