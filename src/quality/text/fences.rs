use std::borrow::Cow;

use super::Needles;

const FENCE: &str = "```";
static FENCES: Needles = Needles::new(|| Needles::finders(&[FENCE]));

/// Returns the number of lines that open or close a code fence.
pub fn fence_count(text: &str) -> usize {
    if !FENCES.occur_in(text) {
        return 0;
    }
    text.lines().filter(|line| line.trim_start().starts_with(FENCE)).count()
}

/// Returns a text without its fenced code. An unclosed fence extends to the end.
pub fn outside_fences(text: &str) -> Cow<'_, str> {
    if !FENCES.occur_in(text) {
        return Cow::Borrowed(text);
    }
    let mut prose = String::with_capacity(text.len());
    let mut is_code = false;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with(FENCE) {
            is_code = !is_code;
        } else if !is_code {
            prose.push_str(line);
        }
    }
    Cow::Owned(prose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_goes_and_words_stay() {
        assert_eq!(outside_fences("a\n```rust\nb\n```\nc"), "a\nc");
        assert_eq!(outside_fences("a\n```\nb"), "a\n");
        assert_eq!(outside_fences("inline ```x``` stays"), "inline ```x``` stays");
        assert_eq!((fence_count("```\na\n```"), fence_count("a ``` b")), (2, 0));
    }
}
