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

/// What becomes of the counts that the part `instructions` compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Baseline {
    /// They are compared with.
    Kept,
    /// They are replaced by what is counted now.
    WrittenAnew,
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
    /// What a page costs.
    Instructions,
    /// Planted defects.
    Bite,
}

/// Every part, in the order in which they are run.
const PARTS: [Part; 7] =
    [Part::Simulation, Part::Kills, Part::Quota, Part::Disks, Part::Terminals, Part::Instructions, Part::Bite];

impl Part {
    /// The name on the command line and in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Simulation => "simulation",
            Self::Kills => "kills",
            Self::Quota => "quota",
            Self::Disks => "disks",
            Self::Terminals => "terminals",
            Self::Instructions => "instructions",
            Self::Bite => "bite",
        }
    }

    /// Whether it is run when no part is named. The tests run `bite` anyway, and `instructions` has no short form.
    fn is_usual(self, length: Length) -> bool {
        match self {
            Self::Bite => false,
            Self::Instructions => length == Length::Long,
            _ => true,
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
    /// What becomes of the counts that are compared with.
    pub(crate) baseline: Baseline,
}

impl Wanted {
    /// The short form of these parts.
    #[cfg(test)]
    pub(crate) fn quick(parts: &[Part]) -> Self {
        Self { parts: parts.to_vec(), length: Length::Quick, seeds: None, baseline: Baseline::Kept }
    }

    /// Reads the arguments of `cargo xtask prove`.
    ///
    /// Without names of parts it is the usual ones.
    pub(crate) fn read(args: &[OsString]) -> Result<Self, String> {
        let mut wanted = Self { parts: Vec::new(), length: Length::Long, seeds: None, baseline: Baseline::Kept };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.to_string_lossy().as_ref() {
                "--quick" => wanted.length = Length::Quick,
                "--bite" => wanted.parts.push(Part::Bite),
                "--update" => wanted.baseline = Baseline::WrittenAnew,
                "--seeds" => {
                    let seeds = args.next().and_then(|seeds| seeds.to_str()?.parse().ok());
                    wanted.seeds = Some(seeds.ok_or("--seeds takes a number, such as 20000")?);
                }
                name => match PARTS.iter().find(|part| part.name() == name) {
                    Some(part) => wanted.parts.push(*part),
                    None => {
                        let names = PARTS.map(Part::name).join(", ");
                        return Err(format!(
                            "unexpected argument `{name}`; the task prove takes --quick, --seeds N, --bite, --update and parts: {names}"
                        ));
                    }
                },
            }
        }
        if wanted.baseline == Baseline::WrittenAnew && wanted.parts != [Part::Instructions] {
            return Err("--update goes with one part alone: cargo xtask prove instructions --update".to_owned());
        }
        if wanted.parts.is_empty() {
            wanted.parts = PARTS.into_iter().filter(|part| part.is_usual(wanted.length)).collect();
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
        let quick = read("--quick").unwrap().parts;
        assert!(!quick.contains(&Part::Bite) && !quick.contains(&Part::Instructions));
        assert_eq!(read("--bite").unwrap().parts, [Part::Bite]);
        assert_eq!(read("--quick disks kills"), Ok(Wanted::quick(&[Part::Disks, Part::Kills])));
    }

    #[test]
    fn counts_are_written_anew_only_where_that_is_all() {
        assert_eq!(read("instructions").unwrap().baseline, Baseline::Kept);
        assert_eq!(read("instructions --update").unwrap().baseline, Baseline::WrittenAnew);
        for line in ["--update", "--update kills", "kills instructions --update"] {
            assert!(read(line).unwrap_err().contains("prove instructions --update"), "{line}");
        }
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
