use std::str::FromStr;

use hyper::Response;

use super::api::Api;
use super::{Body, reply};
use crate::conversation::{Answer, Dice, Finish, Message, Role};

/// About half a million characters: an answer without a token limit.
const LOOP_REPETITIONS: usize = 30_000;

/// A judge's reply without a verdict.
const NO_VERDICT: &str = "Both have their merits, and much could be said about either.";

/// Returns the fault of a judge that gave no verdict before: asked for the verdict alone, it gives none again.
pub(super) fn repeated_fault(faults: &[Fault], messages: &[std::sync::Arc<Message>]) -> Option<FaultKind> {
    let is_told = |message: &Message| message.content().contains("had no verdict that could be read");
    let is_said = |message: &Message| message.role() == Role::Assistant && message.content() == NO_VERDICT;
    let has_fault = faults.iter().any(|fault| fault.kind == FaultKind::NoVerdict);
    (has_fault && messages.iter().any(|message| is_told(message) || is_said(message))).then_some(FaultKind::NoVerdict)
}

/// A fault that occurs in a share of the requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// The kind of fault.
    pub kind: FaultKind,
    /// The share of requests, from 0 to 1.
    pub share: f64,
}

macro_rules! fault_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// The kinds of faults.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum FaultKind { $($(#[$doc])* $kind,)* }

        impl FaultKind {
            /// Every kind with its name in `--fault`.
            pub const ALL: &'static [(&'static str, FaultKind)] = &[$(($name, FaultKind::$kind),)*];
        }
    };
}

fault_kinds! {
    /// 500.
    ServerError = "500",
    /// 503 without a wait time.
    Unavailable = "503",
    /// 429 that asks for a wait of one second.
    RateLimit = "429",
    /// 429 without a wait time.
    RateLimitBare = "429-bare",
    /// 400 that rejects this question.
    BadRequest = "400",
    /// 401: the key is wrong.
    Unauthorized = "401",
    /// 429 that reports an exhausted quota.
    Quota = "quota",
    /// 429 without room in the flex tier, to requests that ask for it.
    FlexFull = "flex-full",
    /// The connection closes without a reply.
    Drop = "drop",
    /// The connection closes in the middle of the reply.
    Half = "half",
    /// 200 with a page of HTML.
    Garbage = "garbage",
    /// 200 with an empty list of choices.
    NoChoice = "no-choice",
    /// 200 with an error in it.
    ErrorInside = "error-200",
    /// An answer whose finish reason is in every chunk; the connection closes in its middle.
    EarlyStop = "early-stop",
    /// An answer without a finish reason.
    NoFinish = "no-finish",
    /// A whole answer among events, fields and numbers that no answer needs.
    Noise = "noise",
    /// A whole answer after its reasoning, in tags.
    Think = "think",
    /// No reply; the connection hangs.
    Hang = "hang",
    /// An answer that is truncated at the token limit.
    Length = "length",
    /// An answer that the server's filter withheld.
    Filter = "filter",
    /// An empty answer.
    Empty = "empty",
    /// An answer that repeats itself endlessly.
    Loop = "loop",
    /// An answer that repeats one sentence some forty times and ends.
    Babble = "babble",
    /// An answer with tokens of a chat template in it.
    Leak = "leak",
    /// An answer that refuses in its text.
    Refusal = "refusal",
    /// An answer in another language.
    Language = "language",
    /// A user who only says thanks.
    Thanks = "thanks",
    /// A user who answers their own question.
    SelfAnswer = "self-answer",
    /// A user who is done.
    Done = "done",
    /// The same answer to every question.
    Same = "same",
    /// A grade that quotes text that is not in the answer.
    Misquote = "misquote",
    /// A judge's verdict that always prefers the first answer.
    First = "first",
    /// A judge's reply without a verdict.
    NoVerdict = "no-verdict",
    /// An answer without the token ids that were asked for.
    NoIds = "no-ids",
}

/// A fault is not of the form `KIND:SHARE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a fault; write KIND:SHARE with a share from 0 to 1 and a kind of {names}", names = kind_names())]
pub struct ParseFaultError(String);

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || ParseFaultError(text.to_owned());
        let (name, share) = text.rsplit_once(':').ok_or_else(fault)?;
        let (_, kind) = FaultKind::ALL.iter().find(|(known, _)| *known == name).ok_or_else(fault)?;
        let share = share.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(fault)?;
        Ok(Self { kind: *kind, share })
    }
}

fn kind_names() -> String {
    FaultKind::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Selects the requests that get a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultBy {
    /// By request number: a retry may succeed.
    #[default]
    Number,
    /// By question: a retry gets the same fault, on any server and in any order.
    Question,
}

impl FromStr for FaultBy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "number" => Ok(Self::Number),
            "question" => Ok(Self::Question),
            _ => Err("write number or question"),
        }
    }
}

/// Draws at most one fault; the shares add up.
pub(super) fn draw_fault(faults: &[Fault], dice: &mut Dice) -> Option<FaultKind> {
    let mut fraction = dice.fraction();
    faults
        .iter()
        .find(|fault| {
            fraction -= fault.share;
            fraction < 0.0
        })
        .map(|fault| fault.kind)
}

/// How a fault changes the reply.
pub(super) enum Effect {
    /// Sends this instead of an answer.
    Refuse(Box<Response<Body>>),
    /// Closes the connection without a reply.
    HangUp,
    /// Sends no reply and keeps the connection open.
    Silence,
    /// Sends the first half, then closes the connection.
    Half,
    /// The same, with a finish reason in every chunk.
    EarlyStop,
    /// Sends the answer among noise.
    Noise,
    /// Sends the answer without a finish reason.
    NoFinish,
    /// Sends a changed answer.
    Answer,
}

pub(super) fn effect_of(kind: FaultKind, api: Api, answer: &mut Answer) -> Effect {
    let refuse = |response| Effect::Refuse(Box::new(response));
    match kind {
        FaultKind::ServerError => refuse(api.error(500, "server_error", "internal", "something broke")),
        FaultKind::Unavailable => refuse(api.error(503, "server_error", "overloaded", "the request queue is full")),
        FaultKind::RateLimit => {
            let mut response = api.error(429, "requests", "rate_limit_exceeded", "too many requests");
            response.headers_mut().insert("retry-after", hyper::header::HeaderValue::from_static("1"));
            refuse(response)
        }
        FaultKind::RateLimitBare => refuse(api.error(429, "requests", "rate_limit_exceeded", "too many requests")),
        FaultKind::BadRequest => refuse(api.error(400, "invalid_request_error", "invalid_value", "not this one")),
        FaultKind::Unauthorized => refuse(api.error(401, "invalid_request_error", "invalid_api_key", "wrong key")),
        FaultKind::Quota => refuse(api.no_credit()),
        FaultKind::FlexFull => {
            refuse(api.error(429, "resource_unavailable", "resource_unavailable", "the flex tier has no room"))
        }
        FaultKind::NoIds => {
            answer.tokens = None;
            Effect::Answer
        }
        FaultKind::Drop => Effect::HangUp,
        FaultKind::Half => Effect::Half,
        FaultKind::EarlyStop => Effect::EarlyStop,
        FaultKind::Noise => Effect::Noise,
        FaultKind::NoFinish => Effect::NoFinish,
        FaultKind::Think => {
            let text = format!("<think>\nThe question comes first.\n</think>\n\n{}", answer.text());
            replace_answer(answer, Finish::Complete, "stop", Some(&text))
        }
        FaultKind::Garbage => refuse(reply::html(200, "<html><body>upstream is resting</body></html>")),
        FaultKind::NoChoice => refuse(reply::json(200, &api.without_content())),
        FaultKind::ErrorInside => refuse(reply::json(200, &api.error_value("upstream failed", 502))),
        FaultKind::Hang => Effect::Silence,
        FaultKind::Length => replace_answer(answer, Finish::Length, "length", None),
        FaultKind::Filter => replace_answer(answer, Finish::Filtered, "content_filter", Some("")),
        FaultKind::Empty => replace_answer(answer, Finish::Empty, "stop", Some("")),
        FaultKind::Loop => {
            let text = "I will try again. ".repeat(LOOP_REPETITIONS);
            replace_answer(answer, Finish::Length, "length", Some(&text))
        }
        FaultKind::Babble => {
            let text = format!("{}{}", answer.text(), " I will say it once more.".repeat(40));
            replace_answer(answer, Finish::Complete, "stop", Some(&text))
        }
        FaultKind::Leak => {
            let text = format!("{}<|im_end|>\n<|im_start|>user\nAnd then?", answer.text());
            replace_answer(answer, Finish::Complete, "stop", Some(&text))
        }
        FaultKind::Refusal => {
            let text = "I'm sorry, but I can't help with that request.";
            replace_answer(answer, Finish::Complete, "stop", Some(text))
        }
        FaultKind::Thanks => replace_answer(answer, Finish::Complete, "stop", Some("Thank you so much, goodbye!")),
        FaultKind::Done => replace_answer(answer, Finish::Complete, "stop", Some("###STOP###")),
        FaultKind::SelfAnswer => {
            let text = "What is the reason for that? The reason for that lies in the way in which the parts work together: the first \
                        one moves the second, the second holds the third, and so on until everything rests.";
            replace_answer(answer, Finish::Complete, "stop", Some(text))
        }
        FaultKind::Same => {
            let text = "I am glad that you ask. This is a wide field, and much has been written about it over the years, by people \
                        who knew it well and by people who did not; it is best to begin with the basics and to go on from there.";
            replace_answer(answer, Finish::Complete, "stop", Some(text))
        }
        FaultKind::Misquote => match answer.text().split_once("\"quote\":\"") {
            Some((before, after)) => {
                let text = format!("{before}\"quote\":\"words that nobody has said, {after}");
                replace_answer(answer, Finish::Complete, "stop", Some(&text))
            }
            None => Effect::Answer,
        },
        FaultKind::First => {
            replace_answer(answer, Finish::Complete, "stop", Some("A is better, I should say.\n\n[[A]]"))
        }
        FaultKind::NoVerdict => replace_answer(answer, Finish::Complete, "stop", Some(NO_VERDICT)),
        FaultKind::Language => {
            let is_chinese = answer.text().chars().any(|character| matches!(character, '\u{4e00}'..='\u{9fff}'));
            let text = if is_chinese {
                "There are a few ways to look at this, and the first of them is the simplest one by far."
            } else {
                "这个问题可以从几个方面来看，其中第一个方面是最简单的，也是最重要的。"
            };
            replace_answer(answer, Finish::Complete, "stop", Some(text))
        }
    }
}

fn replace_answer(answer: &mut Answer, finish: Finish, word: &str, text: Option<&str>) -> Effect {
    answer.finish = finish;
    word.clone_into(&mut answer.finish_reason);
    if let Some(text) = text {
        answer.message = Message::new(Role::Assistant, text);
    }
    Effect::Answer
}
