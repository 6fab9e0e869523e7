//! The markers of each family, and what they do.

use super::mark::{Kind, Mark};
use crate::dataset::role::SourceRole::{Assistant, System, Tool, User};

pub const CHATML: &[Mark] = &[
    Mark("<|im_start|>", Kind::Named(&["<|im_sep|>", "\n"])),
    Mark("<|im_end|>", Kind::End),
    Mark("<|endoftext|>", Kind::End),
    Mark("<|im_sep|>", Kind::Special),
];
pub const LLAMA3: &[Mark] = &[
    Mark("<|start_header_id|>", Kind::Named(&["<|end_header_id|>"])),
    Mark("<|end_header_id|>", Kind::Special),
    Mark("<|eot_id|>", Kind::End),
    Mark("<|eom_id|>", Kind::End),
    Mark("<|end_of_text|>", Kind::End),
    Mark("<|begin_of_text|>", Kind::Special),
    Mark("<|python_tag|>", Kind::Call),
];
pub const LLAMA4: &[Mark] = &[
    Mark("<|header_start|>", Kind::Named(&["<|header_end|>"])),
    Mark("<|header_end|>", Kind::Special),
    Mark("<|eot|>", Kind::End),
    Mark("<|eom|>", Kind::End),
    Mark("<|begin_of_text|>", Kind::Special),
    Mark("<|python_start|>", Kind::Special),
];
pub const INST: &[Mark] = &[
    Mark("[INST]", Kind::Open(User)),
    Mark("[/INST]", Kind::Answer),
    Mark("<<SYS>>", Kind::Instructions),
    Mark("<</SYS>>", Kind::InstructionsEnd),
    Mark("<s>", Kind::Special),
    Mark("</s>", Kind::End),
    Mark("[SYSTEM_PROMPT]", Kind::Open(System)),
    Mark("[/SYSTEM_PROMPT]", Kind::End),
    Mark("[AVAILABLE_TOOLS]", Kind::Tools),
    Mark("[/AVAILABLE_TOOLS]", Kind::ToolsEnd),
    Mark("[TOOL_RESULTS]", Kind::Open(Tool)),
    Mark("[/TOOL_RESULTS]", Kind::Answer),
    Mark("[TOOL_CALLS]", Kind::Call),
    Mark("[TOOL_CONTENT]", Kind::Call),
    Mark("[ARGS]", Kind::Call),
    Mark("[CALL_ID]", Kind::Call),
];
pub const PIPES: &[Mark] = &[
    Mark("<|system|>", Kind::Open(System)),
    Mark("<|developer|>", Kind::Open(System)),
    Mark("<|user|>", Kind::Open(User)),
    Mark("<|human|>", Kind::Open(User)),
    Mark("<|prompter|>", Kind::Open(User)),
    Mark("<|assistant|>", Kind::Open(Assistant)),
    Mark("<|bot|>", Kind::Open(Assistant)),
    Mark("<|model|>", Kind::Open(Assistant)),
    Mark("<|observation|>", Kind::Open(Tool)),
    Mark("<|tool_response|>", Kind::Open(Tool)),
    Mark("<|ipython|>", Kind::Open(Tool)),
    Mark("<|function|>", Kind::Open(Tool)),
    Mark("<|environment|>", Kind::Open(Tool)),
    Mark("<|tool|>", Kind::Tools),
    Mark("<|/tool|>", Kind::ToolsEnd),
    Mark("<|tool_call|>", Kind::Call),
    Mark("<|/tool_call|>", Kind::Call),
];
pub const PHI: &[Mark] = &[Mark("<|end|>", Kind::End), Mark("<|endoftext|>", Kind::End)];
pub const GEMMA: &[Mark] =
    &[Mark("<start_of_turn>", Kind::Named(&["\n"])), Mark("<end_of_turn>", Kind::End), Mark("<eos>", Kind::End)];
pub const GEMMA4: &[Mark] = &[
    Mark("<|turn>", Kind::Named(&["\n"])),
    Mark("<turn|>", Kind::End),
    Mark("<|channel>", Kind::Call),
    Mark("<channel|>", Kind::Call),
    Mark("<|tool>", Kind::Special),
    Mark("<|tool_call>", Kind::Special),
    Mark("<|tool_response>", Kind::Special),
];
pub const EXAONE: &[Mark] = &[
    Mark("[|system|]", Kind::Open(System)),
    Mark("[|user|]", Kind::Open(User)),
    Mark("[|assistant|]", Kind::Open(Assistant)),
    Mark("[|tool|]", Kind::Open(Tool)),
    Mark("[|endofturn|]", Kind::End),
];
pub const KIMI: &[Mark] = &[
    Mark("<|im_system|>", Kind::Named(&["<|im_middle|>"])),
    Mark("<|im_user|>", Kind::Named(&["<|im_middle|>"])),
    Mark("<|im_assistant|>", Kind::Named(&["<|im_middle|>"])),
    Mark("<|im_middle|>", Kind::Special),
    Mark("<|im_end|>", Kind::End),
];
pub const HARMONY: &[Mark] = &[
    Mark("<|start|>", Kind::Named(&["<|message|>"])),
    Mark("<|message|>", Kind::Special),
    Mark("<|channel|>", Kind::Special),
    Mark("<|end|>", Kind::End),
    Mark("<|return|>", Kind::End),
    Mark("<|call|>", Kind::End),
];
pub const GRANITE: &[Mark] = &[
    Mark("<|start_of_role|>", Kind::Named(&["<|end_of_role|>"])),
    Mark("<|end_of_role|>", Kind::Special),
    Mark("<|end_of_text|>", Kind::End),
];
pub const COMMAND: &[Mark] = &[
    Mark("<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>", Kind::Open(System)),
    Mark("<|START_OF_TURN_TOKEN|><|USER_TOKEN|>", Kind::Open(User)),
    Mark("<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", Kind::Open(Assistant)),
    Mark("<|END_OF_TURN_TOKEN|>", Kind::End),
    Mark("<BOS_TOKEN>", Kind::Special),
    Mark("<|START_RESPONSE|>", Kind::Special),
    Mark("<|END_RESPONSE|>", Kind::Special),
    Mark("<|START_THINKING|>", Kind::Special),
    Mark("<|START_ACTION|>", Kind::Special),
    Mark("<|START_TOOL_RESULT|>", Kind::Special),
];
pub const OPENCHAT: &[Mark] = &[
    Mark("GPT4 Correct System:", Kind::Open(System)),
    Mark("GPT4 Correct User:", Kind::Open(User)),
    Mark("GPT4 Correct Assistant:", Kind::Open(Assistant)),
    Mark("<|end_of_turn|>", Kind::End),
];
pub const DEEPSEEK: &[Mark] = &[
    Mark("<｜System｜>", Kind::Open(System)),
    Mark("<｜User｜>", Kind::Open(User)),
    Mark("<｜Assistant｜>", Kind::Open(Assistant)),
    Mark("<｜tool▁output▁begin｜>", Kind::Open(Tool)),
    Mark("<｜tool▁output▁end｜>", Kind::Answer),
    Mark("<｜tool▁outputs▁begin｜>", Kind::Special),
    Mark("<｜tool▁outputs▁end｜>", Kind::Answer),
    Mark("<｜begin▁of▁sentence｜>", Kind::Special),
    Mark("<｜end▁of▁sentence｜>", Kind::End),
    Mark("<｜tool▁calls▁begin｜>", Kind::Call),
    Mark("<｜tool▁calls▁end｜>", Kind::Call),
    Mark("<｜tool▁call▁begin｜>", Kind::Call),
    Mark("<｜tool▁call▁end｜>", Kind::Call),
    Mark("<｜tool▁sep｜>", Kind::Call),
];
pub const HASH_HUMAN: &[Mark] = &[
    Mark("### System:", Kind::Open(System)),
    Mark("### Human:", Kind::Open(User)),
    Mark("###Human:", Kind::Open(User)),
    Mark("###Assistant:", Kind::Open(Assistant)),
    Mark("### Assistant:", Kind::Open(Assistant)),
    Mark("### Observation:", Kind::Open(Tool)),
    Mark("### Tool:", Kind::Open(Tool)),
    Mark("</s>", Kind::End),
];
pub const HASH_USER: &[Mark] = &[
    Mark("### System:", Kind::Open(System)),
    Mark("### User:", Kind::Open(User)),
    Mark("### Assistant:", Kind::Open(Assistant)),
    Mark("### Observation:", Kind::Open(Tool)),
    Mark("### Tool:", Kind::Open(Tool)),
    Mark("</s>", Kind::End),
];
pub const HASH_INSTRUCTION: &[Mark] = &[
    Mark("### System:", Kind::Open(System)),
    Mark("### Instruction:", Kind::Open(User)),
    Mark("### Input:", Kind::Input),
    Mark("### Response:", Kind::Open(Assistant)),
    Mark("</s>", Kind::End),
];
pub const ANGLE: &[Mark] =
    &[Mark("<system>:", Kind::Open(System)), Mark("<human>:", Kind::Open(User)), Mark("<bot>:", Kind::Open(Assistant))];
pub const BAR: &[Mark] = &[
    Mark("[|System|]", Kind::Open(System)),
    Mark("[|Human|]", Kind::Open(User)),
    Mark("[|AI|]", Kind::Open(Assistant)),
];
pub const VICUNA: &[Mark] = &[
    Mark("SYSTEM:", Kind::Open(System)),
    Mark("USER:", Kind::Open(User)),
    Mark("ASSISTANT:", Kind::Open(Assistant)),
    Mark("</s>", Kind::End),
];
pub const USER_ASSISTANT: &[Mark] = &[
    Mark("System:", Kind::Open(System)),
    Mark("User:", Kind::Open(User)),
    Mark("Assistant:", Kind::Open(Assistant)),
    Mark("<｜end▁of▁sentence｜>", Kind::End),
    Mark("<｜begin▁of▁sentence｜>", Kind::Special),
    Mark("<end_of_utterance>", Kind::End),
];
pub const HUMAN_ASSISTANT: &[Mark] =
    &[Mark("System:", Kind::Open(System)), Mark("Human:", Kind::Open(User)), Mark("Assistant:", Kind::Open(Assistant))];
