/// Who speaks in a source row, whatever the row calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceRole {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The old assistant.
    Assistant,
    /// A tool's result, or a call to one.
    Tool,
}

/// Every name that datasets use. A role that is not here rejects its row: guessing would swap the sides.
const ALIASES: &[(&str, SourceRole)] = &[
    ("system", SourceRole::System),
    ("developer", SourceRole::System),
    ("user", SourceRole::User),
    ("human", SourceRole::User),
    ("prompter", SourceRole::User),
    ("client", SourceRole::User),
    ("customer", SourceRole::User),
    ("q", SourceRole::User),
    ("用户", SourceRole::User),
    ("来访者", SourceRole::User),
    ("assistant", SourceRole::Assistant),
    ("gpt", SourceRole::Assistant),
    ("bot", SourceRole::Assistant),
    ("chatgpt", SourceRole::Assistant),
    ("model", SourceRole::Assistant),
    ("ai", SourceRole::Assistant),
    ("bing", SourceRole::Assistant),
    ("bard", SourceRole::Assistant),
    ("counselor", SourceRole::Assistant),
    ("agent", SourceRole::Assistant),
    ("moss", SourceRole::Assistant),
    ("tool", SourceRole::Tool),
    ("observation", SourceRole::Tool),
    ("function", SourceRole::Tool),
    ("ipython", SourceRole::Tool),
    ("tool_response", SourceRole::Tool),
    ("function_call", SourceRole::Tool),
    ("tool_call", SourceRole::Tool),
];

impl SourceRole {
    /// Returns the role with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase();
        ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, role)| *role)
    }
}
