//! Refusals that quote the request: validation errors repeat the value that they refuse. The words of a question say nothing
//! about the account or the server.

use crate::conversation::Question;

/// Shorter quotations are kept: they may be the server's own words.
const CHARACTERS_MIN: usize = 12;

/// Returns an error body with `…` for every quotation of the question.
pub fn without_echo(body: Vec<u8>, question: &Question) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&body) else { return body };
    let messages: Vec<String> = question.messages.iter().map(|message| plain(message.content())).collect();
    let is_echo = |piece: &str| {
        let piece = plain(piece);
        piece.contains(' ')
            && piece.chars().count() >= CHARACTERS_MIN
            && messages.iter().any(|message| message.contains(&piece))
    };
    let mut kept = String::with_capacity(text.len());
    for part in text.split_inclusive(['"', '\'', '`']) {
        let piece = part.trim_end_matches(['"', '\'', '`']);
        kept.push_str(if is_echo(piece) { "…" } else { piece });
        kept.push_str(&part[piece.len()..]);
    }
    kept.into_bytes()
}

/// Returns a text in lower case, without line ends, escapes and further spaces.
fn plain(text: &str) -> String {
    let text = text.replace("\\n", " ").replace('\\', "").to_lowercase();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Message, Role, Sampling, Slot, Target};

    fn kept(body: &str, prompt: &str) -> String {
        let target = Target::new("m", "openai", Sampling::default());
        let messages = vec![Message::new(Role::User, prompt)];
        let question = Question { slot: Slot::main(0), target, sample: 0, messages: messages.into() };
        String::from_utf8(without_echo(body.into(), &question)).unwrap()
    }

    #[test]
    fn what_is_quoted_from_the_question_is_left_out() {
        let prompt = "My account doesn't have\nany credits, and the rent is overdue.";
        let body = r#"{"error":"Invalid value: 'My account doesn't have\nany credits, and the rent is overdue.'"}"#;
        assert_eq!(kept(body, prompt), r#"{"error":"Invalid value: '…'…'"}"#);
        let body = r#"[{'loc': ('body', 'messages'), 'input': "any credits, and the rent"}]"#;
        assert_eq!(kept(body, prompt), r#"[{'loc': ('body', 'messages'), 'input': "…"}]"#);
    }

    #[test]
    fn the_servers_own_words_are_kept() {
        for (body, prompt) in [
            (r#"{"error":{"message":"Your credit balance is too low","type":"x"}}"#, "What is a credit balance?"),
            (r#"{"error":{"code":"insufficient_quota","message":"no"}}"#, "What does insufficient_quota mean?"),
            ("", ""),
        ] {
            assert_eq!(kept(body, prompt), body);
        }
    }
}
