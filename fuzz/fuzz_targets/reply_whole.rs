//! A reply in one piece, as an answer and as a refusal, in every dialect: never a panic.
#![no_main]

use cohobate::conversation::{Message, Question, Role, Sampling, Slot, Target};
use cohobate::model::{DIALECTS, RefusedRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for dialect in DIALECTS {
        let sampling = Sampling { max_tokens: Some(100), ..Sampling::default() };
        let target = Target::new("model", dialect.name(), sampling);
        let messages = vec![Message::new(Role::User, "Why?")];
        let question = Question { slot: Slot::main(0), target, sample: 0, messages: messages.into() };
        let _ = dialect.read_whole(body, &question, 1);
        dialect.failure_of(RefusedRequest { status: 400, body, ..RefusedRequest::default() });
    }
});
