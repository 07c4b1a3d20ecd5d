//! The accepted number of missing profiles.

/// Returns how many of `total` profiles may be missing: `percent` of them, and at least 1 unless `percent` is 0.
pub(crate) fn allowed_drift(total: u64, percent: f64) -> u64 {
    if percent <= 0.0 {
        return 0;
    }
    // A share of at most 100 % fits, and a project has far fewer than the 2^53 profiles that a float counts exactly.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to total")]
    let share = (total as f64 * percent / 100.0).floor() as u64;
    share.clamp(1, total.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_drift_is_a_percentage_but_at_least_one_profile() {
        for (total, percent, expected) in [
            (0, 0.1, 1),
            (1, 0.1, 1),
            (999, 0.1, 1),
            (25_000, 0.1, 25),
            (4_500, 80.0, 3_600),
            (4_500, 100.0, 4_500),
            (4_500, 0.0, 0),
        ] {
            assert_eq!(allowed_drift(total, percent), expected, "{total} {percent}");
        }
    }
}
