//! Server-sent events: they are the same wherever the stream is cut.
#![no_main]

use cohobate::model::sse::{EventLines, LineTooLong, StreamEvent};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = events([bytes]);
    assert_eq!(events(bytes.chunks(usize::from(size) + 1)), whole);
});

fn events<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, Vec<u8>)> {
    let (mut lines, mut found) = (EventLines::default(), Vec::new());
    let mut take = |event: StreamEvent<'_>| {
        found.push((event.name.to_owned(), event.data.to_vec()));
        Ok::<(), LineTooLong>(())
    };
    for chunk in chunks {
        lines.push(chunk, &mut take).expect("no input is as long as the longest line");
    }
    lines.finish(&mut take).expect("taking an event never fails");
    found
}
