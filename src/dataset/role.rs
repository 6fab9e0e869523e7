/// The speaker of a message in a source row, independent of the row's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceRole {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The source's assistant.
    Assistant,
    /// A tool call or its result.
    Tool,
}

/// The role names that datasets use. A row with any other role is invalid: a guess might swap the speakers.
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
    ("chatbot", SourceRole::Assistant),
    ("助手", SourceRole::Assistant),
    ("tool", SourceRole::Tool),
    ("observation", SourceRole::Tool),
    ("function", SourceRole::Tool),
    ("ipython", SourceRole::Tool),
    ("tool_response", SourceRole::Tool),
    ("tool_result", SourceRole::Tool),
    ("environment", SourceRole::Tool),
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
