//! What of the proof is wanted.

use std::ffi::OsString;

/// How long a part takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// All cases.
    Long,
    /// A few of each, for every day.
    Quick,
}

impl Length {
    /// Chooses between two numbers.
    pub(super) fn pick<T>(self, long: T, quick: T) -> T {
        match self {
            Self::Long => long,
            Self::Quick => quick,
        }
    }
}

/// One part of the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The library's simulation.
    Simulation,
    /// The program, killed.
    Kills,
    /// The hourly limit.
    Quota,
    /// Full and broken disks.
    Disks,
    /// Signals.
    Terminals,
    /// Planted defects.
    Bite,
}

/// Every part, in the order in which they are run.
const PARTS: [Part; 6] = [Part::Simulation, Part::Kills, Part::Quota, Part::Disks, Part::Terminals, Part::Bite];

impl Part {
    /// The name on the command line and in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Simulation => "simulation",
            Self::Kills => "kills",
            Self::Quota => "quota",
            Self::Disks => "disks",
            Self::Terminals => "terminals",
            Self::Bite => "bite",
        }
    }
}

/// What of the proof is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The parts, in order.
    pub(crate) parts: Vec<Part>,
    /// How long each takes.
    pub(crate) length: Length,
    /// How many seeds are simulated, unless the usual number.
    pub(crate) seeds: Option<u64>,
}

impl Wanted {
    /// The short form of these parts.
    #[cfg(test)]
    pub(crate) fn quick(parts: &[Part]) -> Self {
        Self { parts: parts.to_vec(), length: Length::Quick, seeds: None }
    }

    /// Reads the arguments of `cargo xtask prove`.
    ///
    /// Without names of parts it is all of them but `bite`, which builds the library once for each defect.
    pub(crate) fn read(args: &[OsString]) -> Result<Self, String> {
        let mut wanted = Self { parts: Vec::new(), length: Length::Long, seeds: None };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.to_string_lossy().as_ref() {
                "--quick" => wanted.length = Length::Quick,
                "--bite" => wanted.parts.push(Part::Bite),
                "--seeds" => {
                    let seeds = args.next().and_then(|seeds| seeds.to_str()?.parse().ok());
                    wanted.seeds = Some(seeds.ok_or("--seeds takes a number, such as 20000")?);
                }
                name => match PARTS.iter().find(|part| part.name() == name) {
                    Some(part) => wanted.parts.push(*part),
                    None => {
                        let names = PARTS.map(Part::name).join(", ");
                        return Err(format!(
                            "unexpected argument `{name}`; the task prove takes --quick, --seeds N, --bite and parts: {names}"
                        ));
                    }
                },
            }
        }
        if wanted.parts.is_empty() {
            wanted.parts = PARTS.into_iter().filter(|part| *part != Part::Bite).collect();
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wanted, String> {
        Wanted::read(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn all_parts_but_the_planted_defects_unless_some_are_named() {
        assert_eq!(read("").unwrap().parts.len(), PARTS.len() - 1);
        assert!(!read("--quick").unwrap().parts.contains(&Part::Bite));
        assert_eq!(read("--bite").unwrap().parts, [Part::Bite]);
        assert_eq!(read("--quick disks kills"), Ok(Wanted::quick(&[Part::Disks, Part::Kills])));
    }

    #[test]
    fn what_is_not_understood_is_answered_with_what_is() {
        assert!(read("--seeds").unwrap_err().contains("number"));
        assert!(read("--seeds many").unwrap_err().contains("number"));
        assert_eq!(read("simulation --seeds 50").unwrap().seeds, Some(50));
        let message = read("kill").unwrap_err();
        assert!(message.contains("`kill`") && message.contains("kills"), "{message}");
    }
}
