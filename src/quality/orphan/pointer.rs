use super::OrphanLevel;
use super::seen::Seen;
use crate::quality::candidate::Candidate;
use crate::quality::rules::RULES;

/// A shorter answer is no text that is worked on.
const TEXT_BYTES_MIN: usize = 120;
const NUMBERS: [&str; 6] = ["1", "2", "3", "4", "5", "6"];

/// A pointer to a part by its number, which only a replaced answer has, or to a text that is missing now.
pub fn pointer(seen: &Seen<'_>) -> Option<OrphanLevel> {
    let (old, new) = (seen.follow_up.replaced.last()?, seen.follow_up.answers.last()?);
    let number = (1..).zip(NUMBERS).filter(|(_, number)| points_to(seen, number)).map(|(number, _)| number).max();
    let is_part = number.is_some_and(|number| item_count(old) >= number.max(2) && item_count(new) < number.max(2));
    let is_lost = || old.len() > TEXT_BYTES_MIN && (new.len() * 4 < old.len() || (is_refusal(new) && !is_refusal(old)));
    let is_text = seen.cues.occur("text", &seen.text) && is_lost();
    (is_part || is_text).then_some(OrphanLevel::Strong)
}

/// True where an answer refuses.
fn is_refusal(answer: &str) -> bool {
    let rule = RULES.iter().find(|rule| rule.name() == "refusal");
    rule.is_some_and(|rule| rule.hits(&Candidate::new("", answer), rule.threshold().unwrap_or_default()))
}

/// True where the message points to the part with this number.
fn points_to(seen: &Seen<'_>, number: &str) -> bool {
    let cues = seen.cues;
    cues.occur(&format!("pointer {number}"), &seen.text)
        || cues.find(&format!("ordinal {number}"), &seen.text).iter().any(|ordinal| {
            // A phrase may leave the ending open.
            let after = seen.text[ordinal.end..].trim_start_matches(char::is_alphabetic).trim_start();
            cues.begin("part", after)
        })
}

/// Returns the number of list items in a text.
pub fn item_count(text: &str) -> usize {
    text.lines().filter(|line| is_item(line)).count().max(steps_in(text))
}

fn is_item(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches(['*', '#', ' ', '(']);
    let rest = line.trim_start_matches(|letter: char| letter.is_numeric());
    (rest.len() < line.len() && rest.starts_with(['.', ')', '、', '．', ':', '：']))
        || line.starts_with(['-', '•', '·', '・', '–'])
}

/// Returns how many parts a text counts in its sentences.
fn steps_in(text: &str) -> usize {
    const MARKS: [&str; 16] = [
        "首先", "其次", "最后", "第一", "第二", "第三", "第四", "一、", "二、", "三、", "First", "Second", "Third",
        "Finally", "まず", "次に",
    ];
    MARKS.iter().filter(|mark| text.contains(**mark)).count()
}

#[cfg(test)]
mod tests {
    use crate::quality::OrphanLevel;
    use crate::quality::orphan::tests::level;

    const STRONG: Option<OrphanLevel> = Some(OrphanLevel::Strong);

    #[test]
    fn a_pointer_needs_something_to_point_at() {
        for (user, replaced) in [
            ("Explain your second point.", "1. Rest.\n2. Drink.\n3. Sleep."),
            ("Why number 2?", "- Rest.\n- Drink."),
            ("第二点是什么意思？", "1、休息。\n2、喝水。"),
            ("二つ目はなぜですか。", "1. 休む。\n2. 飲む。"),
            ("두 번째 방법은 왜 그런가요?", "1. 휴식.\n2. 물."),
            ("Pourquoi le deuxième point ?", "1. Repos.\n2. Eau."),
            ("Warum denn der zweite Punkt?", "1. Ruhe.\n2. Wasser."),
            ("¿Por qué el segundo paso?", "1. Reposo.\n2. Agua."),
            ("Perché il secondo punto?", "1. Riposo.\n2. Acqua."),
            ("Por que o segundo ponto?", "1. Repouso.\n2. Água."),
            ("Почему второй пункт?", "1. Покой.\n2. Вода."),
            ("لماذا النقطة الثانية؟", "1. راحة.\n2. ماء."),
            ("दूसरा बिंदु क्यों?", "1. आराम।\n2. पानी।"),
        ] {
            assert_eq!(level(user, "?", replaced, "Yes."), STRONG, "{user}");
            assert_eq!(level(user, "?", replaced, "1. A.\n2. B."), None, "{user}");
        }
        assert_eq!(level("Explain your second point.", "?", "Rest.", "Sleep."), None, "there never were parts");
    }

    #[test]
    fn a_text_that_is_to_be_rewritten_has_to_be_there() {
        let story = "The ship left the harbor at dawn. ".repeat(8);
        let of = |answer: &str| level("Make it shorter.", "Write a story.", &story, answer);
        assert_eq!((of("I cannot help with that."), of(&story.replace("ship", "boat"))), (STRONG, None));
    }
}
