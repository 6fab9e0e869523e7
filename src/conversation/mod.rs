//! The types that all other modules share: pure data, no I/O, no clock, no async.
//!
//! A [`Seed`] is the input from a dataset row: the user's messages, turn by turn. A recipe turns a
//! seed into [`Question`]s; a model turns a question into an [`Answer`]; an [`Outcome`] says how a
//! conversation ended. Identity lives here too: [`Fingerprint`] says when two questions are the
//! same question, [`ConversationKey`] when two conversations are the same work.

mod answer;
mod answer_tokens;
mod cutting;
mod dice;
mod failure;
mod failure_reason;
mod fence;
mod identity;
mod judgment;
mod known_answer;
mod lesson;
mod line_tokens;
mod message;
mod messages;
mod outcome;
mod price;
mod question;
mod reading;
mod reasoning;
mod record;
mod request;
mod sampling;
mod schema;
mod seed;
mod service_tier;
mod settings;
mod stop;
mod token_detail;
mod tokens;
mod tool_call;
mod tools;
mod top_logprobs;
mod turn;
mod unit;
mod vote;

pub use answer::{Answer, Finish, Usage};
pub use answer_tokens::{AnswerTokens, PromptTokens, SharedTokens};
pub(crate) use cutting::{beginning, ending, halves};
pub use dice::Dice;
pub use failure::{FailureCode, TimeoutKind};
pub use failure_reason::{FailureCause, FailureReason, blank_numbers};
pub use fence::Fence;
pub use identity::{ContentHasher, ConversationKey, Digest, Fingerprint, ParseDigestError};
pub use judgment::{Preference, Rating};
pub use known_answer::KnownAnswer;
pub use lesson::{Correction, Flaw, Grade, Lesson, PairRefusal, Pairing, Remedy, Speaker};
pub use line_tokens::LineTokens;
pub use message::{Columns, Message, Role, free_name};
pub use messages::Messages;
pub use outcome::{Dialogue, Outcome, Rejected, Spoken};
pub use price::{FlexPrice, Price};
pub use question::{Lane, Question, SYSTEMS_MAX, Slot, Target};
pub use reading::{Reading, ReadingResult, ReplyForm};
pub use reasoning::{SplitReasoning, after_reasoning, has_stray_reasoning_tag, split_reasoning};
pub use record::{Line, Record, says_nothing};
pub use request::{
    BodyChoice, BodyChoices, BodyError, BodyFields, Effort, Extras, RequestOptions, SIDE_FIELDS, TemperatureChoice,
    Thinking, is_side_field,
};
pub use sampling::Sampling;
pub use schema::AnswerSchema;
pub use seed::{Seed, Turn};
pub use service_tier::ServiceTier;
pub use settings::Settings;
pub use stop::ConversationStop;
pub use token_detail::TokenDetail;
pub use tokens::estimate_tokens;
pub use tool_call::{CallFault, MatchedCall, ToolCall, ToolMatch};
pub use tools::{ToolSet, calls_tool_in_text};
pub use top_logprobs::TopLogprobs;
pub use turn::{Scope, TurnIndex};
pub use unit::Unit;
pub use vote::{Duel, DuelEnd, Mark, Vote, Winner};
