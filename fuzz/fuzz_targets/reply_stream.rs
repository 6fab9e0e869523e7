//! A streamed reply in every dialect, from bytes to answer: it is the same wherever the stream is cut, and never a panic.
#![no_main]

use cohobate::conversation::{Answer, Message, Question, Role, Sampling, Slot, Target};
use cohobate::model::sse::EventLines;
use cohobate::model::{Assembler, DIALECTS, Failure};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    for dialect in DIALECTS {
        let Some(assembler) = dialect.assembler() else { continue };
        let whole = read(assembler, dialect.name(), [bytes]);
        let assembler = dialect.assembler().expect("it has one");
        assert_eq!(read(assembler, dialect.name(), bytes.chunks(usize::from(size) + 1)), whole);
    }
});

fn read<'a>(
    mut assembler: Box<dyn Assembler>,
    dialect: &'static str,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Answer, Failure> {
    let mut lines = EventLines::default();
    for chunk in chunks {
        lines.push(chunk, |event| assembler.push(event))?;
    }
    lines.finish(|event| assembler.push(event))?;
    let _ = assembler.sees_loop();
    let target = Target::new("model", dialect, Sampling { max_tokens: Some(100), ..Sampling::default() });
    let messages = vec![Message::new(Role::User, "Why?")];
    assembler.finish(&Question { slot: Slot::main(0), target, sample: 0, messages: messages.into() }, 1)
}
