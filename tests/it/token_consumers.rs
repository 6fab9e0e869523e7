//! What reads rows of token ids in the end reads them: `datasets`, TRL, and the trainers of draft models. What is not there is
//! skipped, as in `consumers`.

use cohobate::conversation::TokenDetail;
use serde_json::Value;

use crate::consumers::{printed, script};
use crate::support::Place;
use crate::token_rows::{distilled, sources};

/// Writes conversations whose ids are prefix-stable, and others, in these formats: `stable.FORMAT` and `unstable.FORMAT`.
fn write_token_rows(place: &Place, formats: &[&str], detail: TokenDetail, ending: &str) -> [Vec<String>; 2] {
    let (unstable, stable): (Vec<Value>, Vec<Value>) = sources().into_iter().partition(|row| row["id"] == "reasons");
    [("stable", stable), ("unstable", unstable)].map(|(name, rows)| {
        let write = |format: &&str| {
            let path = format!("{name}.{format}{ending}");
            // The conversation without all ids is not in it.
            let rows: Vec<Value> = rows.iter().filter(|row| row["id"] != "mute").cloned().collect();
            distilled(place, &rows, Some(detail), format, &path).unwrap();
            path
        };
        formats.iter().map(write).collect()
    })
}

#[cfg(feature = "parquet")]
#[test]
fn datasets_loads_token_ids_with_their_types() {
    let place = Place::new();
    let Some(mut script) = script("load.py", "datasets", &place) else { return };
    let [stable, unstable] = write_token_rows(&place, &["token-ids"], TokenDetail::Logprobs(3), "/");
    let lines = write_token_rows(&place, &["token-ids"], TokenDetail::Logprobs(3), ".jsonl").concat();
    script.args([stable.concat(), unstable.concat()]).args(&lines);
    let loaded = printed(&mut script);
    let rows: Vec<u64> = loaded.iter().map(|set| set["rows"].as_u64().unwrap()).collect();
    assert_eq!(rows, [2, 3, 2, 3]);
    for (shards, lines) in loaded[..2].iter().zip(&loaded[2..]) {
        for column in shards["columns"].as_array().unwrap().iter().filter_map(Value::as_str) {
            let (one, other) = (&shards["first"][column], &lines["first"][column]);
            assert!(column == "meta" || one == other, "{column}: {one} {other}");
        }
    }
}

#[test]
fn trl_learns_the_same_tokens_from_ids_as_from_messages() {
    let place = Place::new();
    let Some(mut script) = script("token_ids_read.py", "trl", &place) else { return };
    let ending = if cfg!(feature = "parquet") { "/" } else { ".jsonl" };
    let [stable, unstable] = write_token_rows(&place, &["token-ids"], TokenDetail::Logprobs(3), ending);
    let messages = write_token_rows(&place, &["openai", "trl-prompt-completion"], TokenDetail::Ids, ".jsonl");
    // Without reasoning the ids are those of the messages; with it, those of each prompt and its completion.
    script.args([&messages[0][0], &stable[0], &messages[1][1], &unstable[0]]);
    let found = printed(&mut script);
    println!("{found:#?}");
    assert_eq!(found.len(), 2);
    for pair in found {
        assert_eq!(pair["is_equal"], true, "{pair:#}");
        assert_eq!(
            (&pair["messages"]["learned"], &pair["messages"]["loss"]),
            (&pair["ids"]["learned"], &pair["ids"]["loss"])
        );
    }
}

#[test]
fn trainers_of_draft_models_keep_every_row_and_every_mask() {
    for (format, name, imports) in
        [("speculators", "speculators_reads.py", "speculators"), ("specforge", "specforge_reads.py", "specforge")]
    {
        let place = Place::new();
        let Some(mut script) = script(name, imports, &place) else { continue };
        let paths = write_token_rows(&place, &[format], TokenDetail::Ids, ".jsonl").concat();
        let found = printed(script.args(&paths));
        let learned: Vec<u64> = found.iter().map(|file| file["learned"].as_u64().unwrap()).collect();
        assert!(found.iter().all(|file| file["is_equal"] == true), "{found:#?}");
        let counted = |path: &String| -> u64 {
            let rows = place.rows(path);
            rows.iter().flat_map(|row| row["loss_mask"].as_array().unwrap()).map(|one| one.as_u64().unwrap()).sum()
        };
        assert_eq!(learned, paths.iter().map(counted).collect::<Vec<_>>());
    }
}
