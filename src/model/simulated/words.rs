//! Sentences about words of the prompt, in its script.

use crate::conversation::Dice;

const OPENINGS: [&str; 6] = [
    "There are a few ways to look at this.",
    "Let us take it step by step.",
    "The short answer is yes, with one condition.",
    "Here is what matters most.",
    "It depends on what you want to achieve.",
    "That is worth a careful answer.",
];
const SENTENCES: [&str; 8] = [
    "First, look at {}, because everything else follows from it.",
    "In practice {} turns out to be simpler than it sounds.",
    "Many people overlook {}, and pay for it later.",
    "If you compare it with {}, the difference becomes clear.",
    "A small example with {} shows the idea.",
    "What you said about {} points in the right direction.",
    "You can check {} yourself within a few minutes.",
    "Keep {} in mind for the next step.",
];
const CLOSINGS: [&str; 4] = [
    "Tell me which part you want to go into.",
    "That should be enough to begin with.",
    "Try it and see how far it carries.",
    "Everything beyond that is detail.",
];
const OPENINGS_ZH: [&str; 4] =
    ["可以从几个方面来看。", "我们一步一步来。", "简单地说，可以，但有一个条件。", "最重要的是下面几点。"];
const SENTENCES_ZH: [&str; 6] = [
    "首先要注意{}，其余的都由此而来。",
    "实际上{}比听起来简单。",
    "很多人忽略了{}，后来才发现问题。",
    "如果和{}相比，区别就很清楚了。",
    "您提到的{}方向是对的。",
    "下一步请记住{}。",
];
const CLOSINGS_ZH: [&str; 3] = ["您想深入了解哪一部分？", "作为开始，这些已经够了。", "您可以先试一试。"];

/// Writes between two and twelve sentences about words of the prompt, in its script.
pub(super) fn compose(prompt: &str, dice: &mut Dice) -> String {
    let is_chinese = is_chinese(prompt);
    let (openings, sentences, closings, gap): (&[&str], &[&str], &[&str], &str) = if is_chinese {
        (&OPENINGS_ZH, &SENTENCES_ZH, &CLOSINGS_ZH, "")
    } else {
        (&OPENINGS, &SENTENCES, &CLOSINGS, " ")
    };
    let topics = topics(prompt, is_chinese);
    let mut text = openings[dice.below(openings.len())].to_owned();
    for _ in 0..=dice.below(10) {
        let sentence = sentences[dice.below(sentences.len())];
        let topic = topics.get(dice.below(topics.len())).map_or("it", String::as_str);
        text.push_str(gap);
        text.push_str(&sentence.replace("{}", topic));
    }
    text.push_str(gap);
    text.push_str(closings[dice.below(closings.len())]);
    text
}

pub(super) fn topics(prompt: &str, is_chinese: bool) -> Vec<String> {
    const TOPICS_MAX: usize = 24;
    if is_chinese {
        let han: Vec<char> =
            prompt.chars().filter(|c| matches!(c, '\u{4e00}'..='\u{9fff}')).take(TOPICS_MAX * 2).collect();
        return han.chunks(2).map(|pair| pair.iter().collect()).collect();
    }
    let words = prompt.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3);
    words.take(TOPICS_MAX).map(str::to_lowercase).collect()
}

pub(super) fn is_chinese(text: &str) -> bool {
    text.chars().any(|character| matches!(character, '\u{4e00}'..='\u{9fff}'))
}
