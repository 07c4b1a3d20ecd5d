//! Fingerprints pages, to detect pages with the same records.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::rows::{ProfileRow, ProfileRows};

/// Returns an order-independent hash of a page's record ids and rejects. Pages with equal hashes hold the same records.
/// It contains the hash of withheld records, from which no value of theirs can be told.
pub(crate) fn fingerprint(rows: &ProfileRows) -> u64 {
    let hash = |is_reject: bool, text: &[u8]| {
        let mut hasher = DefaultHasher::new();
        (is_reject, text).hash(&mut hasher);
        hasher.finish()
    };
    let ids = rows.iter().map(ProfileRow::identity);
    let rejects = rows.rejects().iter().map(|reject| hash(true, reject.raw.as_ref()));
    ids.map(|id| hash(false, id.as_bytes())).chain(rejects).fold(rows.withheld(), u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use crate::parse::{RecordForm, parse_page};

    #[test]
    fn the_same_records_have_one_number_in_any_order() {
        let number = |records: &str| {
            let body = format!(r#"{{"results":[{records}]}}"#);
            let page = parse_page(body.as_bytes(), RecordForm::Row).unwrap();
            super::fingerprint(&page.rows)
        };
        let (a, b, c) = (r#"{"$distinct_id":"a"}"#, r#"{"$distinct_id":"b","$properties":{}}"#, "3");
        assert_eq!(number(&format!("{a},{b},{c}")), number(&format!("{c},{b},{a}")));
        for other in [format!("{a},{b}"), format!("{a},{a},{c}"), format!("{a},{b},4"), String::new()] {
            assert_ne!(number(&format!("{a},{b},{c}")), number(&other), "{other}");
        }
    }
}
