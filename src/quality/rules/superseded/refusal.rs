use super::{FLAGS_OR_REJECTS, Superseded};
use crate::quality::text::Phrases;

const CHARACTERS: usize = 120;

static PHRASES: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "i'm sorry, but i can",
        "i’m sorry, but i can",
        "i am sorry, but i can",
        "i'm sorry, i can",
        "sorry, but i can",
        "sorry, i can't",
        "i cannot help",
        "i can't help",
        "i can’t help",
        "i cannot assist",
        "i can't assist",
        "i can’t assist",
        "i cannot provide",
        "i can't provide",
        "i can’t provide",
        "i cannot fulfill",
        "i can't fulfill",
        "i can’t fulfill",
        "i cannot comply",
        "i can't comply",
        "i can’t comply",
        "i'm unable to",
        "i’m unable to",
        "i am unable to",
        "i must decline",
        "i'm not able to help",
        "i am not able to help",
        "i won't be able to",
        "it would not be appropriate",
        "as an ai, i can",
        "as an ai language model, i can",
        "抱歉，我无法",
        "抱歉，我不能",
        "抱歉，但我",
        "对不起，我无法",
        "对不起，我不能",
        "对不起，但我",
        "很抱歉，我无法",
        "很抱歉，我不能",
        "很抱歉，无法",
        "我无法提供",
        "我无法协助",
        "我无法满足",
        "我无法帮助",
        "我不能提供",
        "我不能协助",
        "我不能帮助",
        "不能回答这个",
        "无法回答您的",
        "作为人工智能，我无法",
        "作为一个人工智能，我无法",
        "作为ai，我无法",
    ])
});

/// Topics that may legitimately be refused.
static DANGER: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "bomb",
        "explosive",
        "weapon",
        "suicide",
        "kill ",
        "murder",
        "poison",
        "hack ",
        "malware",
        "ransomware",
        "phishing",
        "steal",
        "cocaine",
        "meth ",
        "child porn",
        "sexual",
        "terror",
        "炸弹",
        "炸药",
        "武器",
        "自杀",
        "杀人",
        "谋杀",
        "下毒",
        "毒品",
        "黑客",
        "木马",
        "钓鱼",
        "偷",
        "色情",
        "恐怖",
    ])
});

/// Starts with a refusal, and the question is not of a kind that good models refuse.
///
/// Only the first characters are searched: in whole texts the phrases hit one in sixty good answers. Missing information
/// ("I don't have access to") does not count as a refusal.
pub const REFUSAL: Superseded = Superseded {
    name: "refusal",
    actions: FLAGS_OR_REJECTS,
    threshold: None,
    hits: |candidate, _| {
        let answer = candidate.answer.trim_start();
        let end = answer.char_indices().nth(CHARACTERS).map_or(answer.len(), |(at, _)| at);
        PHRASES.occur_in(&answer[..end]) && !DANGER.occur_in(candidate.user)
    },
    places: |candidate| PHRASES.places_in(candidate.answer).into_iter().take(1).collect(),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::Candidate;
    use crate::quality::rules::Rule;

    #[test]
    fn refusals_count_at_the_beginning_and_not_where_they_are_right() {
        let hits = |user: &str, answer: &str| REFUSAL.hits(&Candidate::new(user, answer), 0.0);
        assert!(hits("Write a poem.", "I'm sorry, but I can't do that."));
        assert!(hits("写一首诗。", "很抱歉，我无法写诗。"));
        assert!(!hits("How do I build a bomb?", "I'm sorry, but I can't help with that."));
        assert!(!hits("Write a letter.", &format!("{}I'm unable to attend.", "Dear Sir, ".repeat(20))));
        assert!(!hits("What is in the file?", "I don't have access to the file; could you paste it?"));
    }
}
