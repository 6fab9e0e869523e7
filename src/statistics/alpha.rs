/// Returns Krippendorff's alpha of nominal categories (Content Analysis, 2nd edition, chapter 11).
///
/// Each unit holds its ratings, any number of them. Units with one rating are ignored. `None` where no disagreement is
/// possible: no unit has two ratings, or all ratings are equal.
pub fn krippendorff_alpha<Category: PartialEq + Copy>(units: &[Vec<Category>]) -> Option<f64> {
    let mut totals: Vec<(Category, f64)> = Vec::new();
    let (mut disagreement, mut count) = (0.0, 0.0);
    for unit in units.iter().filter(|unit| unit.len() > 1) {
        let raters = unit.len() as f64;
        let mut within: Vec<(Category, f64)> = Vec::new();
        for rating in unit {
            for counts in [&mut within, &mut totals] {
                match counts.iter_mut().find(|(category, _)| category == rating) {
                    Some((_, number)) => *number += 1.0,
                    None => counts.push((*rating, 1.0)),
                }
            }
        }
        let agreeing: f64 = within.iter().map(|(_, number)| number * (number - 1.0)).sum();
        disagreement += (raters * (raters - 1.0) - agreeing) / (raters - 1.0);
        count += raters;
    }
    let agreeing: f64 = totals.iter().map(|(_, number)| number * (number - 1.0)).sum();
    let expected = (count * (count - 1.0) - agreeing) / (count - 1.0);
    let alpha = 1.0 - disagreement / expected;
    alpha.is_finite().then_some(alpha)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example() {
        // Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), section C: four observers, twelve units, 0.743.
        let units: [&[u8]; 12] = [
            &[1, 1, 1],
            &[2, 2, 3, 2],
            &[3, 3, 3, 3],
            &[3, 3, 3, 3],
            &[2, 2, 2, 2],
            &[1, 2, 3, 4],
            &[4, 4, 4, 4],
            &[1, 1, 2, 1],
            &[2, 2, 2, 2],
            &[5, 5, 5],
            &[1, 1],
            &[3],
        ];
        let units: Vec<Vec<u8>> = units.iter().map(|unit| unit.to_vec()).collect();
        assert!((krippendorff_alpha(&units).unwrap() - 0.743).abs() < 5e-4);
        assert_eq!(krippendorff_alpha::<u8>(&[]), None);
        assert_eq!(krippendorff_alpha(&[vec![1, 1]]), None);
    }
}
