//! Formats numbers with their nouns.

/// Formats a number with its noun, in the plural if necessary: `1 page`, `2 pages`.
pub(crate) fn counted(number: impl Into<u128>, noun: &str) -> String {
    match number.into() {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_nothing_else_is() {
        let texts = [0_u64, 1, 2, 21].map(|number| counted(number, "page"));
        assert_eq!(texts, ["0 pages", "1 page", "2 pages", "21 pages"]);
    }
}
