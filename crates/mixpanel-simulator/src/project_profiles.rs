//! The profiles of the configured project.

use crate::config::{ProfileSource, SimulatorConfig};
use crate::profiles::Population;

/// Returns the users of the project.
pub(crate) fn population(config: &SimulatorConfig) -> Population {
    let reference = reference(config);
    let population = match &config.profiles {
        ProfileSource::Generated(count) => Population::people(config.seed, reference, *count),
        ProfileSource::Records(records) => Population::records(config.seed, reference, records.clone()),
    };
    population.with_odd(&config.odd_profiles).with_copies(&config.copies, config.copy_rate)
}

/// Returns the latest time in generated profiles, in seconds since the epoch. The limits keep every date that is
/// derived from it within 1970 to 9999, the years that have four digits.
pub(crate) fn reference(config: &SimulatorConfig) -> u64 {
    const YEAR_1980: u64 = 315_532_800;
    const YEAR_9999: u64 = 253_370_764_800;
    u64::try_from(config.reference_time.as_second()).unwrap_or(0).clamp(YEAR_1980, YEAR_9999 - 1)
}
