/// Puts values into the places `{{ NAME }}` of a text of this program. Values are put in as they are, whatever they hold. The line
/// end of the text's file is left out.
pub(super) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut pieces = text.split("{{ ");
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once(" }}").unwrap_or((piece, ""));
        let value = values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        filled.push_str(value);
        filled.push_str(rest);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_as_they_are() {
        let filled = fill("{\"a\": {{ one }}, {{ other }}}\n", &[("one", "{{ other }}"), ("other", "2")]);
        assert_eq!(filled, "{\"a\": {{ other }}, 2}");
    }
}
