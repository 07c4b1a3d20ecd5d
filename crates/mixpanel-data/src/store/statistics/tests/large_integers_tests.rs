//! JSON with integers beyond 64 bits.

use super::*;

#[test]
fn large_integers_are_not_rounded() {
    let Fixture { _directory, path } = fixture();
    let large: Vec<String> = (3..6).map(|last| format!("12345678901234567890123456789012{last}")).collect();
    let connection = Connection::open(&path).unwrap();
    for (number, value) in large.iter().enumerate() {
        let properties = format!(r#"{{"big": {value}, "in": [{value}]}}"#);
        let row = format!("('Large', '2026-03-04 00:00:00', 'a', 'large-{number}', '{properties}')");
        connection.execute_batch(&format!("INSERT INTO events VALUES {row}")).unwrap();
    }
    drop(connection);
    let texts = |property: &str| -> Vec<Value> {
        let found = property_distribution(&path, "events", "Large", property, &DayRange::default(), 10).unwrap();
        found.values.into_iter().map(|value| value.value).collect()
    };
    assert_eq!(texts("big"), large.iter().map(|value| json!(value)).collect::<Vec<_>>());
    assert_eq!(texts("in"), large.iter().map(|value| json!(format!("[{value}]"))).collect::<Vec<_>>());
    let top: Vec<Value> =
        column_stats(&path, "events", "properties", 20).unwrap().top_values.into_iter().map(|top| top.value).collect();
    for value in &large {
        assert!(top.contains(&json!(format!(r#"{{"big": {value}, "in": [{value}]}}"#))), "{value}: {top:?}");
    }
}
