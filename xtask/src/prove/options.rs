//! The options of `cargo xtask prove`.

use std::ffi::OsString;

/// How many cases each part runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// All cases.
    Long,
    /// A few cases, for everyday use.
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

/// The program that contains a part's tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// The library's unit tests.
    Library,
    /// `crates/mp/tests/prove`.
    Mp,
    /// pytest.
    Python,
    /// The targets of `cargo fuzz`.
    Fuzz,
}

/// A part of the stress tests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The name on the command line.
    pub(super) name: &'static str,
    pub(super) program: Program,
    /// The library tests, the modules in `crates/mp/tests/prove`, the files or directories in `python/tests` (also `slow`,
    /// for all slow tests, and `command`, for tests of `mp` with the script of the package) or the fuzz targets,
    /// separated by `|`.
    pub(super) tests: &'static str,
    /// Whether the part runs by default: without `--quick`, and with it.
    usual: (bool, bool),
}

impl Part {
    /// Returns the names in `tests`.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.tests.split('|')
    }
}

const fn part(name: &'static str, program: Program, tests: &'static str, usual: (bool, bool)) -> Part {
    Part { name, program, tests, usual }
}

/// The tests that read seeds from the environment.
const SEEDS_TESTS: &str = "fetch::simulation::seeds_tests::seeds_hold|\
     fetch::simulation::seeds_tests::seeds_hold_with_duckdb|\
     fetch::simulation::slices::seeds_tests::seeds_hold";

/// The tests that enable each mutant and print the seed that finds it.
const MUTANTS_TESTS: &str = "fetch::simulation::mutants_tests::every_mutant_is_found|\
     fetch::simulation::slices::mutants_tests::every_mutant_of_slices_is_found";

/// All parts. `cargo xtask test` already runs `mutants`; `instructions`, `python` and `fuzz` have no
/// quick form.
pub(super) static PARTS: [Part; 9] = [
    part("simulation", Program::Library, SEEDS_TESTS, (true, true)),
    part("kills", Program::Mp, "kills|torn", (true, true)),
    part("quota", Program::Mp, "quota", (true, true)),
    part("disks", Program::Mp, "disks|injections", (true, true)),
    part("terminals", Program::Mp, "terminals", (true, true)),
    part("instructions", Program::Mp, "instructions", (true, false)),
    part("python", Program::Python, "slow|sources|test_two_engines.py|command", (true, false)),
    part("fuzz", Program::Fuzz, "json", (true, false)),
    part("mutants", Program::Library, MUTANTS_TESTS, (false, false)),
];

/// The number of seeds of fetches of profiles with a simulated load, in the long and the quick form.
const SEEDS: (u64, u64) = (5_000, 300);

/// The number of seeds with a load by DuckDB, in the long and the quick form.
const DUCKDB_SEEDS: (u64, u64) = (300, 20);

/// The number of seeds of fetches of events, in the long and the quick form.
const SLICES_SEEDS: (u64, u64) = (5_000, 150);

/// How many seeds each test of the simulation runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seeds {
    /// Fetches of profiles with a simulated load.
    pub(super) model: u64,
    /// Fetches of profiles with a load by DuckDB.
    pub(super) duckdb: u64,
    /// Fetches of events.
    pub(super) slices: u64,
}

/// The selected options.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The parts to run, in order.
    pub(super) parts: Vec<&'static Part>,
    /// How many cases each part runs.
    pub(super) length: Length,
    /// The number of seeds to simulate, instead of the default.
    seeds: Option<u64>,
    /// Whether to replace the baseline instruction counts with the measured ones.
    pub(super) update: bool,
}

impl Wanted {
    /// Returns the number of seeds of each test.
    pub(super) fn seeds(&self) -> Seeds {
        let model = self.seeds.unwrap_or(self.length.pick(SEEDS.0, SEEDS.1));
        let at_most = |(long, quick): (u64, u64)| self.length.pick(long, quick).min(model);
        Seeds { model, duckdb: at_most(DUCKDB_SEEDS), slices: self.seeds.unwrap_or_else(|| at_most(SLICES_SEEDS)) }
    }

    /// Parses the arguments of `cargo xtask prove`. Without named parts, the default ones run.
    ///
    /// # Errors
    ///
    /// Returns a message for the user.
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
                "--mutants" => wanted.parts.push(find("mutants")?),
                name => wanted.parts.push(find(name)?),
            }
        }
        if wanted.update && wanted.parts.iter().map(|part| part.name).ne(["instructions"]) {
            return Err(
                "--update works only with the part instructions: cargo xtask prove instructions --update".to_owned()
            );
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
            "unexpected argument `{name}`; the prove task takes --quick, --seeds N, --mutants, --update and parts: {names}"
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
    fn all_parts_except_mutants_run_by_default() {
        let names = |line| read(line).unwrap().parts.iter().map(|part| part.name).collect::<Vec<_>>();
        assert_eq!(names("").len(), PARTS.len() - 1);
        assert_eq!(names("--quick"), ["simulation", "kills", "quota", "disks", "terminals"]);
        assert_eq!(names("--mutants"), ["mutants"]);
        assert_eq!(names("--quick disks kills"), ["disks", "kills"]);
        let seeds = |line| read(line).unwrap().seeds();
        assert_eq!(seeds("simulation"), Seeds { model: 5_000, duckdb: 300, slices: 5_000 });
        assert_eq!(seeds("simulation --quick"), Seeds { model: 300, duckdb: 20, slices: 150 });
        assert_eq!(seeds("simulation --seeds 50"), Seeds { model: 50, duckdb: 50, slices: 50 });
    }

    #[test]
    fn invalid_options_list_the_valid_ones() {
        for line in ["--update", "--update kills", "kills instructions --update"] {
            assert!(read(line).unwrap_err().contains("prove instructions --update"), "{line}");
        }
        assert!(read("instructions --update").unwrap().update);
        assert!(read("--seeds many").unwrap_err().contains("number"));
        let message = read("kill").unwrap_err();
        assert!(message.contains("`kill`") && message.contains("kills"), "{message}");
    }
}
