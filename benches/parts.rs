//! The parts that run once for each call, message or piece of a stream.

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;

use cohobate::conversation::{Message, Question, Role, Sampling, Slot, Target};
use cohobate::dataset::RowReader;
use cohobate::model::sse::EventLines;
use cohobate::model::{Dialect, Failure, OpenAiDialect, RequestFormat};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const CHUNKS: u64 = 256;

fn words(bytes: usize) -> String {
    "The harbor lights went out one by one, \"slowly\", and nobody asked why.\n".chars().cycle().take(bytes).collect()
}

fn question(turns: usize, bytes: usize) -> Question {
    let messages = (0..2 * turns - 1).map(|index| {
        let role = if index % 2 == 0 { Role::User } else { Role::Assistant };
        Message::new(role, words(bytes))
    });
    let target = Target::new("teacher", OpenAiDialect.name(), Sampling::default());
    Question { slot: Slot::main(0), target, sample: 0, messages: messages.collect() }
}

fn identity(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("identity");
    let text = words(4096);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("message of 4 KB", |bencher| bencher.iter(|| Message::new(Role::User, black_box(&*text))));
    let long = question(20, 512);
    group.throughput(Throughput::Elements(1));
    group.bench_function("fingerprint of turn 20", |bencher| bencher.iter(|| black_box(&long).fingerprint()));
    group.finish();
}

fn request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    let long = question(20, 512);
    let body = OpenAiDialect.body(&long, &RequestFormat::default()).expect("every question can be asked");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("body of turn 20, messages escaped before", |bencher| {
        bencher.iter(|| OpenAiDialect.body(black_box(&long), &RequestFormat::default()));
    });
    group.finish();
}

fn reply(criterion: &mut Criterion) {
    let question = question(1, 100);
    let content = serde_json::to_string(&words(1024)).expect("text is valid JSON");
    let whole = format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":{content}}},"finish_reason":"stop","logprobs":null}}],"usage":{{"prompt_tokens":10,"completion_tokens":256,"total_tokens":266}}}}"#
    );
    let mut group = criterion.benchmark_group("reply");
    group.bench_function("whole, 1 KB", |bencher| {
        bencher.iter(|| OpenAiDialect.read_whole(black_box(whole.as_bytes()), &question, 1));
    });
    let mut stream = String::new();
    for index in 0..CHUNKS {
        let delta = if index == 0 { r#"{"role":"assistant","content":""}"# } else { r#"{"content":" harbor"}"# };
        let _ = write!(
            stream,
            "data: {{\"id\":\"chatcmpl-8f2a\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"Qwen/Qwen3-32B\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":null}}],\"usage\":null}}\n\n"
        );
    }
    stream.push_str("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    let stream = Arc::new(stream);
    // As the transport has it.
    let dialect: &dyn Dialect = black_box(&OpenAiDialect);
    group.throughput(Throughput::Elements(CHUNKS));
    group.bench_function("stream, for each piece", |bencher| {
        bencher.iter(|| {
            let (mut lines, mut assembler) = (EventLines::default(), dialect.assembler().expect("it streams"));
            for piece in black_box(stream.as_bytes()).chunks(stream.len() / CHUNKS as usize) {
                lines.push::<Failure>(piece, |event| assembler.push(event)).expect("a sound stream");
                assert!(!assembler.sees_loop() || assembler.has_ended());
            }
            assembler.finish(&question, 1)
        });
    });
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let text = serde_json::to_string(&words(512)).expect("text is valid JSON");
    let messages = (0..8).map(|index| {
        let role = if index % 2 == 0 { "user" } else { "assistant" };
        format!(r#"{{"role":"{role}","content":{text}}}"#)
    });
    let row = format!(r#"{{"id":"r1","messages":[{}],"source":"bench"}}"#, messages.collect::<Vec<_>>().join(","));
    let mut group = criterion.benchmark_group("reading");
    group.throughput(Throughput::Bytes(row.len() as u64));
    let reader = RowReader::default();
    group.bench_function("a row of four turns", |bencher| bencher.iter(|| reader.read(black_box(row.as_bytes()))));
    group.bench_function("serde_json alone", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(row.as_bytes())));
    });
    group.finish();
}

criterion_group!(parts, identity, request, reply, reading);
criterion_main!(parts);
