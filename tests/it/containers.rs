//! Files as they really are: padded, divided, cut off, in other encodings, with broken rows. What cannot be read is named
//! with its place in the file.

use std::io::Write as _;

use serde_json::Value;

use crate::support::{Finished, Place, conversation, jsonl};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn lines(ids: &[&str]) -> String {
    jsonl(&ids.iter().map(|id| conversation(id, 1)).collect::<Vec<_>>())
}

fn convert(place: &Place, name: &str, arguments: &[&str]) -> Finished {
    place.run(&[&["convert", name, "-o", "out.jsonl", "--keep-unanswered"], arguments].concat())
}

/// Returns the ids of a file's rows, all of which must be readable.
fn ids(place: &Place, name: &str, arguments: &[&str]) -> String {
    let finished = convert(place, name, arguments);
    assert_eq!(finished.code, Some(0), "{name}: {}", finished.stderr);
    let rows = place.rows("out.jsonl");
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

/// Returns the lines and reasons of the rows that are not read.
fn left_out(place: &Place, name: &str, arguments: &[&str]) -> Vec<(u64, String)> {
    let finished = convert(place, name, arguments);
    assert_eq!(finished.code, Some(3), "{name}: {}", finished.stderr);
    let listed = place.rows("out.jsonl.incomplete.jsonl");
    let converted: Vec<_> =
        listed.iter().map(|row| (row["line"].as_u64().unwrap(), row["reason"].as_str().unwrap().to_owned())).collect();
    // The first pass of a run finds the same places, and so does its second reading.
    let distilled = place.run(&[&["distill", name, "--teacher", "simulated", "-o", "run.jsonl"], arguments].concat());
    assert_eq!(distilled.code, Some(3), "{name}: {}", distilled.stderr);
    for (line, reason) in &converted {
        assert!(distilled.stderr.contains(&format!("{name}:{line}: {reason}")), "{line}: {}", distilled.stderr);
    }
    let listed = place.rows("run.jsonl.incomplete.jsonl");
    let places: Vec<_> = listed.iter().map(|row| (row["line"].clone(), row["reason"].clone())).collect();
    assert_eq!(
        places,
        converted.iter().map(|(line, reason)| (Value::from(*line), reason.clone().into())).collect::<Vec<_>>()
    );
    converted
}

fn refused(place: &Place, name: &str, arguments: &[&str]) -> String {
    let finished = convert(place, name, arguments);
    assert_eq!(finished.code, Some(2), "{name}: {}", finished.stderr);
    finished.stderr
}

#[test]
fn gzip_members_and_padding_are_read_and_other_bytes_refused() {
    let place = Place::new();
    let (one, two) = (gzip(&lines(&["a"])), gzip(&lines(&["b"])));
    let zeros = vec![0; 700_000];
    place.write("padded.gz", [&one[..], &zeros].concat());
    place.write("mixed.gz", [&one[..], &[0], &two, &zeros, &one, &[0; 3]].concat());
    assert_eq!(ids(&place, "padded.gz", &[]), "a");
    assert_eq!(ids(&place, "mixed.gz", &[]), "a b a");
    let end = one.len();
    for (name, tail) in
        [("text.gz", &b"{}"[..]), ("padded-text.gz", b"\0\0{}"), ("half-magic.gz", b"\x1f{}and more bytes")]
    {
        place.write(name, [&one[..], tail].concat());
        let said = refused(&place, name, &[]);
        let at = end + tail.iter().take_while(|byte| **byte == 0).count();
        assert!(said.contains(&format!("ends at byte {at}, and something else follows it")), "{said}");
    }
    place.write("cut.gz", &two[..two.len() / 2]);
    place.write("cut-later.gz", [&one[..], &two[..two.len() - 3]].concat());
    for name in ["cut.gz", "cut-later.gz"] {
        let said = refused(&place, name, &[]);
        assert!(said.contains("the gzip file is truncated") && said.contains("download"), "{said}");
    }
    let mut damaged = [&one[..], &two].concat();
    damaged[end + 20] ^= 0x55;
    place.write("damaged.gz", damaged);
    assert!(refused(&place, "damaged.gz", &[]).contains(&format!("member that begins at byte {end} is damaged")));
}

#[test]
fn zstd_frames_may_be_skippable() {
    let place = Place::new();
    let frame = |id: &str| zstd::encode_all(lines(&[id]).as_bytes(), 1).unwrap();
    let skipped = |kind: u8, length: u32| {
        let content = vec![b'{'; length as usize];
        [&[kind, 0x2a, 0x4d, 0x18][..], &length.to_le_bytes(), &content].concat()
    };
    place.write("first.zst", [skipped(0x50, 5), frame("a")].concat());
    place.write(
        "many.zst",
        [skipped(0x5f, 0), frame("a"), skipped(0x51, 300_000), frame("b"), skipped(0x5a, 9)].concat(),
    );
    assert_eq!(ids(&place, "first.zst", &[]), "a");
    assert_eq!(ids(&place, "many.zst", &[]), "a b");
    let whole = frame("a");
    place.write("cut.zst", &whole[..whole.len() - 4]);
    assert!(refused(&place, "cut.zst", &[]).contains("the zstd file is truncated"));
    place.write("tail.zst", [&whole[..], b"tail"].concat());
    assert!(refused(&place, "tail.zst", &[]).contains("the zstd file is damaged, or something else follows"));
}

/// `{"id": "a", "messages": [{"role": "user", "content": "hi"}]}` and a line feed, as `xz` packs it.
const XZ: &str = "fd377a585a000004e6d6b4460200210116000000742fe5a3e0003c00395d003d8889268193537f5a53aa2ab8fdf63129\
    6a479fd3a818534a11e7d014bfa98283cd7e2b91f7058160e4503bc37bd28a05ee5a00c947f00000000000006d0042e6\
    95b668290001553d2b5022bf1fb6f37d010000000004595a";

#[test]
fn xz_streams_and_padding_are_read() {
    let place = Place::new();
    let xz: Vec<u8> = (0..XZ.len()).step_by(2).map(|at| u8::from_str_radix(&XZ[at..at + 2], 16).unwrap()).collect();
    std::fs::create_dir(place.path("set")).unwrap();
    place.write("set/a.jsonl.xz", &xz);
    assert_eq!(ids(&place, "set", &[]), "a");
    place.write("two.xz", [&xz[..], &[0; 8], &xz].concat());
    assert_eq!(ids(&place, "two.xz", &[]), "a a");
    place.write("cut.xz", &xz[..xz.len() / 2]);
    assert!(refused(&place, "cut.xz", &[]).contains("the xz file is truncated"));
    place.write("tail.xz", [&xz[..], b"tail"].concat());
    assert!(refused(&place, "tail.xz", &[]).contains("the xz file is damaged, or something else follows"));
}

#[test]
fn a_compressed_table_is_known_by_its_name() {
    let place = Place::new();
    let table = "id,prompt\na,hello\n";
    place.write("t.csv.gz", gzip(table));
    place.write("t.csv.zst", zstd::encode_all(table.as_bytes(), 1).unwrap());
    place.write("twice.csv.zst.gz", {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&zstd::encode_all(table.as_bytes(), 1).unwrap()).unwrap();
        encoder.finish().unwrap()
    });
    for name in ["t.csv.gz", "t.csv.zst", "twice.csv.zst.gz"] {
        assert_eq!(ids(&place, name, &[]), "a", "{name}");
    }
}

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

#[test]
fn utf16_with_a_mark_is_read() {
    let place = Place::new();
    let marked = format!("\u{feff}{}", lines(&["é 🙂", "b"]));
    place.write("le.jsonl", utf16(&marked, u16::to_le_bytes));
    place.write("be.jsonl", utf16(&marked, u16::to_be_bytes));
    let array = format!("\u{feff}[{},\n{}]", conversation("é 🙂", 1), conversation("b", 1));
    place.write("array.json", utf16(&array, u16::to_le_bytes));
    place.write("table.csv", utf16("\u{feff}id,prompt\r\né 🙂,\"x\r\ny\"\r\nb,z\r\n", u16::to_le_bytes));
    place.write("packed.jsonl.gz", {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&utf16(&marked, u16::to_le_bytes)).unwrap();
        encoder.finish().unwrap()
    });
    for name in ["le.jsonl", "be.jsonl", "array.json", "table.csv", "packed.jsonl.gz"] {
        assert_eq!(ids(&place, name, &[]), "é 🙂 b", "{name}");
    }
    place.write("bare.jsonl", utf16(&lines(&["a"]), u16::to_le_bytes));
    assert!(refused(&place, "bare.jsonl", &[]).contains("read it with --encoding utf-16le"));
    assert_eq!(ids(&place, "bare.jsonl", &["--encoding", "utf-16le"]), "a");
    let broken = format!("\u{feff}{}{{}}\n{}", lines(&["a"]), lines(&["b"]));
    place.write("broken.jsonl", utf16(&broken, u16::to_be_bytes));
    assert_eq!(left_out(&place, "broken.jsonl", &[])[0].0, 2);
    place.write("odd.jsonl", [&utf16(&marked, u16::to_le_bytes)[..], b"x"].concat());
    let said = refused(&place, "odd.jsonl", &[]);
    assert!(said.contains("line 3: the bytes at offset") && said.contains("are not UTF-16LE"), "{said}");
}

#[test]
fn an_encoding_is_chosen_by_name() {
    let place = Place::new();
    let row = |id: &str| format!("{{\"id\": \"{id}\", \"prompt\": \"Explain.\"}}\n");
    let latin = row("caf\u{e9}").chars().map(|letter| letter as u8).collect::<Vec<_>>();
    place.write("latin.jsonl", [row("a").as_bytes(), &latin, row("b").as_bytes()].concat());
    let offset = row("a").len() + "{\"id\": \"caf".len();
    let found = left_out(&place, "latin.jsonl", &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    let (line, reason) = &found[0];
    assert_eq!(*line, 2);
    assert!(
        reason.contains(&format!("byte 0xe9 at offset {offset}")) && reason.contains("--encoding windows-1252"),
        "{reason}"
    );
    assert_eq!(place.rows("out.jsonl").len(), 2, "the other rows are read");
    assert_eq!(ids(&place, "latin.jsonl", &["--encoding", "latin1"]), "a café b");
    // 你好 in GB18030.
    let chinese = [b"id,prompt\n".as_slice(), b"\xc4\xe3\xba\xc3,x\n"].concat();
    place.write("chinese.csv", &chinese);
    assert_eq!(ids(&place, "chinese.csv", &["--encoding", "gb18030"]), "你好");
    place.write("cohobate.toml", "encoding = \"gbk\"\n");
    assert_eq!(ids(&place, "chinese.csv", &[]), "你好");
    let said = refused(&place, "chinese.csv", &["--encoding", "shift_jis2"]);
    assert!(said.contains("no encoding is called `shift_jis2`"), "{said}");
    place.write("bad.csv", [&chinese[..], b"b,\xff\n"].concat());
    let said = refused(&place, "bad.csv", &["--encoding", "gb18030"]);
    let offset = chinese.len() + 2;
    assert!(said.contains(&format!("line 3: the bytes at offset {offset} are not gb18030")), "{said}");
    // A mark says more than the name.
    place.write("marked.jsonl", utf16(&format!("\u{feff}{}", lines(&["a"])), u16::to_le_bytes));
    assert_eq!(ids(&place, "marked.jsonl", &["--encoding", "latin1"]), "a");
}

#[test]
fn rows_of_a_table_keep_their_lines_and_their_faults() {
    let place = Place::new();
    let table = "\u{feff}id,prompt\r\na,\"two\r\nlines\"\r\n\r\nb\r\nc,x,y\r\nd,\"say \"\"so\"\"\"\r\ne,caf\u{e9}\r\n   \r\nf,ok\r\n";
    let mut bytes = table.as_bytes().to_vec();
    // é in windows-1252.
    let at = table.find('é').unwrap();
    bytes.splice(at..at + 2, [0xe9]);
    place.write("t.csv", &bytes);
    place.write("t.csv.gz", {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bytes).unwrap();
        encoder.finish().unwrap()
    });
    for name in ["t.csv", "t.csv.gz"] {
        let found = left_out(&place, name, &[]);
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [5, 6, 8], "{found:?}");
        assert!(found[0].1.contains("the row has 1 cell, and the first line names 2 columns"), "{found:?}");
        assert!(found[1].1.contains("the row has 3 cells"), "{found:?}");
        assert!(found[2].1.contains(&format!("the cell `prompt` is not UTF-8: byte 0xe9 at offset {at}")), "{found:?}");
        let rows = place.rows("out.jsonl");
        assert_eq!(rows.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "d", "f"]);
        assert_eq!(rows[0]["messages"][0]["content"], "two\r\nlines");
    }
    // A row that is no conversation has the line of the file too.
    place.write("late.tsv", "id\tprompt\na\t\"x\ny\nz\"\nb\t\"\"\nc\tok\n");
    let finished = place.run(&["distill", "late.tsv", "--teacher", "simulated", "-o", "run.jsonl"]);
    let listed = place.rows("run.jsonl.incomplete.jsonl");
    assert_eq!(listed[0]["line"], 5, "{}", finished.stderr);
}

#[test]
fn a_quote_that_is_not_closed_is_named() {
    let place = Place::new();
    place.write("open.csv", "id,prompt\na,x\nb,\"never\nc,y\nd,z\n");
    let found = left_out(&place, "open.csv", &[]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].0 == 3 && found[0].1.contains("a quote opens on line 3 and is not closed; lines 3 to 5 are not read"),
        "{found:?}"
    );
    assert_eq!(place.rows("out.jsonl").len(), 1);
    place.write("late.csv", "id,prompt\na,\"never\nb,y\nc,\"closed by chance\"\nd,z\n");
    let found = left_out(&place, "late.csv", &[]);
    assert!(found[0].0 == 2 && found[0].1.contains("begins on line 2 and ends on line 4"), "{found:?}");
    place.write("header.csv", "id,\"prompt\na,b\n");
    assert!(refused(&place, "header.csv", &[]).contains("a quote opens on line 1 and is not closed"));
    place.write("twice.csv", "prompt,id,prompt\na,b,c\n");
    assert!(refused(&place, "twice.csv", &[]).contains("line 1: two columns are called `prompt`"));
}

#[test]
fn messages_of_flat_files_keep_their_lines() {
    let place = Place::new();
    let message = |id: &str, parent: &str, role: &str| {
        format!("{{\"message_id\": \"{id}\", \"parent_id\": {parent}, \"text\": \"words\", \"role\": \"{role}\"}}\n")
    };
    let text = [
        message("a", "null", "prompter"),
        message("a2", "\"a\"", "assistant"),
        "{broken\n".to_owned(),
        message("b", "null", "prompter"),
        "\n".to_owned(),
        message("lost", "\"gone\"", "assistant"),
        message("c", "null", "unknown role"),
    ];
    place.write("flat.jsonl", text.concat());
    let found = left_out(&place, "flat.jsonl", &[]);
    assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 6, 7], "{found:?}");
}

#[test]
fn rows_of_an_array_have_the_lines_of_the_file() {
    let place = Place::new();
    let array = "[\n\n  {\"id\": \"a\", \"prompt\": \"x\"},\n  {\"no\": 1},\n  {\"id\": \"b\",\n   \"prompt\": \"caf\u{e9}\"}\n]\n";
    let mut bytes = array.as_bytes().to_vec();
    let at = array.find('é').unwrap();
    bytes.splice(at..at + 2, [0xe9]);
    for (name, bytes) in [("array.json", bytes.clone()), ("array.json.zst", zstd::encode_all(&bytes[..], 1).unwrap())] {
        place.write(name, bytes);
        let found = left_out(&place, name, &[]);
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 5], "{found:?}");
        assert!(found[1].1.contains(&format!("byte 0xe9 at offset {at}")), "{found:?}");
    }
}
