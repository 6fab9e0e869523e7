//! Token ids and log-probabilities in requests and replies of `OpenAI`'s format. They are extensions of the servers:
//!
//! | server | requests | replies |
//! |---|---|---|
//! | vLLM 0.32 | `return_token_ids`; for the ids of log-probabilities `return_tokens_as_token_ids` | `prompt_token_ids` beside the choices (streamed: with the first chunk), `token_ids` in a choice; the tokens of log-probabilities as `token_id:N` |
//! | `SGLang` 0.5.23 | `return_input_ids_in_sglext`, `return_output_ids_in_sglext`; it refuses `return_token_ids` on streamed chat | `sglext` beside the choices, streamed in a chunk of its own: `input_ids`, and `output_ids`, a list for each choice |
//!
//! All fields are sent: a server ignores what it does not know, or refuses it once.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::json::Json;
use crate::conversation::{AnswerTokens, TokenDetail, TopLogprobs};

/// What comes before an id where a server writes ids in place of tokens.
const TOKEN_ID: &str = "token_id:";

/// Fields that ask for ids; each server knows some of them.
const ID_FIELDS: [&str; 3] = ["return_token_ids", "return_input_ids_in_sglext", "return_output_ids_in_sglext"];
/// The field that asks for ids in place of the tokens of log-probabilities.
const AS_IDS: &str = "return_tokens_as_token_ids";

/// Every field that asks for tokens.
pub const DETAIL_FIELDS: [&str; 6] = [ID_FIELDS[0], ID_FIELDS[1], ID_FIELDS[2], AS_IDS, "logprobs", "top_logprobs"];

/// True for a field that is sent because tokens are asked for, and that a server may do without.
pub fn is_detail_field(name: &str) -> bool {
    name == AS_IDS || ID_FIELDS.contains(&name)
}

/// Adds the fields that ask for a detail, except those of the user and those that `is_refused`.
pub fn add_fields(detail: TokenDetail, fields: &mut Map<String, Value>, is_refused: impl Fn(&str) -> bool) {
    let mut asked: Vec<(&str, Value)> = ID_FIELDS.map(|name| (name, true.into())).into();
    if let Some(count) = detail.logprobs() {
        asked.push(("logprobs", true.into()));
        // Servers put what was sampled first, in the place of the least probable one where it is not among the others.
        asked.push(("top_logprobs", json!((count + 1).min(TopLogprobs::COUNT_MAX))));
        asked.push((AS_IDS, true.into()));
    }
    for (name, value) in asked {
        if !is_refused(name) && !fields.contains_key(name) {
            fields.insert(name.to_owned(), value);
        }
    }
}

/// The tokens of an answer while its reply is read.
#[derive(Debug, Default)]
pub struct PartialTokens {
    prompt: Option<Vec<u32>>,
    completion: Vec<u32>,
    has_completion: bool,
    /// Ids that cannot be read have arrived: the others would not be all of them.
    are_ids_broken: bool,
    places: Vec<Place>,
    /// A place without usable log-probabilities has arrived: the others would be at the wrong tokens.
    are_places_broken: bool,
}

/// The log-probabilities at one place.
#[derive(Debug)]
struct Place {
    sampled: u16,
    /// The most probable tokens, as they came.
    top: Vec<(u32, u16)>,
}

impl PartialTokens {
    /// Takes what a reply or a chunk says beside its choices; `index` is the choice that is read.
    pub fn take_reply(&mut self, value: &Json<'_>, index: usize) {
        let extension = value.get("sglext");
        let prompt = value.get("prompt_token_ids").or_else(|| extension?.get("input_ids"));
        if self.prompt.is_none() {
            self.prompt = prompt.and_then(ids_in);
        }
        let lists = extension.and_then(|extension| extension.get("output_ids"));
        if let Some(ids) = lists.and_then(|lists| ids_in(lists.items().get(index)?)).filter(|_| !self.has_completion) {
            self.completion = ids;
            self.has_completion = true;
        }
    }

    /// Takes what a choice says.
    pub fn take_choice(&mut self, choice: &Json<'_>) {
        if self.prompt.is_none() {
            self.prompt = choice.get("prompt_token_ids").and_then(ids_in);
        }
        let ids = choice.get("token_ids").filter(|ids| **ids != Json::Null);
        match ids.map(ids_in) {
            Some(Some(ids)) => {
                self.has_completion = true;
                // Some servers send all ids so far.
                if !self.completion.is_empty() && ids.starts_with(&self.completion) {
                    self.completion = ids;
                } else {
                    self.completion.extend(ids);
                }
            }
            Some(None) => self.are_ids_broken = true,
            None => {}
        }
        let content = choice.get("logprobs").and_then(|logprobs| logprobs.get("content"));
        for token in content.map(Json::items).unwrap_or_default() {
            match place_of(token) {
                Some(place) => self.places.push(place),
                None => self.are_places_broken = true,
            }
        }
    }

    /// Returns the tokens with the detail that was asked for, as far as the server gave it; `None` without ids of both the
    /// prompt and the answer, and where these are not as many as the server has counted.
    pub fn into_tokens(self, detail: TokenDetail, counted: Option<u64>) -> Option<AnswerTokens> {
        let completion = Some(self.completion).filter(|_| self.has_completion && !self.are_ids_broken)?;
        if counted.is_some_and(|counted| counted != completion.len() as u64) {
            return None;
        }
        let is_whole = !self.are_places_broken && self.places.len() == completion.len();
        let logprobs = detail.logprobs().filter(|_| is_whole).map(|count| top_logprobs(count, &self.places));
        Some(AnswerTokens { logprobs, ..AnswerTokens::whole(self.prompt?, completion) })
    }
}

fn ids_in(list: &Json<'_>) -> Option<Vec<u32>> {
    let Json::List(items) = list else { return None };
    items.iter().map(|id| u32::try_from(id.count()?).ok()).collect()
}

fn place_of(token: &Json<'_>) -> Option<Place> {
    let steps = |token: &Json<'_>| Some(TopLogprobs::steps_of(token.get("logprob")?.number()?));
    let top = token.get("top_logprobs").map(Json::items).unwrap_or_default();
    let top = top.iter().map(|token| Some((id_of(token)?, steps(token)?))).collect::<Option<Vec<_>>>()?;
    let ids: HashSet<u32> = top.iter().map(|(id, _)| *id).collect();
    if top.is_empty() || ids.len() != top.len() {
        return None;
    }
    Some(Place { sampled: steps(token)?, top })
}

/// Returns the id of a token of log-probabilities.
fn id_of(token: &Json<'_>) -> Option<u32> {
    match token.get("token_id") {
        Some(id) => u32::try_from(id.count()?).ok(),
        None => token.get("token")?.text()?.strip_prefix(TOKEN_ID)?.parse().ok(),
    }
}

/// Returns the `count` most probable tokens of each place, of one more.
fn top_logprobs(count: u8, places: &[Place]) -> TopLogprobs {
    let mut all = TopLogprobs { count, ..TopLogprobs::default() };
    for place in places {
        let mut top = place.top.clone();
        top.sort_by_key(|(_, steps)| *steps);
        top.resize(usize::from(count), (TopLogprobs::NO_TOKEN, u16::MAX));
        all.sampled.push(place.sampled);
        all.ids.extend(top.iter().map(|(id, _)| *id));
        all.steps.extend(top.iter().map(|(_, steps)| *steps));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(detail: TokenDetail, replies: &[Value]) -> Option<AnswerTokens> {
        read_counted(detail, replies, None)
    }

    fn read_counted(detail: TokenDetail, replies: &[Value], counted: Option<u64>) -> Option<AnswerTokens> {
        let mut tokens = PartialTokens::default();
        for reply in replies {
            let text = reply.to_string();
            let (value, _) = Json::read(text.as_bytes()).unwrap();
            tokens.take_reply(&value, 0);
            value
                .get("choices")
                .map(Json::items)
                .unwrap_or_default()
                .iter()
                .for_each(|choice| tokens.take_choice(choice));
        }
        tokens.into_tokens(detail, counted)
    }

    #[test]
    fn every_servers_ids_are_read_whole_and_streamed() {
        let whole = Some(AnswerTokens::whole(vec![1, 2], vec![7, 8]));
        let of = |replies: &[Value]| read(TokenDetail::Ids, replies);
        assert_eq!(of(&[json!({"prompt_token_ids": [1, 2], "choices": [{"token_ids": [7, 8]}]})]), whole);
        let chunks = [
            json!({"prompt_token_ids": [1, 2], "choices": [{"delta": {"role": "assistant"}}]}),
            json!({"choices": [{"token_ids": [7]}]}),
            json!({"choices": [{"token_ids": [8]}], "prompt_token_ids": null}),
            json!({"choices": []}),
        ];
        assert_eq!(of(&chunks), whole);
        let extension = json!({"input_ids": [1, 2], "output_ids": [[7, 8], [9]]});
        assert_eq!(of(&[json!({"choices": [{"index": 0}], "sglext": extension})]), whole);
        assert_eq!(of(&[json!({"choices": [{"index": 0}]}), json!({"choices": [], "sglext": extension})]), whole);
        assert_eq!(
            of(&[json!({"prompt_token_ids": [1, 2], "choices": [{"token_ids": []}]})]).unwrap().completion,
            [0u32; 0]
        );
    }

    #[test]
    fn ids_of_the_answer_or_the_prompt_alone_are_none() {
        for reply in [
            json!({"choices": [{"token_ids": [7]}]}),
            json!({"prompt_token_ids": [1], "choices": [{}]}),
            json!({"prompt_token_ids": [-1], "choices": [{"token_ids": [7]}]}),
            json!({"prompt_token_ids": [1], "choices": [{"token_ids": [5_000_000_000u64]}]}),
        ] {
            assert_eq!(read(TokenDetail::Ids, std::slice::from_ref(&reply)), None, "{reply}");
        }
    }

    /// Loss would be on the wrong tokens.
    #[test]
    fn ids_that_are_not_all_of_them_are_none() {
        let read = |counted: u64, chunks: &[Value]| {
            let chunk = |ids: &Value| json!({"prompt_token_ids": [1], "choices": [{"token_ids": ids}]});
            let replies: Vec<Value> = chunks.iter().map(chunk).collect();
            read_counted(TokenDetail::Ids, &replies, Some(counted)).map(|tokens| tokens.completion)
        };
        let all = Some(vec![7, 8, 9]);
        assert_eq!(read(3, &[json!([7]), json!([8, 9])]), all);
        assert_eq!(read(3, &[json!([7]), json!([7, 8]), json!([7, 8, 9])]), all, "each chunk has all ids so far");
        assert_eq!(read(3, &[json!([7, 8]), json!([7, 8, 9])]), all);
        assert_eq!(read(3, &[json!([7]), json!([9])]), None, "a chunk had none");
        assert_eq!(read(3, &[json!([7]), json!("8"), json!([9])]), None);
        assert_eq!(read(2, &[json!([7]), json!(null), json!([9])]), Some(vec![7, 9]));
        assert_eq!(read(3, &[json!([9])]), None);
    }

    fn with_logprobs(content: &Value) -> Option<TopLogprobs> {
        let reply =
            json!({"prompt_token_ids": [1], "choices": [{"token_ids": [7, 8], "logprobs": {"content": content}}]});
        read(TokenDetail::Logprobs(2), &[reply])?.logprobs
    }

    #[test]
    fn the_most_probable_tokens_of_each_place_are_kept() {
        let token = |id: u32, logprob: f64| json!({"token": format!("token_id:{id}"), "logprob": logprob});
        let content = json!([
            {"logprob": -2.0, "top_logprobs": [token(5, -0.5), token(6, -1.0), token(7, -2.0)]},
            {"logprob": -0.25, "top_logprobs": [{"token": "the", "token_id": 8, "logprob": -0.25}]},
        ]);
        let top = with_logprobs(&content).unwrap();
        assert_eq!((top.count, top.sampled.as_slice()), (2, &[2048, 256][..]));
        assert_eq!(top.ids, [5, 6, 8, TopLogprobs::NO_TOKEN]);
        assert_eq!(top.steps, [512, 1024, 256, u16::MAX]);
    }

    /// Words in place of ids, and fewer places than tokens, would put log-probabilities at the wrong tokens.
    #[test]
    fn logprobs_without_an_id_for_each_are_none() {
        let word = json!([{"logprob": -1.0, "top_logprobs": [{"token": "the", "logprob": -1.0}]}]);
        let token = |id: u32| json!({"token": format!("token_id:{id}"), "logprob": -1.0});
        let place = |top: Value| json!({"logprob": -1.0, "top_logprobs": top});
        let short = json!([place(json!([token(1)]))]);
        let odd = json!([{"logprob": "x", "top_logprobs": [token(1)]}, place(json!([token(1)]))]);
        let empty = json!([place(json!([])), place(json!([token(1)]))]);
        let twice = json!([place(json!([token(1), token(1)])), place(json!([token(1)]))]);
        for content in [word, short, odd, empty, twice, Value::Null] {
            assert_eq!(with_logprobs(&content), None, "{content}");
        }
    }

    #[test]
    fn fields_of_the_user_and_refused_ones_stay_away() {
        let mut fields = Map::from_iter([("top_logprobs".to_owned(), json!(7))]);
        add_fields(TokenDetail::Logprobs(3), &mut fields, |name| name == "return_token_ids");
        let mut whole = Map::new();
        add_fields(TokenDetail::Logprobs(20), &mut whole, |_| false);
        assert_eq!(whole["top_logprobs"], json!(20), "no server gives more");
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        let expected = [
            "top_logprobs",
            "return_input_ids_in_sglext",
            "return_output_ids_in_sglext",
            "logprobs",
            "return_tokens_as_token_ids",
        ];
        assert_eq!((names.as_slice(), &fields["top_logprobs"]), (&expected[..], &json!(7)));
        let mut ids = Map::new();
        add_fields(TokenDetail::Ids, &mut ids, |_| false);
        assert_eq!(ids.len(), 3);
    }
}
