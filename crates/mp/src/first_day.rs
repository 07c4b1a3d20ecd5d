//! Rewrites a command line of `mp fetch events` so that it begins at another day.

use jiff::civil::Date;

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

#[cfg(test)]
mod tests {
    use super::*;

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
