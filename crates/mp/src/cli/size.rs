//! Parses memory sizes: `256MB`, `1GiB`.

const FORM: &str = "expected a whole number and MB, GB, MiB or GiB, such as 256MB or 1GB";

/// Parses a memory size into bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let bytes: u64 = match unit.to_ascii_lowercase().as_str() {
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(FORM.to_owned()),
    };
    if number.is_empty() {
        return Err(FORM.to_owned());
    }
    number.parse().ok().and_then(|number: u64| number.checked_mul(bytes)).ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_sizes_are_parsed_with_their_unit() {
        let table = [
            ("256MB", Ok(256_000_000)),
            ("256mb", Ok(256_000_000)),
            ("1GB", Ok(1_000_000_000)),
            ("1MiB", Ok(1_048_576)),
            ("2GiB", Ok(2_147_483_648)),
            ("", Err(FORM)),
            ("256", Err(FORM)),
            ("MB", Err(FORM)),
            ("-1MB", Err(FORM)),
            ("1.5GB", Err(FORM)),
            ("1 GB", Err(FORM)),
            ("256M", Err(FORM)),
            ("99999999999GB", Err("too large")),
            ("99999999999999999999MB", Err("too large")),
        ];
        for (text, expected) in table {
            assert_eq!(parse_size(text), expected.map_err(str::to_owned), "{text}");
        }
    }
}
