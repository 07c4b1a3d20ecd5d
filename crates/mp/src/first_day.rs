//! Rewrites a command line of `mp fetch events` so that it begins at another day.

use jiff::civil::Date;
use mixpanel_data::Day;

/// Returns the arguments with `first` as the first day: that of `--from` or `--since`. `--refresh` becomes `--since`,
/// because a refresh determines the first day by itself.
pub(crate) fn from_day(words: Vec<String>, first: Date) -> Vec<String> {
    let options = words.iter().take_while(|word| *word != "--").count();
    let is_refresh = words[..options].iter().any(|word| word == "--refresh");
    let mut rewritten = Vec::with_capacity(words.len() + 1);
    let mut words = words.into_iter().enumerate();
    while let Some((position, word)) = words.next() {
        let name = word.split('=').next().unwrap_or_default();
        match name {
            _ if position >= options => rewritten.push(word),
            "--refresh" => rewritten.extend(["--since".to_owned(), first.to_string()]),
            "--from" | "--since" => {
                if !is_refresh {
                    rewritten.extend([name.to_owned(), first.to_string()]);
                }
                if !word.contains('=') {
                    words.next();
                }
            }
            _ => rewritten.push(word),
        }
    }
    rewritten
}

/// Returns the day of `--to`, if it is given.
pub(crate) fn last_day(words: &[String]) -> Option<Day> {
    let options: Vec<&String> = words.iter().take_while(|word| *word != "--").collect();
    let position = options.iter().position(|word| *word == "--to" || word.starts_with("--to="))?;
    let value = match options[position].split_once('=') {
        Some((_, value)) => value,
        None => options.get(position + 1)?,
    };
    value.parse().ok()
}

/// Returns whether a last day is before `first`, which is this many days before today.
pub(crate) fn is_before(last: Option<Day>, first: Date, days: u32) -> bool {
    match last {
        Some(Day::Date(date)) => date < first,
        Some(Day::Ago(ago)) => ago > days,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_day_before_the_first_is_recognized() {
        for (given, expected) in [
            ("fetch events --from 10d --to 7d", true),
            ("fetch events --from 10d --to=6d -p", true),
            ("fetch events --from 10d --to 5d", false),
            ("fetch events --to yesterday --from 10d", false),
            ("fetch events --to=2026-11-20 --from 10d", true),
            ("fetch events --to 2026-11-21 --from 10d", false),
            ("fetch events --since 10d", false),
            ("fetch events --from 10d --to today -- --to=7d", false),
        ] {
            let words: Vec<String> = given.split(' ').map(str::to_owned).collect();
            assert_eq!(is_before(last_day(&words), jiff::civil::date(2026, 11, 21), 5), expected, "{given}");
        }
    }

    #[test]
    fn only_the_first_day_changes() {
        for (given, expected) in [
            ("fetch events --from 10d --to today", "fetch events --from 2026-11-21 --to today"),
            ("fetch events e --to=today --from=10d -p", "fetch events e --to=today --from 2026-11-21 -p"),
            ("--db x.db fetch events --since last -q", "--db x.db fetch events --since 2026-11-21 -q"),
            ("fetch events --refresh -q", "fetch events --since 2026-11-21 -q"),
            ("fetch events --from 90d --refresh -p", "fetch events --since 2026-11-21 -p"),
            ("fetch events --from 9d --to 1d -- --from", "fetch events --from 2026-11-21 --to 1d -- --from"),
        ] {
            let words = given.split(' ').map(str::to_owned).collect();
            assert_eq!(from_day(words, jiff::civil::date(2026, 11, 21)).join(" "), expected, "{given}");
        }
    }
}
