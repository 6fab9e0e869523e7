use std::borrow::Cow;
use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::conversation::has_stray_reasoning_tag;
use crate::quality::phrases::automaton;
use crate::quality::text::{Phrases, is_bare_mark, speaks_for_others, template_marks, turns_in};

/// Contains chat-template tokens, another speaker's line, or a stray tag of reasoning. Code and quoted tokens are exempt,
/// as are answers to users who ask about templates or for a dialogue.
pub struct TemplateLeak;

/// Words with which a user may ask for template tokens.
static MARKS_ASKED_FOR: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "<|",
        "[inst",
        "<think",
        "chat template",
        "prompt template",
        "jinja",
        "prompt format",
        "chatml",
        "special token",
        "tokenizer",
        "tokeniser",
        "fine-tun",
        "聊天模板",
        "对话模板",
        "提示词模板",
        "提示模板",
        "特殊标记",
        "特殊符号",
        "分词器",
        "微调",
    ])
});
/// Words with which a user may ask for lines of several speakers, and those with which one speaks of a window.
static DIALOGUES: Phrases = Phrases::new(|| automaton(&["dialogue", "no dialogue"]));
static WINDOWS: Phrases = Phrases::new(|| automaton(&["no dialogue"]));
/// Words beside which a script is a program.
static PROGRAMS: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "python", "bash", "shell", "java", "sql", "php", "perl", "ruby", "linux", "windows", "server", "automat",
        "cron", "html", "css", "file", "code", "program", "function", "data",
    ])
});

impl Rule for TemplateLeak {
    fn name(&self) -> &'static str {
        "template_leak"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn hits(&self, candidate: &Candidate<'_>, _: f64) -> bool {
        let prose = &outside_inline_code(candidate.prose());
        (has_leak(candidate, prose, template_marks(prose)) && !MARKS_ASKED_FOR.occur_in(candidate.user))
            || (speaks_for_others(prose) && !wants_dialogue(candidate))
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        let answer = candidate.answer;
        let marks = template_marks(answer).map(|(at, mark)| at..at + mark.len());
        let turns = turns_in(answer).map(|(at, line, _)| at..at + line.len());
        let place = |line: &str| line.as_ptr() as usize - answer.as_ptr() as usize;
        let bare = answer.lines().filter(|line| is_bare_mark(line)).map(|line| place(line)..place(line) + line.len());
        marks.chain(turns).chain(bare).collect()
    }
}

/// True where one of the marks is a leak, and no mention, or a tag of reasoning has no partner.
pub(super) fn has_leak<'a>(
    candidate: &Candidate<'_>,
    prose: &'a str,
    mut marks: impl Iterator<Item = (usize, &'a str)>,
) -> bool {
    marks.any(|(at, mark)| !is_quoted(prose, at, mark) && !is_named(candidate.user, mark))
        || (may_hold_tag(prose) && has_stray_reasoning_tag(prose))
}

/// True where a text has a bracket with which tags of reasoning begin.
fn may_hold_tag(prose: &str) -> bool {
    memchr::memchr2(b'<', b'[', prose.as_bytes()).is_some()
        || (!prose.is_ascii() && memchr::memmem::find(prose.as_bytes(), "◁".as_bytes()).is_some())
}

/// True where the user or the system message asks for lines of several speakers. The longest phrase is found, so a dialogue box
/// is no dialogue.
fn wants_dialogue(candidate: &Candidate<'_>) -> bool {
    [Some(candidate.user), candidate.system].into_iter().flatten().any(|text| {
        DIALOGUES.places_in(text).len() > WINDOWS.places_in(text).len()
            || (has_word(text, "script") && !PROGRAMS.occur_in(text))
    })
}

/// True where a word stands on its own: `script`, not `JavaScript` or `descriptive`.
fn has_word(text: &str, word: &str) -> bool {
    let small = text.to_ascii_lowercase();
    small.match_indices(word).any(|(at, _)| {
        let after = small[at + word.len()..].trim_start_matches('s');
        !small[..at].ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
    })
}

/// True if a text speaks of a mark in quotation marks.
fn is_quoted(text: &str, at: usize, mark: &str) -> bool {
    const QUOTES: &str = "\"'“”‘’«»「」『』";
    let is_quote = |next: Option<char>| next.is_some_and(|next| QUOTES.contains(next));
    is_quote(text[..at].chars().next_back()) && is_quote(text[at + mark.len()..].chars().next())
}

/// True if the user wrote the same mark.
fn is_named(user: &str, mark: &str) -> bool {
    memchr::memmem::find(user.as_bytes(), mark.as_bytes()).is_some()
}

/// Removes inline code: text between single backticks on one line.
pub(super) fn outside_inline_code(prose: &str) -> Cow<'_, str> {
    if memchr::memchr(b'`', prose.as_bytes()).is_none() {
        return Cow::Borrowed(prose);
    }
    let outside = |line: &str| line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    Cow::Owned(prose.lines().map(outside).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_foreign_lines_are_caught_outside_of_code() {
        let hits = |answer: &str| TemplateLeak.hits(&Candidate::new("Why?", answer), 0.0);
        assert!(
            hits("So.<|im_end|>")
                && hits("[INST] Why? [/INST]")
                && hits("So.\nHuman: And then?")
                && hits("I <think> so")
        );
        assert!(hits("所以。<｜end▁of▁sentence｜>"));
        assert!(!hits("Use this:\n```\n<|im_start|>user\n```") && !hits("x < y, [1], <b>, the user: you"));
        assert!(!hits("The `<think>` tag opens a thought, `[INST]` a turn."));
        assert!(!TemplateLeak.hits(&Candidate::new("What is ChatML?", "It has <|im_start|> and <|im_end|>."), 0.0));
        let leak = Candidate::new("谢谢，这次对话很有用。", "不客气。<|im_end|>\n<|im_start|>user");
        assert!(TemplateLeak.hits(&leak, 0.0), "to speak of a dialogue is not to ask for marks");
        assert!(!TemplateLeak.hits(&Candidate::new("写一段对话", "好的：\nUser: Hi."), 0.0));
        assert!(
            hits("It flies. USER: And then? ASSISTANT: It lands.")
                && hits("ASSISTANT: It flies.")
                && hits("It flies.\n\n### Instruction:\nAnd then?")
                && hits("### Response:\nIt flies.")
                && hits("It flies.\nassistant\nIt flies.")
                && hits("It flies.\nNote: so.\nNote: yes.\n\nIt lands.\n\nHuman: And then?")
        );
        assert!(hits("It flies.</s>") && hits("It flies.[/THINK]") && hits("<tool_call>\n{}\n</tool_call>"));
        assert!(!hits("They met.\nRobot: Who are you?\nHuman: A guest.\nRobot: Welcome."), "a script of its own");
        assert!(!hits("Roles:\nAdmin: does all.\nUser: reads only."), "a list of names");
        assert!(hits("It flies.\n\nAssistant: It lands.") && hits("It flies.\n### User:\nAnd then?"));
        assert!(hits("Human: It flies."), "one speaker alone makes no script");
        assert!(!hits("## Response\nThe server sends 200.\n### Response: 200\nThen it closes."));
        assert!(!hits("The price is <s>20</s> 15 dollars.") && !hits("An unknown word becomes \"<unk>\"."));
        let named = Candidate::new("When is <unk> used?", "It is used for <unk> words.");
        assert!(!TemplateLeak.hits(&named, 0.0), "the user wrote it");
        assert!(!hits("<think>so</think>Yes.") && !hits("User: Hi.\nBot: Hello.\nUser: Bye."));
    }

    #[test]
    fn a_turn_is_found_in_the_language_of_the_answer_and_a_heading_is_none() {
        let hits = |answer: &str| TemplateLeak.hits(&Candidate::new("Why?", answer), 0.0);
        for answer in [
            "答案是12。\n用户：谢谢你！",
            "答えは12です。\n\nユーザー: ありがとう",
            "답은 12입니다.\n  사용자: 고마워요",
            "Es ist 12.\n\n**Benutzer:** Danke",
            "C'est 12.\nUtilisateur : Merci",
            "Son 12.\nUsuario: Gracias",
            "Sono 12.\nUtente: Grazie",
            "São 12.\n**Usuário**: Obrigado",
            "Это 12.\nПользователь: Спасибо",
            "إنها 12.\nالمستخدم: شكرا",
            "यह 12 है।\nउपयोगकर्ता: धन्यवाद",
            "It is 12.\n### User:\nThanks",
            "It is 12.\n\tHuman: Thanks",
            "Assistant:",
            "Assistant: It is 12.\n\nHuman: Thanks.\n\nAssistant: Bye.",
            "助手：答案是12。",
            "It is 12.\n\n### Response:\nIt is 12.",
        ] {
            assert!(hits(answer), "{answer}");
        }
        for answer in [
            "Two sides.\n\n### Human Health\n\nSmall parts.\n\n### Assistant Manager\n\nOne.",
            "An example:\n\nUser: Hi\nBot: Yes",
            "**Admin:** does all.\n\n**User:** reads only.\n\n**Guest:** sees.",
            "1. User: reads",
            "角色：\n管理员：全部\n用户：只读",
        ] {
            assert!(!hits(answer), "{answer}");
        }
    }

    #[test]
    fn a_dialogue_that_was_asked_for_is_let_pass_in_eight_languages_and_a_script_of_code_is_none() {
        let hits = |user: &str| TemplateLeak.hits(&Candidate::new(user, "So.\nUser: Hi.\nAssistant: Hello."), 0.0);
        for user in [
            "Write a dialogue.",
            "Schreibe ein Gespräch.",
            "Écris une saynète.",
            "Escribe una entrevista.",
            "Scrivi un dialogo.",
            "Escreva um roteiro.",
            "Напиши диалог.",
            "写一段对话。",
            "会話を書いて。",
            "대화를 써 줘.",
            "اكتب حوارا.",
            "एक संवाद लिखो।",
            "Write the script of a short play.",
        ] {
            assert!(!hits(user), "{user}");
        }
        for user in [
            "Explain JavaScript.",
            "Write a descriptive text.",
            "Write a Python script.",
            "Write an e-mail template.",
            "Open the dialogue box.",
            "Откройте диалоговое окно.",
            "打开对话框。",
            "대화 상자를 여세요.",
            "Abre el cuadro de diálogo.",
        ] {
            assert!(hits(user), "{user}");
        }
        let marked = Candidate::new("Write an e-mail template.", "Dear all.<|im_end|>");
        assert!(TemplateLeak.hits(&marked, 0.0));
    }

    #[test]
    fn its_places_are_the_lines() {
        let answer = "It is 12.\n**User:** Thanks\nassistant\nBye";
        assert_eq!(TemplateLeak.places(&Candidate::new("Why?", answer)), [10..26, 27..36]);
    }
}
