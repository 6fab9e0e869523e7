//! What grows faster than its input: the time for 2n against n, within one run. About 2 is linear, 4 is quadratic.
//!
//! `texts` repeats one piece of text in everything that looks at a text; only ratios above 3 and the worst of each are
//! printed. `turns` walks one conversation with every recipe, one answer at a time, as a run does. `rows` is whole jobs over
//! one long row, and a judge's reply of brackets. An argument names the part that is wanted.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its figures")]

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cohobate::conversation::{
    Answer, Columns, Lane, Message, Question, Role, Sampling, Seed, Target, Turn, after_reasoning,
};
use cohobate::dataset::RowReader;
use cohobate::job::{self, Context, DistillQuestions, InputSettings, ModelChoice, PlanSettings, RunSettings};
use cohobate::model::{PaceLimits, Simulated};
use cohobate::quality::{Candidate, Gate, RULES, Strictness};
use cohobate::recipe::{
    Cast, Compare, ComparedHistory, Distill, Evaluate, History, Judge, JudgedHistory, JudgedScope, PassPurpose, Prompt,
    Recipe, Replay, ReplayEnd, Scale, Simulate, System, Tutor,
};
use cohobate::store::MemoryStore;
use cohobate::worker::{self, Admit, CommitMode, Seeds, Served, Silent, StopStage, Work};
use serde_json::json;
use tokio::sync::watch;

/// Pieces of which hostile or broken texts consist.
const PIECES: &[&str] = &[
    "[",
    "[[",
    "]]",
    "[[a",
    "<",
    ">",
    "<think>",
    "</think>",
    "<|im_start|>",
    "<|",
    "</",
    "{",
    "}",
    "{\"",
    "\"",
    "'",
    "\\",
    "`",
    "```",
    "```\n",
    "~~~\n",
    "(",
    ")",
    "*",
    "**",
    "#",
    "-",
    "\n",
    "\r\n",
    " ",
    "a",
    "a ",
    "a\n",
    "A. ",
    "[INST]",
    "[/INST]",
    "Human: ",
    "\nUser: ",
    "\n\nAssistant: ",
    "<s>",
    "</s>",
    "<tool_call>",
    "{\"verdict\":",
    "@",
    "1",
    "1-",
    "a@b.",
    "http://",
    "是",
    "。",
    "é",
    "\u{301}",
    "\u{200b}",
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, part) in [("texts", all_texts as fn()), ("turns", all_turns), ("rows", all_rows)] {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            println!("{name:<28}{:<18}{:>10}{:>10}{:>8}", "", "n ms", "2n ms", "ratio");
            part();
        }
    }
}

fn all_texts() {
    for scale in [Scale::Score, Scale::Pair, Scale::Check, Scale::Rubric] {
        texts(&format!("verdict {scale:?}"), |text| {
            std::hint::black_box(scale.read(text));
        });
        texts(&format!("imitated {scale:?}"), |text| {
            std::hint::black_box(scale.is_imitated(text));
        });
    }
    texts("reasoning", |text| {
        std::hint::black_box(after_reasoning(text));
    });
    for rule in RULES {
        let gate = common::alone(*rule, Strictness::Strict);
        texts(rule.name(), |text| drop(gate.judge(&Candidate::new(text, text))));
    }
    let reader = RowReader::default();
    texts("row", |text| {
        let messages = json!([{"role": "user", "content": text}, {"role": "assistant", "content": text}]);
        std::hint::black_box(reader.read(json!({"messages": messages}).to_string().as_bytes()));
    });
    texts("row, one text", |text| {
        std::hint::black_box(reader.read(json!({"text": text}).to_string().as_bytes()));
    });
    texts("row, raw", |text| {
        std::hint::black_box(reader.read(text.as_bytes()));
    });
}

fn all_turns() {
    for (name, recipe, turns) in recipes() {
        let (one, two) = (walk(&*recipe, turns), walk(&*recipe, 2 * turns));
        print_row(name, &format!("{turns} turns"), one, two);
    }
}

fn all_rows() {
    const TURNS: usize = 4_000;
    const BRACKETS: usize = 1 << 22;
    let timed = |brackets: usize| {
        let text = "[".repeat(brackets);
        let start = Instant::now();
        std::hint::black_box((Scale::Score.read(&text), Scale::Score.is_imitated(&text)));
        start.elapsed()
    };
    print_row("verdict in brackets", "4 MiB of [", timed(BRACKETS), timed(2 * BRACKETS));
    let (one, two) = (distilled_twice(TURNS), distilled_twice(2 * TURNS));
    print_row("distill, first run", &format!("{TURNS} turns"), one.0, two.0);
    print_row("distill, run again", &format!("{TURNS} turns"), one.1, two.1);
    print_row("plan", &format!("{TURNS} turns"), planned(TURNS), planned(2 * TURNS));
}

fn print_row(name: &str, what: &str, one: Duration, two: Duration) {
    let (one, two) = (one.as_secs_f64() * 1e3, two.as_secs_f64() * 1e3);
    println!("{name:<28}{what:<18}{one:>10.2}{two:>10.2}{:>8.1}", two / one);
}

/// Times `look` on texts of each piece.
fn texts(name: &str, look: impl Fn(&str)) {
    const BYTES: usize = 1 << 15;
    let mut worst: Option<(f64, &str, Duration, Duration)> = None;
    for piece in PIECES {
        let timed = |bytes: usize| {
            let text = piece.repeat(bytes / piece.len());
            let once = || {
                let start = Instant::now();
                look(&text);
                start.elapsed()
            };
            // Other work on the machine only adds to it.
            let first = once();
            if first > Duration::from_millis(500) { first } else { first.min(once()).min(once()) }
        };
        let (one, two) = (timed(BYTES), timed(2 * BYTES));
        let ratio = two.as_secs_f64() / one.as_secs_f64().max(1e-6);
        // What takes no time has no meaningful ratio.
        if two < Duration::from_millis(5) {
            continue;
        }
        if ratio > 3.0 {
            print_row(name, &format!("{piece:?}"), one, two);
        }
        if worst.is_none_or(|(other, ..)| ratio > other) {
            worst = Some((ratio, piece, one, two));
        }
    }
    if let Some((ratio, piece, one, two)) = worst.filter(|(ratio, ..)| *ratio <= 3.0) {
        let _ = ratio;
        print_row(name, &format!("{piece:?} (worst)"), one, two);
    }
}

/// A conversation that has been answered already.
fn conversation(turns: usize) -> Seed {
    let turn = |turn: usize| Turn {
        messages: vec![Message::new(Role::User, asked(turn))],
        replaced: Some(format!("An old answer about part {turn}.")),
        given: Vec::new(),
        follows: Vec::new(),
        ends_in_calls: false,
    };
    Seed {
        id: "one".to_owned(),
        turns: (0..turns).map(turn).collect(),
        tools: None,
        columns: Columns::new(),
        counts_replaced: true,
        criteria: Vec::new(),
    }
}

fn asked(turn: usize) -> String {
    format!("And what about part {turn} of the harbor?")
}

/// Walks a conversation to its end, one answer at a time.
fn walk(recipe: &dyn Recipe, turns: usize) -> Duration {
    let seed = conversation(turns);
    let start = Instant::now();
    let mut replay = Replay::new(recipe, &seed);
    let mut waiting = std::collections::BTreeMap::new();
    loop {
        let open = match replay.advance(|_, _| Ok::<_, std::convert::Infallible>(None)) {
            Ok(ReplayEnd::Open(open)) => open,
            Ok(ReplayEnd::Done(_)) => return start.elapsed(),
            Err(never) => match never {},
        };
        for (_, question) in open {
            waiting.entry(question.slot).or_insert(question);
        }
        let (slot, question) = waiting.pop_first().expect("an open conversation has an open question");
        replay.record(slot, Arc::new(answer(&question)));
    }
}

/// Answers without reading the history: what is measured is the recipe. Only a grader is the simulated model.
fn answer(question: &Question) -> Answer {
    let text = match question.slot.lane {
        Lane::Grader => return Simulated::answer(question, 1),
        Lane::Judge => "[[5]]".to_owned(),
        lane => format!("An answer about part {} of the harbor, {}.", question.slot.turn, lane.name()),
    };
    Answer::complete("simulated", text)
}

fn simulated() -> Arc<Target> {
    Target::new("simulated", Simulated::DIALECT, Sampling::default())
}

fn recipes() -> Vec<(&'static str, Box<dyn Recipe>, usize)> {
    let target = simulated;
    let judge = |scale| Judge { target: target(), prompt: Prompt::standard(scale), repeats: 1 };
    let gate = || Gate::new(Strictness::Standard, "echo=off,dup_10gram=off").expect("the rules are known");
    let cast = Cast { student: target(), teacher: target(), grader: target(), judge: judge(Scale::Pair) };
    let system = |name: &str| System { name: name.to_owned(), target: Some(target()), system: None };
    let systems = vec![system("x"), system("y")];
    vec![
        ("distill", Box::new(Distill::new(target(), None)), 2_000),
        ("distill through a gate", Box::new(Distill::new(target(), None).with_gate(gate())), 500),
        (
            "evaluate",
            Box::new(Evaluate::new(judge(Scale::Score), JudgedScope::Turns, JudgedHistory::Own, Vec::new())),
            200,
        ),
        ("compare", Box::new(Compare::new(systems, judge(Scale::Pair), JudgedScope::Turns, ComparedHistory::Own)), 100),
        ("simulate", Box::new(Simulate::new(target(), target(), 500, Vec::new(), None, None)), 500),
        ("tutor", Box::new(Tutor::new(cast, 0, History::Forced, PassPurpose::Rows, None, None)), 200),
    ]
}

/// Times a distillation of one row, and the same again with every answer stored. The store is in memory: a disk would take
/// the same time for each turn.
fn distilled_twice(turns: usize) -> (Duration, Duration) {
    let store = Arc::new(MemoryStore::new());
    let (seed, recipe) = (conversation(turns), Arc::new(Distill::new(simulated(), None)));
    let seeds = Arc::new(OneRow(seed));
    let run = || {
        let start = Instant::now();
        let rows = Box::new([Ok(Admit::Row(0))].into_iter());
        let models = HashMap::from([("simulated".to_owned(), Served::by_one("simulated", Arc::new(Simulated)))]);
        let (recipe, store, seeds) = (Arc::clone(&recipe), Arc::clone(&store), Arc::clone(&seeds));
        let work = Work {
            pace: PaceLimits { concurrency: Some(1), ..PaceLimits::default() },
            commit_mode: CommitMode::Inline,
            ..Work::new(recipe, store, models, seeds, rows)
        };
        let (_go, stop) = watch::channel(StopStage::Go);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(worker::run(work, stop, &mut Silent)).expect("a run without faults");
        start.elapsed()
    };
    (run(), run())
}

/// One row and no other.
struct OneRow(Seed);

impl Seeds for OneRow {
    fn seed(&self, _: u64) -> Result<Seed, String> {
        Ok(self.0.clone())
    }
}

/// Times a plan over one row without a store.
fn planned(turns: usize) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let message = |role: &str, text: String| json!({"role": role, "content": text});
    let said = |turn: usize| [message("user", asked(turn)), message("assistant", format!("An old answer, {turn}."))];
    let messages: Vec<_> = (0..turns).flat_map(said).collect();
    let teacher = ModelChoice::local("simulated", Arc::new(Simulated));
    let settings = PlanSettings {
        input: InputSettings::rows([json!({"messages": messages})]),
        store: folder.path().join("store"),
        questions: DistillQuestions::to(teacher),
        run: RunSettings::default(),
        shows_request: false,
        output: None,
        on_loss: cohobate::store::OnLoss::Refuse,
    };
    let start = Instant::now();
    let plan = job::plan(&settings, &Context::default()).expect("a plan");
    assert_eq!(plan.calls, turns as u64);
    start.elapsed()
}
