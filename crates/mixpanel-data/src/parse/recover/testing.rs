//! About a hundred kinds of records that are not valid JSON.

/// Returns records that cannot become rows but have an unambiguous end.
pub(super) fn odd_records() -> Vec<Vec<u8>> {
    let values: &[&[u8]] = &[
        // Control characters that are not escaped.
        b"\"a\tb\"",
        b"\"a\nb\"",
        b"\"a\r\nb\"",
        b"\"a\0b\"",
        b"\"\x1b[31m\"",
        b"\"tab\t},{\\\"$distinct_id\\\":\\\"x\\\"},[\"",
        // Not UTF-8: Latin-1, a truncated sequence, an overlong quote, surrogates, code points above U+10FFFF.
        b"\"M\xfcnchen\"",
        b"\"\xc3\"",
        b"\"\xe2\x82\"",
        b"\"\xf0\x9f\x98\"",
        b"\"\xc0\xa2\"",
        b"\"\xed\xa0\xbd\xed\xb8\x80\"",
        b"\"\xf5\x80\x80\x80\"",
        b"\"\xff\xfe\"",
        b"\xff",
        b"\"back\\\\slash \xff\"",
        // Literals of other languages.
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"nan",
        b"undefined",
        b"None",
        b"True",
        b"nil",
        b"b'x'",
        b"new Date(0)",
        b"0x1F",
        b"+1",
        b"01",
        b".5",
        b"1.",
        b"1e",
        b"1_000",
        b"1,5",
        b"-",
        b"12abc",
        b"0o7",
        b"1n",
        b"'single'",
        b"'it\\'s'",
        b"'}'",
        b"'say \"hi\"'",
        b"\"x",
        b"x\"",
        b"`x`",
        // Commas.
        b"1,",
        b",1",
        b"1,,\"m\":2",
        b"1 \"m\":2",
        b"\"v\" \"m\":2",
        b"\"v\"\"m\":2",
        b"[1,]",
        b"[,1]",
        b"[1,,2]",
        b"[1 2]",
        b"{\"x\":1,}",
        b"{,}",
        b"{} {}",
        b"[{}{}]",
        b"",
        b"1;\"m\":2",
        // Comments.
        b"1 /* don't } */",
        b"/* \"{ */ 1",
        b"1 // it's }\n",
        b"1 # no\n",
        b"\"v\" /* } */, \"m\":\"}\"",
        // Keys.
        b"{x:1}",
        b"{'x':1}",
        b"{1:1}",
        b"{\"x\" 1}",
        b"{\"x\"=1}",
        b"{\"x\"=>1}",
        b"{\"x\":}",
        b"{:1}",
        b"{\"x\"}",
        b"{\"x\" {\"y\":1}}",
        // Unescaped quotes.
        b"\"say \"hi\" to }\"",
        b"\"5\" x 7\" frame\"",
        b"\"\"quoted\"\"",
        b"\"he said \"yes\", then {\"",
        b"\"a\" + \"b\"",
        // Escapes.
        br#""\x41""#,
        br#""\u12""#,
        br#""\u12G4""#,
        br#""\a""#,
        br#""\'""#,
        br#""\U0001F600""#,
        br#""C:\dir""#,
        br#""C:\temp\""#,
        br#""\""#,
        // Byte order marks between tokens.
        b"\xef\xbb\xbf1",
        b"1\xef\xbb\xbf",
        // Mismatched brackets, missing ones and extra ones.
        b"[1",
        b"1]",
        b"[1}",
        b"{\"x\":1]",
        b"[[1]",
        b"[1]]",
        b"{\"x\":1",
        b"{\"x\":[1,{\"y\":2}",
        b"1}",
    ];
    let mut records: Vec<Vec<u8>> = Vec::new();
    for value in values {
        for (before, after) in
            [(&b""[..], &b""[..]), (b"\"p\":\"1\",", b",\"q\":\"2\""), (b"\"l\":[{}],", b",\"l\":[{}]")]
        {
            let text = [b"{\"$distinct_id\":\"x\",\"$properties\":{", before, b"\"k\":", value, after, b"}}"].concat();
            records.push(text);
        }
    }
    let whole: &[&[u8]] = &[
        b"null",
        b"7",
        b"true",
        b"\"text\"",
        b"[]",
        b"[1,{\"$distinct_id\":\"x\"}]",
        b"NaN",
        b"undefined",
        b"None",
        b"'x'",
        b"-",
        b"\xff",
        b"{\"$distinct_id\":\"x\",\"$distinct_id\":\"y\",\"$properties\":{}}",
        b"{\"$distinct_id\":\"x\",\"$properties\":{},\"\\u0024properties\":{}}",
        b"{'$distinct_id': 'x', '$properties': {'k': None, 'l': \"it's\", 'm': '}'}}",
        b"{$distinct_id:\"x\",$properties:{k:\"v\"}}",
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":1},}",
        b"{\"$distinct_id\":\"x\"\"$properties\":{\"k\":1}}",
        b"{\"$distinct_id\":\"x\",,\"$properties\":{\"k\":1}}",
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":1}}}",
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":1}},\"more\":{\"a\":1}}",
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":1},\"more\":{\"a\":1}",
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":\"never closed",
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":",
        b"{\"$distinct_id\":\"x\"",
        b"{\"$distinct_id\":\"x",
        b"{\"$distinct_id\":",
        b"{",
        b"}",
        b"\"$distinct_id\":\"x\",\"$properties\":{\"k\":1}}",
        b"$distinct_id\":\"x\",\"$properties\":{\"k\":1}}",
        b"{\"error\":\"too long\tto show\"}",
        b"<b>Fatal error</b>: out of memory",
    ];
    records.extend(whole.iter().map(|text| text.to_vec()));
    records
        .push([b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":\"\t", &vec![b'9'; 1_000_000][..], b"\"}}"].concat());
    records.push([b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":0x", &vec![b'9'; 1_000_000][..], b"}}"].concat());
    let deep = ["[".repeat(100_000), "]".repeat(100_000), "{\"a\":".repeat(100_000), "}".repeat(100_000)];
    records.push(format!("{{\"$distinct_id\":\"x\",\"$properties\":{{\"k\":{}{}}}}}", deep[0], deep[1]).into_bytes());
    records
        .push(format!("{{\"$distinct_id\":\"x\",\"$properties\":{{\"k\":{}NaN{}}}}}", deep[2], deep[3]).into_bytes());
    records
}
