//! Marks in an answer what a rule found.

use std::ops::Range;

use super::diff::{Mark, Piece};
use crate::conversation::Answer;
use crate::quality::{Candidate, Gate};

/// Returns the answer in pieces, with what the rule found marked. Rules about an answer as a whole mark nothing.
pub fn found_in(gate: Option<&Gate>, rule: &str, user: &str, earlier: &[&str], answer: &Answer) -> Vec<Piece> {
    let mut candidate = Candidate::new(user, answer.text());
    candidate.earlier = earlier.to_vec();
    candidate.finish = Some(answer.finish);
    let places = gate.map(|gate| gate.places(rule, &candidate)).unwrap_or_default();
    marked(answer.text(), places)
}

/// Cuts a text at the places. Places that overlap are joined; one that is not in the text is left out.
pub fn marked(text: &str, mut places: Vec<Range<usize>>) -> Vec<Piece> {
    places.sort_by_key(|place| (place.start, place.end));
    let mut pieces = Vec::new();
    let mut at = 0;
    for place in places {
        let start = place.start.max(at);
        let (Some(before), Some(found)) = (text.get(at..start), text.get(start..place.end)) else { continue };
        if !before.is_empty() {
            pieces.push(Piece::new(Mark::Same, before));
        }
        match pieces.last_mut() {
            Some(last) if last.mark == Mark::Found && before.is_empty() => last.text.push_str(found),
            _ if found.is_empty() => {}
            _ => pieces.push(Piece::new(Mark::Found, found)),
        }
        at = at.max(place.end);
    }
    if let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        pieces.push(Piece::new(Mark::Same, rest));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(place: Range<usize>) -> Vec<Range<usize>> {
        std::iter::once(place).collect()
    }

    #[test]
    fn places_are_marked_and_overlaps_joined() {
        let told = |places: Vec<Range<usize>>| {
            let pieces = marked("abcdef", places).into_iter();
            pieces
                .map(|piece| if piece.mark == Mark::Found { format!("[{}]", piece.text) } else { piece.text })
                .collect::<String>()
        };
        assert_eq!(told(vec![]), "abcdef");
        assert_eq!(told(one(1..3)), "a[bc]def");
        assert_eq!(told(vec![4..6, 0..2, 1..3]), "[abc]d[ef]");
        assert_eq!(told(vec![2..2, 5..99]), "abcdef");
    }

    #[test]
    fn a_place_inside_a_character_is_left_out() {
        assert_eq!(marked("好a", one(1..3)), [Piece::new(Mark::Same, "好a")]);
    }
}
