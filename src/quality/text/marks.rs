//! Finds the special tokens of chat templates: what the tokenizer configurations of the published model families declare.
//!
//! Most families write their tokens in one of a few forms, so forms are recognised before names.

use super::Needles;

/// Tokens in angle brackets that have no form of their own.
const ANGLED: &[&str] = &[
    // Gemma, SmolVLM, and copies of ChatML without bars
    "<start_of_turn>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<im_start>",
    "<im_end>",
    "<start_of_image>",
    "<end_of_image>",
    "<image_soft_token>",
    // Llama 2
    "<<SYS>>",
    "<</SYS>>",
    // The ends and the padding of SentencePiece, T5, BERT and GLM
    "<bos>",
    "<eos>",
    "<eot>",
    "<eod>",
    "<pad>",
    "<unk>",
    "<sop>",
    "<eop>",
    "<begin_of_text>",
    "<end_of_text>",
    // InternLM 1, MiniCPM
    "<eoh>",
    "<eoa>",
    "<eosys>",
    "<用户>",
    "<AI>",
    // Cohere
    "<BOS_TOKEN>",
    "<EOS_TOKEN>",
    "<EOP_TOKEN>",
    "<PAD_TOKEN>",
    "<UNK_TOKEN>",
    // Calls of tools: Hermes, Qwen, Granite, Nemotron, Glaive
    "<tool_call>",
    "</tool_call>",
    "<tool_calls>",
    "</tool_calls>",
    "<tool_response>",
    "</tool_response>",
    "<function_call>",
    "<function_calls>",
    "<functioncall>",
    "<TOOLCALL>",
    "</TOOLCALL>",
    "<TOOL_RESPONSE>",
    "<AVAILABLE_TOOLS>",
    "<scratch_pad>",
    // Filling in the middle: SmolLM, Granite, StarCoder
    "<fim_prefix>",
    "<fim_middle>",
    "<fim_suffix>",
    "<fim_pad>",
    // Code and images: SmolLM, StarCoder, Idefics. Their `<filename>` is a placeholder in too many answers
    "<file_sep>",
    "<gh_stars>",
    "<issue_start>",
    "<issue_comment>",
    "<issue_closed>",
    "<empty_output>",
    "<global-img>",
    "<fake_token_around_image>",
    // MiniMax's first models
    "<beginning_of_sentence>",
    "<end_of_sentence>",
];
/// Tokens in angle brackets that end in a number.
const NUMBERED: &[&str] =
    &["<unused", "<extra_id_", "<reserved_", "<SPECIAL_", "<TOKENS_UNUSED_", "<reserved_token_", "<special_token_"];
/// Beginnings of tokens whose rest varies.
const OPENED: &[&str] = &[
    "<jupyter_",
    "<｜",
    "<seed:",
    "</seed:",
    "<minimax:",
    "</minimax:",
    "<function=",
    "<parameter=",
    "<[begin",
    "<[end",
    "<[PLHD",
];
/// Tokens in square brackets: Mistral, GLM, Kimi, BERT.
const SQUARE: &[&str] = &[
    "[INST]",
    "[/INST]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_CALLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CONTENT]",
    "[/TOOL_CONTENT]",
    "[CALL_ID]",
    "[ARGS]",
    "[MODEL_SETTINGS]",
    "[UNUSED_TOKEN_",
    "[unused",
    "[gMASK]",
    "[sMASK]",
    "[MASK]",
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[BOS]",
    "[EOS]",
    "[EOT]",
    "[e~[",
];
/// `MiniMax`'s marks.
const REVERSED: &[&str] = &["]~b]", "]~!b[", "]!p~[", "]!d~[", "]<]"];
/// Channels of gpt-oss whose marks a decoder dropped, and what `OLMo`'s data masks.
const WORDS: &[&str] = &[
    "assistantfinal",
    "assistantanalysis",
    "assistantcommentary",
    "|||IP_ADDRESS|||",
    "|||EMAIL_ADDRESS|||",
    "|||PHONE_NUMBER|||",
];
/// What each of them begins with.
static WORD_BEGINNINGS: Needles = Needles::new(|| Needles::finders(&["assistant", "|||"]));
/// What Falcon's tokens begin with.
static FALCON: Needles = Needles::new(|| Needles::finders(&[">>"]));
/// The beginnings of tokens that an answer broke off in.
const CUT: &[&str] =
    &["<|im_", "<|eot", "<|eom", "<|start_header", "<|end_header", "<|endoftext", "<|begin_of", "<|end_of"];
/// Shortest name between bars. `<|m|>` is a mean in physics.
const NAME_CHARACTERS_MIN: usize = 3;

/// Returns the places and the texts of all template tokens, in no order.
pub fn template_marks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let brackets = memchr::memchr3_iter(b'<', b'[', b']', text.as_bytes());
    let bracketed = brackets.filter_map(|at| Some((at, mark_at(&text[at..])?)));
    let may_hold_words = WORD_BEGINNINGS.occur_in(text);
    let words = WORDS.iter().filter(move |_| may_hold_words).filter_map(|word| Some((text.find(word)?, *word)));
    let falcon = FALCON.places_in(text).filter_map(|at| Some((at, falcon_at(&text[at..])?)));
    bracketed.chain(words).chain(falcon).chain(stray_sentence_end(text))
}

/// Returns the token that `text` begins with.
fn mark_at(text: &str) -> Option<&str> {
    let exact = match text.as_bytes()[0] {
        b'<' => ANGLED,
        b'[' => SQUARE,
        _ => REVERSED,
    };
    // `[inst]` is as good as `[INST]`; other words in square brackets are placeholders unless in capitals.
    let ignores_case = |mark: &str| mark.ends_with("INST]");
    let begins = |mark: &&str| {
        let start = text.as_bytes().get(..mark.len());
        start.is_some_and(|start| {
            start == mark.as_bytes() || (ignores_case(mark) && start.eq_ignore_ascii_case(mark.as_bytes()))
        })
    };
    let found = exact.iter().copied().find(|mark| begins(mark)).map(str::len);
    let opened = || OPENED.iter().find(|mark| text.starts_with(**mark)).map(|mark| mark.len());
    let cut = || CUT.iter().find(|mark| text.starts_with(**mark)).map(|mark| mark.len());
    let length = found.or_else(|| barred(text)).or_else(|| numbered(text)).or_else(opened).or_else(cut)?;
    Some(&text[..length])
}

/// Returns the length of `<|name|>`, `<|name>`, `<name|>` or `[|name|]` at the beginning of a text.
fn barred(text: &str) -> Option<usize> {
    let (open, closes): (&str, &[&str]) = match text {
        text if text.starts_with("<|") => ("<|", &["|>", ">"]),
        text if text.starts_with("[|") => ("[|", &["|]"]),
        _ => ("<", &["|>"]),
    };
    let rest = text.strip_prefix(open)?;
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let is_part = |next: char| next.is_ascii_alphanumeric() || matches!(next, '_' | '-' | ':' | '.' | '▁');
    let end = rest.find(|next| !is_part(next))?;
    let has_name = end >= NAME_CHARACTERS_MIN && rest.starts_with(|first: char| first.is_ascii_alphabetic());
    let close = closes.iter().find(|close| has_name && rest[end..].starts_with(**close))?;
    Some(text.len() - rest.len() + end + close.len())
}

/// Returns the length of a token with a number, or of a byte that `SentencePiece` could not decode: `<0x0A>`.
fn numbered(text: &str) -> Option<usize> {
    // No token of this form is longer; without a limit, a text of opening brackets is searched to its end from each.
    const TOKEN_BYTES_MAX: usize = 48;
    let near = &text.as_bytes()[..text.len().min(TOKEN_BYTES_MAX)];
    let end = memchr::memchr(b'>', near)?;
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let is_numbered = NUMBERED.iter().any(|mark| text[..end].strip_prefix(mark).is_some_and(is_number));
    let is_byte = text[..end].strip_prefix("<0x").is_some_and(|digits| {
        digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit() || matches!(digit, b'A'..=b'F'))
    });
    (is_numbered || is_byte).then_some(end + 1)
}

/// Returns Falcon's `>>QUESTION<<` at the beginning of a text.
fn falcon_at(text: &str) -> Option<&str> {
    let name = text[2..].find(|next: char| !next.is_ascii_uppercase())?;
    (name >= 5 && text[2 + name..].starts_with("<<")).then(|| &text[..name + 4])
}

/// Returns the first `</s>` without its `<s>`, or `<s>` that is not closed. Both together strike text through in HTML.
fn stray_sentence_end(text: &str) -> Option<(usize, &str)> {
    let mut opened = None;
    for at in memchr::memchr_iter(b'<', text.as_bytes()) {
        if text[at..].starts_with("<s>") {
            opened = Some((at, "<s>"));
        } else if text[at..].starts_with("</s>") && opened.take().is_none() {
            return Some((at, "</s>"));
        }
    }
    opened
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(text: &str) -> Vec<&str> {
        template_marks(text).map(|(_, mark)| mark).collect()
    }

    #[test]
    fn the_tokens_of_every_family_are_found() {
        let tokens = "<|im_start|> <|im_end|> <<SYS>> <</SYS>> <|start_header_id|> <|eot_id|> <|eom_id|> <|python_tag|> \
                      <|header_start|> <|eot|> <start_of_turn> <end_of_turn> <|turn> <turn|> <|system|> <|assistant|> <|end|> \
                      <|endoftext|> [INST] [/INST] [TOOL_CALLS] [AVAILABLE_TOOLS] <｜User｜> <｜end▁of▁sentence｜> <tool_call> \
                      </tool_call> <|observation|> <|begin_of_box|> <|startoftext|> <reserved_106> <用户> <AI> <eoh> <eoa> \
                      <|action_start|> <|im_middle|> <|tool_calls_section_begin|> ]~b] ]~!b[ [e~[ <seed:bos> <seed:eos> \
                      [SYSTEM_PROMPT] <|START_OF_TURN_TOKEN|> <|END_RESPONSE|> <|start_of_role|> <|end_of_role|> <extra_id_1> \
                      <SPECIAL_12> <|channel|> <|return|> <tool_response> <|endofprompt|> <pad> <unk> [PAD] [UNK] [CLS] [SEP] \
                      [MASK] <eos> <bos> >>QUESTION<< <|USER|> |||IP_ADDRESS||| [gMASK] <sop> <unused7> <0x0A> \
                      <minimax:tool_call> <|EOT|> [|endofturn|] assistantfinal [UNUSED_TOKEN_145] <beginning_of_sentence> [ARGS] <TOKENS_UNUSED_0>";
        for token in tokens.split_whitespace() {
            assert!(!marks(&format!("An answer.{token}")).is_empty(), "{token}");
        }
        assert_eq!(marks("An answer.</s>"), ["</s>"]);
        assert_eq!(marks("An answer.</s><s>"), ["</s>"]);
        assert_eq!(marks("<s> An answer."), ["<s>"]);
        assert_eq!(marks("An answer.<|im_"), ["<|im_"]);
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for text in [
            "It costs <s>20</s> 15 dollars, <s>now</s>.",
            "a <| b |> c, f <|> g, <|m|>, <x|y>, |<a|b>|^2",
            "<b>bold</b> <i>x</i> <mask id=\"m\"> <tools> <filename> <0x> <unused>",
            "x[0] [1] [NAME] [link](url) [x] [mask] arr[[1]] [[wiki]]",
            "cat a >> b << c, >>OK<<",
            "List<String> a; if a < b && c > d {}",
        ] {
            assert_eq!(marks(text), [""; 0], "{text}");
        }
    }
}
