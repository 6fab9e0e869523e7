//! Token ids of the simulated model: each word is one token, and each message has one before and one after it.

use super::token_ends;
use crate::conversation::{AnswerTokens, Dice, Message, Question, Role, TokenDetail, TopLogprobs};

/// Ends a message.
const END: u32 = 0;
/// Begins a message of the first role; those of the other roles follow.
const FIRST_ROLE: u32 = 1;
/// The first id of a word.
const FIRST_WORD: u32 = 16;
const WORDS: usize = 150_000;

/// Returns the ids of a question's prompt and of the answer's text. What was sampled is the beginning of the next prompt, as
/// with a chat template that leaves answers as they are.
pub(super) fn tokens(question: &Question, text: &str, detail: TokenDetail) -> AnswerTokens {
    let mut prompt = Vec::new();
    for message in &question.messages {
        prompt.push(begin(message.role()));
        append_words(message.content(), &mut prompt);
        if let Some(fields) = message.fields() {
            append_words(&serde_json::to_string(fields).unwrap_or_default(), &mut prompt);
        }
        prompt.push(END);
    }
    prompt.push(begin(Role::Assistant));
    let mut completion = Vec::new();
    append_words(text, &mut completion);
    let logprobs = detail.logprobs().map(|count| logprobs(question, &completion, count));
    AnswerTokens { logprobs, ..AnswerTokens::whole(prompt, completion) }
}

fn begin(role: Role) -> u32 {
    let roles = [Role::System, Role::User, Role::Assistant, Role::Tool];
    FIRST_ROLE + roles.iter().position(|known| *known == role).unwrap_or_default() as u32
}

fn append_words(text: &str, ids: &mut Vec<u32>) {
    let mut start = 0;
    for end in token_ends(text) {
        ids.push(FIRST_WORD + Dice::new("token", &text.as_bytes()[start..end]).below(WORDS) as u32);
        start = end;
    }
}

/// Returns made-up log-probabilities: the sampled token comes first at each place.
fn logprobs(question: &Question, completion: &[u32], count: u8) -> TopLogprobs {
    let mut dice = Dice::new(
        "logprobs",
        question.messages.last().map_or("", |last: &std::sync::Arc<Message>| last.content()).as_bytes(),
    );
    let mut top = TopLogprobs { count, ..TopLogprobs::default() };
    for id in completion {
        let mut steps = dice.below(1_024) as u16;
        top.sampled.push(steps);
        for rank in 0..count {
            top.ids.push(if rank == 0 { *id } else { FIRST_WORD + dice.below(WORDS) as u32 });
            top.steps.push(steps);
            steps += 1 + dice.below(1_024) as u16;
        }
    }
    top
}
