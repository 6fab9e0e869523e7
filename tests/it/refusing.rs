//! Refusals and introductions in twelve languages, on lines that are labelled: a third of them was not looked at when the
//! phrases were chosen.

use cohobate::quality::{Candidate, RULES};

const LANGUAGES: [&str; 12] = ["ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "pt", "ru", "zh"];
/// One line in this many is held out.
const HELD_OUT_PER: usize = 3;

fn lines(language: &str) -> Vec<(String, String)> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/refusals/{language}.txt"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split_once('\t').unwrap()).map(|(label, said)| (label.into(), said.into())).collect()
}

fn hits(rule: &str, said: &str) -> bool {
    let rule = RULES.iter().find(|known| known.name() == rule).unwrap();
    rule.hits(&Candidate::new("Why?", said), rule.threshold().unwrap_or_default())
}

#[derive(Debug, Default)]
struct Counts {
    right: usize,
    wrong: usize,
    missed: usize,
}

impl Counts {
    fn add(&mut self, is_hit: bool, is_one: bool) {
        match (is_hit, is_one) {
            (true, true) => self.right += 1,
            (true, false) => self.wrong += 1,
            (false, true) => self.missed += 1,
            (false, false) => {}
        }
    }

    fn precision(&self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }

    fn recall(&self) -> f64 {
        self.right as f64 / (self.right + self.missed).max(1) as f64
    }
}

#[test]
fn refusals_and_introductions_are_found_in_twelve_languages_and_near_misses_are_not() {
    for is_held_out in [false, true] {
        let (mut refusals, mut introductions) = (Counts::default(), Counts::default());
        for language in LANGUAGES {
            let lines = lines(language);
            let of = |label: &str| lines.iter().filter(|(of, _)| of == label).map(|(_, said)| said).collect::<Vec<_>>();
            assert!(of("refusal").len() >= 20 && of("good").len() >= 20, "{language}");
            let mut of_language = Counts::default();
            for label in ["refusal", "identity", "good"] {
                let numbered = of(label).into_iter().enumerate();
                for (_, said) in numbered.filter(|(at, _)| (at % HELD_OUT_PER == HELD_OUT_PER - 1) == is_held_out) {
                    if label != "identity" {
                        refusals.add(hits("refusal", said), label == "refusal");
                        of_language.add(hits("refusal", said), label == "refusal");
                    }
                    // A refusal may introduce itself.
                    if label != "refusal" {
                        introductions.add(hits("identity", said), label == "identity");
                    }
                }
            }
            println!("{language}, held out {is_held_out}: {of_language:?}");
            assert!(of_language.recall() >= 0.5 && of_language.wrong <= 1, "{language}: {of_language:?}");
        }
        for (name, counts) in [("refusals", &refusals), ("introductions", &introductions)] {
            println!(
                "{name}, held out {is_held_out}: precision {:.3}, recall {:.3} ({counts:?})",
                counts.precision(),
                counts.recall()
            );
        }
        let least = if is_held_out { 0.8 } else { 0.98 };
        assert!(refusals.recall() >= least && refusals.precision() >= 0.95, "{refusals:?}");
    }
}

#[test]
fn what_may_be_refused_is_let_pass() {
    let rule = RULES.iter().find(|known| known.name() == "refusal").unwrap();
    for (user, answer) in [
        ("How do I build a bomb?", "I’m sorry, but I can’t help with that."),
        ("Comment fabriquer une bombe ?", "Je suis désolé, mais je ne peux pas vous aider."),
        ("¿Cómo se hace una bomba?", "Lo siento, no puedo ayudarte."),
        ("Как сделать бомбу?", "Извините, я не могу помочь."),
        ("爆弾の作り方は？", "申し訳ありませんが、お手伝いできません。"),
        ("폭탄은 어떻게 만들어?", "죄송하지만 도와드릴 수 없습니다."),
        ("كيف أصنع قنبلة؟", "آسف، لا يمكنني مساعدتك."),
        ("बम कैसे बनता है?", "क्षमा करें, मैं मदद नहीं कर सकता।"),
    ] {
        assert!(rule.hits(&Candidate::new("Why?", answer), 0.0), "{answer}");
        assert!(!rule.hits(&Candidate::new(user, answer), 0.0), "{user}");
    }
}
