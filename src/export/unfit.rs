/// Why a record does not fit a format: its trainer would refuse or spoil the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unfit {
    /// An answer without loss, in a format without a mask.
    MaskedAnswer,
    /// A tool call with text.
    CallWithWords,
    /// No answer to train on.
    NoAnswer,
    /// The assistant speaks first.
    AssistantFirst,
    /// Tool calls, whose arguments have no fixed columns, in a table.
    ToolsInTable,
    /// Names of speakers, which a table has no column for.
    NamesInTable,
    /// A tool call or result where the format expects another speaker.
    ToolsOutOfTurn,
    /// A system message at the end.
    SystemLast,
    /// No second answer to compare with.
    NoPair,
    /// Two answers that are the same.
    SameAnswers,
    /// No label that says whether the answer is good.
    NoLabel,
    /// An answer without token ids.
    NoTokens,
}

impl Unfit {
    /// Every reason.
    pub const ALL: [Self; 12] = [
        Self::MaskedAnswer,
        Self::CallWithWords,
        Self::NoAnswer,
        Self::AssistantFirst,
        Self::ToolsInTable,
        Self::NamesInTable,
        Self::ToolsOutOfTurn,
        Self::SystemLast,
        Self::NoPair,
        Self::SameAnswers,
        Self::NoLabel,
        Self::NoTokens,
    ];

    /// Returns the code in outputs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaskedAnswer => "masked_answer",
            Self::CallWithWords => "call_with_words",
            Self::NoAnswer => "no_answer",
            Self::AssistantFirst => "assistant_first",
            Self::ToolsInTable => "tools_in_table",
            Self::NamesInTable => "names_in_table",
            Self::ToolsOutOfTurn => "tools_out_of_turn",
            Self::SystemLast => "system_last",
            Self::NoPair => "no_pair",
            Self::SameAnswers => "same_answers",
            Self::NoLabel => "no_label",
            Self::NoTokens => "no_tokens",
        }
    }
}
