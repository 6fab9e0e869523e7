use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::parser::DEPTH_MAX;
use super::python_value;

#[test]
fn what_python_writes_is_read() {
    let cases = [
        ("[{'role': 'user', 'content': 'hi'}]", json!([{"role": "user", "content": "hi"}])),
        (r#"["it's", 'say "so"', 'it\'s "so"']"#, json!(["it's", "say \"so\"", "it's \"so\""])),
        (r"'\n\t\\\x41\u4f60\U0001f642\101\0'", json!("\n\t\\A你🙂A\0")),
        (r"'\ud83d\ude42'", json!("🙂")),
        (
            r"'a\
b\q'",
            json!("ab\\q"),
        ),
        (r"r'\n\'' u'x' b'\xc3\xa9'", json!("\\n\\'xé")),
        ("'''a\n'b' ''c'''", json!("a\n'b' ''c")),
        ("\"\"\"\"x\"\"\"", json!("\"x")),
        ("('a'\n 'b', 1,)", json!(["ab", 1])),
        ("(1)", json!(1)),
        ("()", json!([])),
        ("{1, 2,}", json!([1, 2])),
        ("set()", json!([])),
        ("{}", json!({})),
        (
            "{'a': None, 1: True, None: False, 2.5: nan, 'b': -inf,}",
            json!({"a": null, "1": true, "null": false, "2.5": null, "b": null}),
        ),
        (
            "[-1, 18446744073709551615, 1.5e-3, .5, 1., -0.0]",
            json!([-1, 18_446_744_073_709_551_615_u64, 0.0015, 0.5, 1.0, -0.0]),
        ),
        ("  [ ]\n", json!([])),
        ("array([{'a': 1}, {'b': 'x'}], dtype=object)", json!([{"a": 1}, {"b": "x"}])),
        ("{'m': array(['a', 'b'], dtype='<U1')}", json!({"m": ["a", "b"]})),
        ("array([], shape=(0, 2), dtype=float64)", json!([])),
        ("[{'a': 1}\n {'b': array([1, 2])}]", json!([{"a": 1}, {"b": [1, 2]}])),
        ("['a' 'b'\n 'c']", json!(["a", "b", "c"])),
        ("['a' 'b', 'c']", json!(["ab", "c"])),
        ("[['a' 'b']\n ['c' 'd']]", json!([["a", "b"], ["c", "d"]])),
        ("[ 1. -2. nan]", json!([1.0, -2.0, null])),
        ("[np.int64(3), np.float64(0.5), np.str_('x'), np.True_]", json!([3, 0.5, "x", true])),
    ];
    for (text, expected) in cases {
        assert_eq!(python_value(text), Some(expected), "{text}");
    }
}

#[test]
fn what_is_no_literal_is_nothing() {
    let texts = [
        "",
        "hello",
        "hello world",
        "[1, 2",
        "[1 2, 3]",
        "[1,, 2]",
        "[,]",
        "{'a'}1",
        "{'a': 1, 2}",
        "{'a' 1}",
        "'a",
        "'a\nb'",
        "1 2",
        "0x10",
        "007",
        "1_000",
        "1e",
        "--1",
        "-",
        ".",
        "1.2.3",
        "[{'a': 1} ... {'b': 2}]",
        "datetime.date(2024, 1, 2)",
        "f'x'",
        "ub'x'",
        "b'é'",
        "b'\\xff'",
        r"'\ud83d'",
        r"'\ude42'",
        r"'\N{DASH}'",
        r"'\x4'",
        "{(1, 2): 3}",
        "[1](2)",
        "array",
        "array(1)",
        "array([1], 2)",
        "foo([1])",
        "[a]",
        "(1 2)",
        "# comment",
        "1 + 2",
        "[{'a': 1}{'b': 2}]",
        "\u{a0}1",
    ];
    for text in texts {
        assert_eq!(python_value(text), None, "{text}");
    }
}

#[test]
fn depth_and_length_have_limits() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(python_value(&nested(DEPTH_MAX)).is_some());
    assert!(python_value(&nested(DEPTH_MAX + 1)).is_none());
    assert!(python_value(&"[".repeat(1_000_000)).is_none());
    let long = format!("[{}]", "'a' ".repeat(1_000_000));
    assert_eq!(python_value(&long).and_then(|value| value.as_array().map(Vec::len)), Some(1_000_000));
}

/// Writes a value as `repr()` does.
fn repr(value: &Value, out: &mut String) {
    let list = |items: &[Value], out: &mut String| {
        for (number, item) in items.iter().enumerate() {
            out.push_str(if number > 0 { ", " } else { "" });
            repr(item, out);
        }
    };
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(is_true) => out.push_str(if *is_true { "True" } else { "False" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => repr_text(text, out),
        Value::Array(items) => {
            out.push('[');
            list(items, out);
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (number, (name, item)) in fields.iter().enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                repr_text(name, out);
                out.push_str(": ");
                repr(item, out);
            }
            out.push('}');
        }
    }
}

fn repr_text(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if letter == quote => out.extend(['\\', letter]),
            _ if (letter as u32) < 0x20 || letter as u32 == 0x7f => {
                write!(out, "\\x{:02x}", letter as u32).unwrap();
            }
            _ => out.push(letter),
        }
    }
    out.push(quote);
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e15..1e15_f64).prop_map(Value::from),
        "[ -~\\n\\t\\x00\u{1}'\"\\\\你🙂é]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[a-z'\"\\n]{0,4}", inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_is_read_as_it_was_written(value in values()) {
        let mut text = String::new();
        repr(&value, &mut text);
        prop_assert_eq!(python_value(&text), Some(value));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\](){}'\"\\\\,:. \\n\\tabnruxUN0-9e+\\-é]{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = python_value(&text);
        let _ = python_value(&String::from_utf8_lossy(&bytes));
    }
}
