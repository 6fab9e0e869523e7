//! Separates the reasoning that a model writes into its text from the answer.
//!
//! A block of reasoning stands at the beginning of a text. A tag elsewhere belongs to the text, and so does one that a
//! sentence, a list or code only mentions. Which of the two a tag is follows from what surrounds it.

/// Parts of the names of tags around reasoning: `<think>`, `<thinking>`, `<thought>`, `<seed:think>`, `<reasoning>`.
const NAME_PARTS: [&str; 3] = ["think", "thought", "reasoning"];
/// Longest name of a tag.
const NAME_BYTES_MAX: usize = 32;
/// The tags around reasoning that are of another form. They are special tokens, so case matters.
const OTHER_TAGS: [(&str, &str); 7] = [
    ("[THINK]", "[/THINK]"),
    ("<unused94>thought", "<unused95>"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|channel>thought", "<channel|>"),
];
/// The tags around an answer after reasoning.
const WRAPPERS: [(&str, &str); 2] =
    [("<|start_response|>", "<|end_response|>"), ("<|begin_of_solution|>", "<|end_of_solution|>")];
/// Most words between two tags that a sentence mentions: `<think> and </think>`.
const MENTION_WORDS_MAX: usize = 3;

/// A text whose reasoning is separated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitReasoning {
    /// The reasoning; several blocks are separated by an empty line.
    pub reasoning: String,
    /// The answer; empty if the reasoning does not end.
    pub text: String,
    /// False if the reasoning does not end: there is no answer.
    pub is_closed: bool,
}

/// Separates the reasoning at the beginning of a text; `None` for a text without it. The opening tag may be missing, as
/// templates put it into the prompt.
pub fn split_reasoning(text: &str) -> Option<SplitReasoning> {
    if let Some(split) = split_channels(text).or_else(|| split_bare_channels(text)) {
        return Some(split);
    }
    let (mut rest, mut blocks, mut is_closed) = (text, Vec::new(), true);
    while let Some((block, after)) = leading_block(rest) {
        blocks.push(block.trim());
        is_closed = after.is_some();
        rest = after.unwrap_or_default().trim_start();
    }
    if blocks.is_empty() {
        return None;
    }
    blocks.retain(|block| !block.is_empty());
    Some(SplitReasoning { reasoning: blocks.join("\n\n"), text: unwrapped(rest).to_owned(), is_closed })
}

/// Returns the tags of reasoning that occur in a text, each with its counterpart.
fn tags_in(text: &str) -> Vec<(String, String)> {
    let mut names: Vec<&str> = Vec::new();
    for (at, _) in text.match_indices('<') {
        let rest = text[at + 1..].strip_prefix('/').unwrap_or(&text[at + 1..]);
        let is_part = |next: char| next.is_ascii_alphanumeric() || matches!(next, '_' | ':' | '-');
        let end = rest.find(|next| !is_part(next)).filter(|end| rest[*end..].starts_with('>'));
        let name = end.filter(|end| *end <= NAME_BYTES_MAX).map(|end| &rest[..end]);
        let is_reasoning = |name: &&str| NAME_PARTS.iter().any(|part| positions(name, part).next().is_some());
        let name = name.filter(is_reasoning).filter(|name| names.iter().all(|known| !known.eq_ignore_ascii_case(name)));
        names.extend(name);
    }
    let pairs = names.into_iter().map(|name| (format!("<{name}>"), format!("</{name}>")));
    // Where a text has brackets, they are few: their places are looked at, not the text once for each tag.
    let places: Vec<usize> = memchr::memchr3_iter(b'<', b'[', "◁".as_bytes()[0], text.as_bytes()).collect();
    let occurs = |tag: &str| places.iter().any(|at| text.as_bytes()[*at..].starts_with(tag.as_bytes()));
    let others = OTHER_TAGS.iter().filter(|(open, close)| occurs(open) || occurs(close));
    pairs.chain(others.map(|(open, close)| ((*open).to_owned(), (*close).to_owned()))).collect()
}

/// Returns the first block of reasoning in a text and what follows it; `None` there if the block does not end.
fn leading_block(text: &str) -> Option<(&str, Option<&str>)> {
    let text = text.trim_start();
    let tags = tags_in(text);
    if let Some((open, close)) = tags.iter().find(|(open, _)| starts_with(text, open)) {
        return opened_block(&text[open.len()..], close);
    }
    let around = Surroundings::of(text);
    let unopened = |(open, close): &(String, String)| {
        let at = positions(text, close).find(|at| ends_block(&around, *at, close.len()))?;
        positions(&text[..at], open).next().is_none().then_some((at, at + close.len()))
    };
    let (at, end) = tags.iter().filter_map(unopened).min()?;
    Some((&text[..at], Some(&text[end..])))
}

/// Like [`leading_block`], after the opening tag.
fn opened_block<'a>(inner: &'a str, close: &str) -> Option<(&'a str, Option<&'a str>)> {
    let around = Surroundings::of(inner);
    let unquoted = || positions(inner, close).filter(|at| !around.is_quoted(*at, close.len()));
    let is_mention = |at: usize| inner[..at].ends_with([' ', '\t']) && continues_sentence(&inner[at + close.len()..]);
    let end = unquoted().find(|at| !is_mention(*at)).or_else(|| unquoted().next());
    let Some(at) = end else {
        return (!continues_sentence(inner)).then_some((inner, None));
    };
    let block = &inner[..at];
    let is_short = block.split_whitespace().count() <= MENTION_WORDS_MAX && !block.contains('\n');
    if is_mention(at) && is_short && block.starts_with(' ') {
        return None;
    }
    Some((block, Some(&inner[at + close.len()..])))
}

/// True if the closing tag at `at` ends reasoning whose opening tag is missing. A sentence that mentions the tag has a
/// space before it, or the sentence continues after it.
fn ends_block(around: &Surroundings<'_>, at: usize, length: usize) -> bool {
    let (before, after) = (&around.text[..at], &around.text[at + length..]);
    if around.is_quoted(at, length) {
        return false;
    }
    if before.trim().is_empty() {
        return !continues_sentence(after);
    }
    let is_glued = !before.ends_with([' ', '\t']);
    let last = before.trim_end_matches([' ', '\t']).chars().next_back().unwrap_or('\n');
    if is_list_marker(before) {
        return false;
    }
    let is_sentence_end = matches!(last, '\n' | '.' | '!' | '?' | '…' | '。' | '！' | '？');
    let is_line_end = after.trim_start_matches([' ', '\t']).starts_with(['\n', '\r']) || after.trim().is_empty();
    if is_line_end {
        return is_glued || is_sentence_end;
    }
    // Scripts without spaces mention a tag without spaces, too.
    let is_apart = is_sentence_end || last.is_ascii() || !last.is_alphabetic();
    (is_glued || is_sentence_end) && is_apart && !continues_sentence(after)
}

/// True if the last line of `before` is only the beginning of a list item: `2.`, `-`.
fn is_list_marker(before: &str) -> bool {
    // A line that is longer is no marker, and is not read to its beginning.
    const LINE_BYTES_MAX: usize = 256;
    let near = &before.as_bytes()[before.len().saturating_sub(LINE_BYTES_MAX)..];
    if before.len() > LINE_BYTES_MAX && memchr::memchr(b'\n', near).is_none() {
        return false;
    }
    let line = before.rsplit('\n').next().unwrap_or_default().trim();
    let number = line.strip_suffix(['.', ')', ':']).unwrap_or_default();
    matches!(line, "-" | "*" | "+" | "•") || (!number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// True if an answer holds a tag of reasoning that is neither mentioned nor part of a block at its beginning.
pub fn has_stray_reasoning_tag(answer: &str) -> bool {
    let begins_with_tag = tags_in(answer).iter().any(|(open, _)| starts_with(answer.trim_start(), open));
    let split = begins_with_tag.then(|| split_reasoning(answer)).flatten();
    if split.as_ref().is_some_and(|split| !split.is_closed) {
        return true;
    }
    let text = split.as_ref().map_or(answer, |split| &split.text);
    let around = &Surroundings::of(text);
    tags_in(text).iter().any(|(open, close)| {
        let unquoted = |tag| positions(text, tag).filter(move |at| !around.is_quoted(*at, tag.len()));
        let (opened, closed) = (unquoted(open).count(), unquoted(close).count());
        let is_mentioned =
            |at: usize| text[..at].ends_with([' ', '\t']) && continues_sentence(&text[at + close.len()..]);
        match (opened, closed) {
            (0, _) => unquoted(close).any(|at| !is_mentioned(at)),
            _ => opened != closed || unquoted(open).any(|at| begins_block(&text[..at])),
        }
    })
}

/// True if a tag after `before` is not part of a sentence or a list.
fn begins_block(before: &str) -> bool {
    let last = before.trim_end_matches([' ', '\t']).chars().next_back();
    let is_glued = last.is_some_and(|last| !last.is_whitespace()) && !before.ends_with([' ', '\t']);
    let is_apart = matches!(last, None | Some('\n' | '.' | '!' | '?' | '…' | '。' | '！' | '？'));
    !is_list_marker(before) && (is_apart || is_glued && last.is_some_and(char::is_alphanumeric))
}

/// True if a sentence continues: with punctuation, or with a word in lower case after a space.
fn continues_sentence(after: &str) -> bool {
    let rest = after.trim_start_matches([' ', '\t']);
    let Some(next) = rest.chars().next() else { return false };
    let is_punctuation = matches!(next, ',' | '.' | ';' | ':' | '!' | '?' | ')' | ']' | '}' | '”' | '’' | '»')
        || matches!(next, '，' | '。' | '；' | '：' | '、' | '！' | '？' | '）' | '」' | '》');
    is_punctuation || (rest.len() < after.len() && next.is_lowercase())
}

/// Where a text has line breaks, ticks and fences: found once, however many tags are looked at.
struct Surroundings<'a> {
    text: &'a str,
    breaks: Vec<usize>,
    ticks: Vec<usize>,
    /// Where the lines that begin with a fence have it.
    fences: Vec<usize>,
}

impl<'a> Surroundings<'a> {
    fn of(text: &'a str) -> Self {
        let ticks: Vec<usize> = memchr::memchr_iter(b'`', text.as_bytes()).collect();
        let breaks = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
        let mut fences = Vec::new();
        if !ticks.is_empty() {
            let mut start = 0;
            for line in text.split_inclusive('\n') {
                let said = line.trim_start();
                if said.starts_with("```") {
                    fences.push(start + line.len() - said.len());
                }
                start += line.len();
            }
        }
        Self { text, breaks, ticks, fences }
    }

    /// True if the tag at `at` is quoted, emphasised, or in code.
    fn is_quoted(&self, at: usize, length: usize) -> bool {
        const QUOTES: &str = "\"'`*_“”‘’«»「」『』《》";
        let is_quote = |character: Option<char>| character.is_some_and(|character| QUOTES.contains(character));
        let (before, after) = (&self.text[..at], &self.text[at + length..]);
        if is_quote(before.chars().next_back()) && is_quote(after.chars().next()) {
            return true;
        }
        if self.ticks.is_empty() {
            return false;
        }
        let end = at + length;
        let line = self.breaks.partition_point(|place| *place < at);
        let line_start = line.checked_sub(1).map_or(0, |line| self.breaks[line] + 1);
        let line_end = self.breaks.get(line).copied().unwrap_or(self.text.len());
        let ticks_before =
            self.ticks.partition_point(|tick| *tick < at) - self.ticks.partition_point(|tick| *tick < line_start);
        let has_tick_after =
            self.ticks.get(self.ticks.partition_point(|tick| *tick < end)).is_some_and(|tick| *tick < line_end);
        let fences = self.fences.partition_point(|fence| fence + 3 <= at);
        // A fence that does not close is no code: reasoning may break off inside one.
        let closes = || self.fences.last().is_some_and(|fence| *fence >= end) || after.trim_start().starts_with("```");
        ticks_before % 2 == 1 && has_tick_after || fences % 2 == 1 && closes()
    }
}

/// Reads harmony's channels: `<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…`. The
/// first of the marks may be in the prompt.
fn split_channels(text: &str) -> Option<SplitReasoning> {
    const CHANNEL: &str = "<|channel|>";
    let start = text.trim_start();
    let start = start.strip_prefix("<|start|>assistant").unwrap_or(start).trim_start();
    let is_named = ["analysis", "commentary", "final"].iter().any(|name| {
        let rest = start.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with("<|message|>"))
    });
    if !is_named && !start.starts_with(CHANNEL) {
        return None;
    }
    let (mut blocks, mut answer) = (Vec::new(), None);
    for message in start.split(CHANNEL).filter(|message| !message.is_empty()) {
        let (name, said) = message.split_once("<|message|>").unwrap_or((message, ""));
        let ends = ["<|end|>", "<|return|>", "<|call|>", "<|start|>"];
        let end = ends.iter().filter_map(|end| said.find(end)).min().unwrap_or(said.len());
        let said = said[..end].trim();
        if name.trim_start().starts_with("final") {
            answer.get_or_insert_with(String::new).push_str(said);
        } else if !said.is_empty() {
            blocks.push(said);
        }
    }
    let is_closed = answer.is_some();
    Some(SplitReasoning { reasoning: blocks.join("\n\n"), text: answer.unwrap_or_default(), is_closed })
}

/// Reads harmony's channels as a decoder that drops special tokens leaves them: `analysis…assistantfinal…`.
fn split_bare_channels(text: &str) -> Option<SplitReasoning> {
    const FINAL: &str = "assistantfinal";
    let start = text.trim_start();
    let inner = start.strip_prefix("analysis").or_else(|| start.strip_prefix("assistantanalysis"));
    let Some(inner) = inner else {
        let text = start.strip_prefix(FINAL)?.trim_start().to_owned();
        return Some(SplitReasoning { reasoning: String::new(), text, is_closed: true });
    };
    let (block, answer) = match inner.split_once(FINAL) {
        Some((block, answer)) => (block, Some(answer)),
        None => (inner, None),
    };
    // The word alone may begin any text.
    if answer.is_none() && !inner.starts_with(|next: char| next.is_ascii_uppercase()) {
        return None;
    }
    let block = block.replace("assistantanalysis", "\n\n").replace("assistantcommentary", "\n\n");
    let text = answer.unwrap_or_default().trim().to_owned();
    Some(SplitReasoning { reasoning: block.trim().to_owned(), text, is_closed: answer.is_some() })
}

/// Removes the tags around an answer.
fn unwrapped(text: &str) -> &str {
    let wrapper = WRAPPERS.into_iter().find(|(open, _)| starts_with(text, open));
    let Some((open, close)) = wrapper else { return text };
    let inner = &text[open.len()..];
    let end = positions(inner, close).last().filter(|at| inner[at + close.len()..].trim().is_empty());
    inner[..end.unwrap_or(inner.len())].trim()
}

fn starts_with(text: &str, tag: &str) -> bool {
    text.as_bytes().get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
}

/// Returns where a tag occurs.
fn positions<'a>(text: &'a str, tag: &'a str) -> impl Iterator<Item = usize> + 'a {
    let first = tag.as_bytes().first().copied().unwrap_or_default();
    let places = memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text.as_bytes());
    places.filter(move |at| starts_with(&text[*at..], tag))
}

/// Returns the text after the last `</think>`: the answer without inline reasoning.
pub fn after_reasoning(text: &str) -> &str {
    text.rsplit_once("</think>").map_or(text, |(_, spoken)| spoken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Option<(String, String)> {
        split_reasoning(text).map(|split| (split.reasoning, split.text))
    }

    #[test]
    fn a_block_at_the_beginning_is_reasoning_whatever_its_tags() {
        let named = ["think", "thinking", "thought", "reasoning", "seed:think", "longcat_think", "antThinking"];
        let named = named.map(|name| (format!("<{name}>"), format!("</{name}>")));
        let others = OTHER_TAGS.map(|(open, close)| (open.to_owned(), close.to_owned()));
        for (open, close) in named.into_iter().chain(others) {
            for text in [
                format!("{open}The plan.{close}An answer."),
                format!("\n{open}\nThe plan.\n{close}\n\nAn answer."),
                format!("The plan.\n{close}\nAn answer."),
                format!("The plan. {close} An answer."),
            ] {
                assert_eq!(split(&text), Some(("The plan.".into(), "An answer.".into())), "{text}");
            }
        }
        assert_eq!(split("<THINK>2+2</Think>4"), Some(("2+2".into(), "4".into())));
        assert_eq!(split("2+2</think>4"), Some(("2+2".into(), "4".into())));
        assert_eq!(split("<think>ok</think> yes"), Some(("ok".into(), "yes".into())));
        assert_eq!(split("</think>\n\n4"), Some((String::new(), "4".into())));
        let response = "<|START_THINKING|>plan<|END_THINKING|><|START_RESPONSE|>Four.<|END_RESPONSE|>";
        assert_eq!(split(response), Some(("plan".into(), "Four.".into())));
    }

    #[test]
    fn several_blocks_are_all_reasoning() {
        let double = "<think>\n\n</think>\n\nThe plan.</think>\nAn answer.";
        assert_eq!(split(double), Some(("The plan.".into(), "An answer.".into())));
        let two = "<think>one</think><think>two</think>An answer.";
        assert_eq!(split(two), Some(("one\n\ntwo".into(), "An answer.".into())));
    }

    #[test]
    fn reasoning_that_does_not_end_is_no_answer() {
        for text in
            ["<think>a plan and more", "[THINK]\na plan", "<|channel|>analysis<|message|>a plan", "analysisA plan"]
        {
            let split = split_reasoning(text).unwrap();
            assert!(!split.is_closed && split.text.is_empty() && split.reasoning.contains("lan"), "{text}");
        }
    }

    #[test]
    fn a_tag_that_a_text_mentions_is_a_word_of_the_text() {
        for text in [
            "Close the block with </think> and write the answer after it.",
            "1. Write the plan. 2. End it with </think>. 3. Answer.",
            "- first `<think>`\n- then `</think>`\n- then the answer",
            "The tag \"</think>\" ends it.",
            "Use **</think>** once.",
            "Tags:\n- </think>\n- </thought>",
            "The tag that ends it is </think>",
            "1. Plan.\n2. </think>\n3. Answer.",
            "It is closed (by </think>).",
            "```\nplan\n</think>\nanswer\n```\nThis is a prompt.",
            "在</think>之后写答案。",
            "<think> and </think> are tags.",
            "<think> is a tag.",
            "</think> is a tag.",
            "Sure.\n<think>a plan</think>\nAn answer.",
            "I <think> so.",
            "analysis of kites",
            "[Think] Before you begin, take a breath.",
            "An answer.",
        ] {
            assert_eq!(split(text), None, "{text}");
        }
    }

    #[test]
    fn a_tag_that_the_reasoning_mentions_does_not_end_it() {
        let mention = "<think>I close with </think> and answer.\n</think>\nAn answer.";
        assert_eq!(split(mention), Some(("I close with </think> and answer.".into(), "An answer.".into())));
        let code = "<think>Like this: `</think>`.</think>An answer.";
        assert_eq!(split(code), Some(("Like this: `</think>`.".into(), "An answer.".into())));
        let open_fence = "<think>\n```\ncode\n</think>\nAn answer.";
        assert_eq!(split(open_fence), Some(("```\ncode".into(), "An answer.".into())));
    }

    #[test]
    fn a_stray_tag_is_found_unless_it_is_mentioned() {
        for text in [
            "I <think> so",
            "A plan </think> An answer.",
            "Sure.\n<think>a plan</think>\nAn answer.",
            "Sure. <think>a plan</think> An answer.",
            "<think>one</think>An answer.<think>two</think> More.",
            "An answer.[/THINK]",
            "[THINK]a plan",
        ] {
            assert!(has_stray_reasoning_tag(text), "{text}");
        }
        for text in [
            "<think>so</think>Yes.",
            "Close the block with </think> and write the answer after it.",
            "1. Write the plan. 2. End it with </think>. 3. Answer.",
            "The tags <think> and </think> are special.",
            "Write \"<think>\" first.",
            "1. <think> opens\n2. </think> closes",
        ] {
            assert!(!has_stray_reasoning_tag(text), "{text}");
        }
    }

    #[test]
    fn channels_are_separated_with_and_without_their_marks() {
        for text in [
            "<|channel|>analysis<|message|>The plan.<|end|><|start|>assistant<|channel|>final<|message|>An answer.",
            "<|start|>assistant<|channel|>analysis<|message|>The plan.<|end|><|start|>assistant<|channel|>final<|message|>An \
             answer.<|return|>",
            "analysis<|message|>The plan.<|end|><|start|>assistant<|channel|>final<|message|>An answer.",
            "analysisThe plan.assistantfinalAn answer.",
        ] {
            assert_eq!(split(text), Some(("The plan.".into(), "An answer.".into())), "{text}");
        }
        assert_eq!(split("<|channel|>final<|message|>An answer."), Some((String::new(), "An answer.".into())));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(pieces in prop::collection::vec(prop_oneof!["<think>", "</think>", "[/THINK]", "◁/think▷", "`", "```\n", "\n", "analysis", "assistantfinal", "<\\|channel\\|>", ".{0,4}"], 0..12)) {
            let text = pieces.concat();
            if let Some(split) = split_reasoning(&text) {
                prop_assert!(split.reasoning.len() + split.text.len() <= text.len() + 2 * pieces.len());
            }
        }
    }

    /// The definition, as it reads: each tag looks at the whole text around it.
    fn is_in_code(text: &str, at: usize, length: usize) -> bool {
        let (before, after) = (&text[..at], &text[at + length..]);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let ticks = line.bytes().filter(|byte| *byte == b'`').count();
        let fences = before.lines().filter(|line| line.trim_start().starts_with("```")).count();
        let is_fenced = fences % 2 == 1 && after.lines().any(|line| line.trim_start().starts_with("```"));
        ticks % 2 == 1 && after.split('\n').next().is_some_and(|line| line.contains('`')) || is_fenced
    }

    proptest! {
        #[test]
        fn what_is_found_once_is_what_each_tag_would_find(pieces in prop::collection::vec(prop::sample::select(vec!["`", "```", "\n", " ", "a", "<t>", "\r\n"]), 0..24)) {
            let text = pieces.concat();
            let around = Surroundings::of(&text);
            for at in positions(&text, "<t>") {
                let is_between_quotes = text[..at].ends_with('`') && text[at + 3..].starts_with('`');
                prop_assert_eq!(around.is_quoted(at, 3), is_between_quotes || is_in_code(&text, at, 3), "{:?} at {}", &text, at);
            }
        }
    }

    #[test]
    fn the_answer_stands_after_the_last_mark() {
        assert_eq!(after_reasoning("a</think>b</think> c"), " c");
        assert_eq!(after_reasoning("no mark"), "no mark");
    }

    #[test]
    fn a_line_of_only_a_number_or_a_dash_is_the_beginning_of_a_list() {
        for before in [
            "-",
            "a\n* ",
            "12.",
            "a\n 3) ",
            "4:",
            &format!("{}\n5.", "x".repeat(255)),
            &format!("{}\n5.", "x".repeat(600)),
        ] {
            assert!(is_list_marker(before), "{before}");
        }
        for before in
            ["", "12", ".", "a.", "1a.", "- a", &format!("{}5.", " ".repeat(255)), &format!("{}5.", "x".repeat(600))]
        {
            assert!(!is_list_marker(before), "{before}");
        }
        // A line of 256 bytes is read; a longer one is no marker.
        assert!(is_list_marker(&format!("{}5.", " ".repeat(254))));
        assert!(!is_list_marker(&format!("{}5.", " ".repeat(255))));
    }

    #[test]
    fn a_sentence_continues_with_punctuation_or_a_small_word_after_a_space() {
        for after in [" and", ", so", "\t.", "。", "》"] {
            assert!(continues_sentence(after), "{after}");
        }
        for after in ["", " ", "and", " And", "\nand", " 4"] {
            assert!(!continues_sentence(after), "{after:?}");
        }
    }

    #[test]
    fn a_tag_without_its_opening_ends_reasoning_by_what_surrounds_it() {
        let ends = |before: &str, after: &str| {
            let text = format!("{before}</t>{after}");
            ends_block(&Surroundings::of(&text), before.len(), 4)
        };
        // Nothing before: only a sentence that continues mentions it.
        assert!(ends("", "Answer") && ends("\n", "") && !ends("", " is a tag") && !ends("", ", so"));
        // At the end of a line: glued to a word, or after a sentence.
        assert!(ends("plan", "\n4") && ends("plan. ", "\r\n4") && ends("plan", " ") && ends("plan.\n", "\n4"));
        assert!(!ends("the tag ", "\n4") && !ends("the tag ", ""));
        // Within a line.
        assert!(
            ends("plan.", "Answer") && ends("plan. ", "Answer") && ends("plan", " Answer") && ends("计划。", "答案")
        );
        assert!(!ends("plan ", "Answer") && !ends("plan.", " and on") && !ends("在", "之后"));
        assert!(!ends("1.", " Answer") && !ends("a\n- ", "\n") && !ends("\"", "\" Answer"));
    }

    #[test]
    fn a_tag_stands_in_a_text_where_a_block_begins() {
        for before in ["", "\n", "Sure. ", "Sure", "Sure.\n"] {
            assert!(begins_block(before), "{before:?}");
        }
        for before in ["Sure ", "2. ", "(", "see: "] {
            assert!(!begins_block(before), "{before:?}");
        }
    }
}
