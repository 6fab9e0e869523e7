//! Transcripts in one text: `Human: …`, `Assistant: …`, one after the other.

use super::{SourceMessage, SourceRole, assistant_message, user_message};

/// The marker of the user and that of the assistant. Each stands at the beginning of a line.
const MARKERS: [[&str; 2]; 13] = [
    ["HUMAN:", "ASSISTANT:"],
    ["Human:", "Assistant:"],
    ["Human:", "AI:"],
    ["User:", "Assistant:"],
    ["User:", "AI:"],
    ["User:", "Bot:"],
    ["USER:", "ASSISTANT:"],
    ["Human：", "Assistant："],
    ["用户：", "助手："],
    ["用户:", "助手:"],
    ["### Human:", "### Assistant:"],
    ["<human>:", "<bot>:"],
    ["[|Human|]", "[|AI|]"],
];

/// Splits a text into messages. `None` where it is no transcript: one that begins with the user's marker, alternates
/// throughout, and ends with an open marker of the assistant or with an answer. An open marker gives no message.
pub fn split_transcript(text: &str) -> Option<Vec<SourceMessage>> {
    MARKERS.iter().find_map(|markers| split_by(text, markers))
}

/// Markers of chat templates: the user's and the assistant's.
const RENDERED: [[&str; 2]; 7] = [
    ["<|im_start|>user", "<|im_start|>assistant"],
    ["<|start_header_id|>user", "<|start_header_id|>assistant"],
    ["[INST]", "[/INST]"],
    ["<start_of_turn>user", "<start_of_turn>model"],
    ["<|prompter|>", "<|assistant|>"],
    ["<|user|>", "<|assistant|>"],
    ["<extra_id_1>User", "<extra_id_1>Assistant"],
];

/// True for a text with both markers of a chat template, such as a whole dialogue that is rendered.
pub fn is_rendered(text: &str) -> bool {
    text.contains(['<', '[']) && RENDERED.iter().any(|markers| markers.iter().all(|marker| text.contains(marker)))
}

/// Tokens that end an answer in some transcripts.
const ENDS: [&str; 3] = ["<|endoftext|>", "</s>", "<|im_end|>"];

/// True for a text that [`split_transcript`] splits.
pub fn is_transcript(text: &str) -> bool {
    split_transcript(text).is_some()
}

fn split_by(text: &str, markers: &[&str; 2]) -> Option<Vec<SourceMessage>> {
    let trimmed = text.trim_start();
    trimmed.strip_prefix(markers[0])?;
    // Where an empty line comes before the first marker, it comes before each.
    let line_end = if text.starts_with("\n\n") { "\n\n" } else { "\n" };
    let marked = markers.map(|marker| format!("{line_end}{marker}"));
    let mut messages = Vec::new();
    let mut rest = trimmed;
    let mut side = 0;
    loop {
        let body = &rest[markers[side].len()..];
        let next = marked.iter().map(|marker| body.find(marker)).collect::<Vec<_>>();
        let (ours, theirs) = (next[side], next[1 - side]);
        if ours.is_some_and(|ours| theirs.is_none_or(|theirs| ours < theirs)) {
            return None;
        }
        let mut said = body[..theirs.unwrap_or(body.len())].trim();
        while let Some(before) = ENDS.iter().find_map(|end| said.strip_suffix(end)) {
            said = before.trim_end();
        }
        let role = [SourceRole::User, SourceRole::Assistant][side];
        match (role, theirs) {
            (SourceRole::Assistant, None) => {
                messages
                    .extend(Some(said).filter(|said| !said.is_empty()).map(|said| assistant_message(said.to_owned())));
                return Some(messages);
            }
            // A lone message of the user, or a last one without an open marker, is a text about something else.
            (_, None) => return None,
            _ if said.is_empty() => return None,
            (SourceRole::User, _) => messages.push(user_message(said.to_owned())),
            _ => messages.push(assistant_message(said.to_owned())),
        }
        rest = &body[theirs? + line_end.len()..];
        side = 1 - side;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::format::SourceContent;

    fn said(text: &str) -> Option<Vec<(SourceRole, String)>> {
        let text_of = |message: SourceMessage| match message.content {
            SourceContent::Text(text) => (message.role, text),
            _ => unreachable!("a transcript is text"),
        };
        Some(split_transcript(text)?.into_iter().map(text_of).collect())
    }

    #[test]
    fn a_transcript_alternates_and_ends_with_the_assistant() {
        use SourceRole::{Assistant, User};
        let open =
            "\n\nHuman: How?\n\nAssistant: Make a loop.\nHuman: is no marker here\n\nHuman: And then?\n\nAssistant:";
        let expected = [(User, "How?"), (Assistant, "Make a loop.\nHuman: is no marker here"), (User, "And then?")];
        assert_eq!(said(open), Some(expected.map(|(role, text)| (role, text.to_owned())).to_vec()));
        let answered = said("Human:你好\nAssistant:好\nHuman:再见\nAssistant:再见").unwrap();
        assert_eq!((answered.len(), answered[3].1.as_str()), (4, "再见"));
    }

    #[test]
    fn other_texts_are_messages() {
        for text in [
            "Summarise this chat: Human: hi\n\nAssistant: hello",
            "Human: hi",
            "Human: hi\nHuman: again\nAssistant: hello",
            "Human: hi\nAssistant: hello\nAssistant: again",
            "Human: hi\nAssistant: hello\nHuman: bye",
            "Human:\nAssistant: hello",
            "Assistant: hello\nHuman: hi\nAssistant:",
            "",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }
}
