//! The mock server and the built-in model are one, and the official client accepts it.

use crate::support::{MockServer, Place, conversation, jsonl, run_python_client};

#[test]
fn the_server_streamed_or_not_says_what_the_built_in_model_says() {
    let (place, server) = (Place::new(), MockServer::start(&["--model", "simulated"]));
    let rows: Vec<_> = (0..5).map(|row| conversation(&format!("主题 {row} 🙂"), 3)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let model = format!("simulated@http://{}", server.address);
    for (name, teacher, stream) in
        [("a", "simulated", "true"), ("b", model.as_str(), "true"), ("c", model.as_str(), "false")]
    {
        let output = format!("{name}.jsonl");
        place.complete(&[
            "distill",
            "in.jsonl",
            "--teacher",
            teacher,
            "--stream",
            stream,
            "-o",
            &output,
            "--store",
            name,
            "--temperature",
            "0.3",
            "--max-tokens",
            "200",
        ]);
    }
    assert_eq!(place.read("a.jsonl"), place.read("b.jsonl"));
    assert_eq!(place.read("a.jsonl"), place.read("c.jsonl"));
}

#[test]
fn an_answer_at_its_token_limit_is_cut() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    let finished =
        place.run(&["distill", "in.jsonl", "--teacher", "simulated", "--max-tokens", "3", "-o", "out.jsonl"]);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert_eq!(place.rows("out.jsonl.incomplete.jsonl")[0]["reason"], "turn 1: length");
}

const CLIENT: &str = r#"
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-test", max_retries=0, timeout=20)
messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
whole = client.chat.completions.create(model="sim", messages=messages, seed=1)
assert whole.choices[0].finish_reason == "stop" and whole.usage.total_tokens > 0, whole
cut = client.chat.completions.create(model="sim", messages=messages, max_tokens=1)
assert cut.choices[0].finish_reason == "length" and cut.usage.completion_tokens == 1, cut
text, finish, usage = "", None, None
for chunk in client.chat.completions.create(model="sim", messages=messages, seed=1, stream=True, stream_options={"include_usage": True}):
    usage = chunk.usage or usage
    if chunk.choices:
        text += chunk.choices[0].delta.content or ""
        finish = chunk.choices[0].finish_reason or finish
assert (text, finish, usage) == (whole.choices[0].message.content, "stop", whole.usage), (text, finish, usage)
assert [model.id for model in client.models.list()] == ["sim"]
for wrong, error in [({"model": "other"}, openai.NotFoundError), ({"messages": []}, openai.BadRequestError), ({"temperature": -1}, openai.BadRequestError)]:
    try:
        client.chat.completions.create(**{"model": "sim", "messages": messages, **wrong})
    except error as refused:
        assert refused.body["message"], refused.body
    else:
        raise AssertionError(wrong)
"#;

#[test]
fn the_official_python_client_accepts_the_server() {
    run_python_client("openai", CLIENT, "/v1");
}
