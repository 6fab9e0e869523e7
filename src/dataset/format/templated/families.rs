//! The families of chat templates: one table.

use super::mark::{Kind, Layout, Mark, Place};
use super::marks::{
    ANGLE, BAR, CHATML, COMMAND, DEEPSEEK, EXAONE, GEMMA, GEMMA4, GRANITE, HARMONY, HASH_HUMAN, HASH_INSTRUCTION,
    HASH_USER, HUMAN_ASSISTANT, INST, KIMI, LLAMA3, LLAMA4, OPENCHAT, PHI, PIPES, USER_ASSISTANT, VICUNA,
};

/// The templates that share their markers.
#[derive(Debug)]
pub struct Family {
    /// Its markers, in groups.
    pub marks: &'static [&'static [Mark]],
    /// Where its markers may stand.
    pub place: Place,
    /// The white space around its markers: one of these for a row.
    pub layouts: &'static [Layout],
}

impl Family {
    /// True where this is one of its markers.
    pub fn has(&self, marker: &str) -> bool {
        self.marks.iter().copied().flatten().any(|mark| mark.0 == marker)
    }

    /// True where a text without an end marker is hardly of this family.
    pub fn needs_ends(&self) -> bool {
        !std::ptr::eq(self.layouts, WORDS) && self.marks.iter().copied().flatten().any(|mark| mark.1 == Kind::End)
    }

    /// True where instructions stand within the user's message, between two markers.
    pub fn is_paired(&self) -> bool {
        std::ptr::eq(self.marks[0], INST)
    }

    /// True where every `<|name|>` is a marker.
    pub fn has_bars(&self) -> bool {
        std::ptr::eq(self.marks[0], PIPES)
    }
}

/// The families. Where a row fits several alike, the first is taken.
pub static FAMILIES: &[Family] = &[
    // ChatML: Qwen, Yi, Hermes, InternLM2, and Phi-4 with `<|im_sep|>`.
    tokens(&[CHATML], TURNS),
    // Llama-3, Llama-4.
    tokens(&[LLAMA3], &[layout("", "\n\n")]),
    tokens(&[LLAMA4], &[layout("", "\n\n")]),
    // Llama-2 and Mistral.
    tokens(&[INST], INST_LAYOUTS),
    // Phi-3, Phi-4-mini, StarChat.
    tokens(&[PIPES, PHI], &[layout("\n", "\n"), layout("", "")]),
    // Zephyr, TinyLlama, Tülu, OpenAssistant, ChatGLM3, GLM-4.
    tokens(&[PIPES, &[Mark("</s>", Kind::End)]], LINES),
    tokens(&[PIPES, &[Mark("<eos>", Kind::End)]], LINES),
    tokens(&[PIPES, &[Mark("<|endoftext|>", Kind::End)]], &[layout("\n", "\n"), layout("", "")]),
    tokens(&[PIPES, &[Mark("[gMASK]", Kind::Special), Mark("<sop>", Kind::Special)]], GLM_LAYOUTS),
    tokens(&[PIPES], &[layout("\n", "\n"), layout("", "\n"), layout("\n\n", "\n"), layout("", "")]),
    // Gemma, Gemma 4, EXAONE, Kimi, gpt-oss, Granite, Command R, OpenChat.
    tokens(&[GEMMA], TURNS),
    tokens(&[GEMMA4], TURNS),
    tokens(&[EXAONE], &[layout("\n", "\n"), layout("\n", " "), layout("\n", "")]),
    tokens(&[KIMI], &[layout("", "")]),
    tokens(&[HARMONY], &[layout("", "")]),
    tokens(&[GRANITE], &[layout("", "")]),
    tokens(&[COMMAND], &[layout("", "")]),
    tokens(&[OPENCHAT], &[layout("", " ")]),
    tokens(&[DEEPSEEK], &[layout("", ""), layout("\n\n", "")]),
    // Markers of words.
    tokens(&[HASH_HUMAN], WORDS),
    tokens(&[HASH_USER], WORDS),
    tokens(&[HASH_INSTRUCTION], WORDS),
    tokens(&[ANGLE], WORDS),
    tokens(&[BAR], WORDS),
    Family { marks: &[VICUNA], place: Place::AfterSpace, layouts: WORDS },
    Family { marks: &[USER_ASSISTANT], place: Place::LineStart, layouts: WORDS },
    Family { marks: &[HUMAN_ASSISTANT], place: Place::LineStart, layouts: WORDS },
];

const fn tokens(marks: &'static [&'static [Mark]], layouts: &'static [Layout]) -> Family {
    Family { marks, place: Place::Anywhere, layouts }
}

const fn layout(before: &'static str, after: &'static str) -> Layout {
    Layout { open: (before, after), answer: ("", ""), end: "" }
}

/// `[INST]`, `[/INST]`, `</s>`.
const fn inst(after: &'static str, answer: (&'static str, &'static str), end: &'static str) -> Layout {
    Layout { open: ("", after), answer, end }
}

/// The line end after the name of the role belongs to the marker.
const TURNS: &[Layout] = &[layout("\n", "")];
const LINES: &[Layout] = &[layout("\n", "\n")];
const GLM_LAYOUTS: &[Layout] = &[layout("", "\n"), layout("", "\n "), layout("\n", "\n")];
const INST_LAYOUTS: &[Layout] = &[
    inst(" ", (" ", " "), " "),
    inst(" ", (" ", " "), ""),
    inst(" ", (" ", ""), ""),
    inst(" ", ("", " "), ""),
    inst("", ("", ""), ""),
];
const WORDS: &[Layout] = &[
    layout("\n\n", "\n"),
    layout("\n\n", " "),
    layout("\n", "\n"),
    layout("\n", " "),
    layout(" ", " "),
    layout("\n\n", ""),
    layout("\n", ""),
    layout("", "\n"),
    layout("", " "),
    layout("", ""),
];
