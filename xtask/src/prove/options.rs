//! The options of the stress tests.

use std::ffi::OsString;

/// How long a part takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// All cases.
    Long,
    /// A few of each, for everyday use.
    Quick,
}

impl Length {
    /// Returns the value for this length.
    pub(super) fn pick<T>(self, long: T, quick: T) -> T {
        match self {
            Self::Long => long,
            Self::Quick => quick,
        }
    }
}

/// One part of the stress tests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The name on the command line.
    pub(super) name: &'static str,
    /// The modules of `crates/mp/tests/prove` that belong to it, as a regular expression; `None` if it is not a test
    /// of `mp`.
    pub(super) tests: Option<&'static str>,
    /// Whether it runs if no part is named: in the long form, and in the quick one.
    usual: (bool, bool),
}

const fn part(name: &'static str, tests: Option<&'static str>, usual: (bool, bool)) -> Part {
    Part { name, tests, usual }
}

/// Every part, in the order in which they are run. The tests run `bite` anyway, and `instructions` has no quick form.
pub(super) static PARTS: [Part; 7] = [
    part("simulation", None, (true, true)),
    part("kills", Some("kills"), (true, true)),
    part("quota", Some("quota"), (true, true)),
    part("disks", Some("disks|injections"), (true, true)),
    part("terminals", Some("terminals"), (true, true)),
    part("instructions", Some("instructions"), (true, false)),
    part("bite", None, (false, false)),
];

/// The selected options.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The parts, in order.
    pub(super) parts: Vec<&'static Part>,
    /// How long each takes.
    pub(super) length: Length,
    /// The number of seeds to simulate, instead of the default.
    pub(super) seeds: Option<u64>,
    /// Whether to replace the reference instruction counts by the measured ones.
    pub(super) update: bool,
}

impl Wanted {
    /// Parses the arguments of `cargo xtask prove`. An error is the message for the user.
    ///
    /// If no parts are named, the usual ones are run.
    pub(crate) fn read(args: &[OsString]) -> Result<Self, String> {
        let mut wanted = Self { parts: Vec::new(), length: Length::Long, seeds: None, update: false };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.to_string_lossy().as_ref() {
                "--quick" => wanted.length = Length::Quick,
                "--update" => wanted.update = true,
                "--seeds" => {
                    let seeds = args.next().and_then(|seeds| seeds.to_str()?.parse().ok());
                    wanted.seeds = Some(seeds.ok_or("--seeds takes a number, such as 20000")?);
                }
                "--bite" => wanted.parts.push(find("bite")?),
                name => wanted.parts.push(find(name)?),
            }
        }
        if wanted.update && wanted.parts.iter().map(|part| part.name).ne(["instructions"]) {
            return Err("--update goes with one part alone: cargo xtask prove instructions --update".to_owned());
        }
        if wanted.parts.is_empty() {
            let is_usual = |part: &&Part| wanted.length.pick(part.usual.0, part.usual.1);
            wanted.parts = PARTS.iter().filter(is_usual).collect();
        }
        Ok(wanted)
    }
}

fn find(name: &str) -> Result<&'static Part, String> {
    PARTS.iter().find(|part| part.name == name).ok_or_else(|| {
        let names = PARTS.each_ref().map(|part| part.name).join(", ");
        format!(
            "unexpected argument `{name}`; the task prove takes --quick, --seeds N, --bite, --update and parts: {names}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wanted, String> {
        Wanted::read(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn all_parts_but_the_planted_defects_unless_some_are_named() {
        let names = |line| read(line).unwrap().parts.iter().map(|part| part.name).collect::<Vec<_>>();
        assert_eq!(names("").len(), PARTS.len() - 1);
        assert_eq!(names("--quick"), ["simulation", "kills", "quota", "disks", "terminals"]);
        assert_eq!(names("--bite"), ["bite"]);
        assert_eq!(names("--quick disks kills"), ["disks", "kills"]);
        assert_eq!(read("simulation --seeds 50").unwrap().seeds, Some(50));
    }

    #[test]
    fn what_is_not_understood_is_answered_with_what_is() {
        for line in ["--update", "--update kills", "kills instructions --update"] {
            assert!(read(line).unwrap_err().contains("prove instructions --update"), "{line}");
        }
        assert!(read("instructions --update").unwrap().update);
        assert!(read("--seeds many").unwrap_err().contains("number"));
        let message = read("kill").unwrap_err();
        assert!(message.contains("`kill`") && message.contains("kills"), "{message}");
    }
}
