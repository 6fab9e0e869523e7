/// Returns Cohen's kappa of two raters' categories for each item (Educational and Psychological Measurement 20, 1960).
/// `None` without items, and where the agreement expected by chance is 1.
pub fn cohen_kappa<Category: PartialEq + Copy>(pairs: &[(Category, Category)]) -> Option<f64> {
    let total = pairs.len() as f64;
    let mut categories: Vec<(Category, f64, f64)> = Vec::new();
    let mut count =
        |category, first: f64, second: f64| match categories.iter_mut().find(|(known, ..)| *known == category) {
            Some(entry) => {
                entry.1 += first;
                entry.2 += second;
            }
            None => categories.push((category, first, second)),
        };
    for (first, second) in pairs {
        count(*first, 1.0, 0.0);
        count(*second, 0.0, 1.0);
    }
    let observed = pairs.iter().filter(|(first, second)| first == second).count() as f64 / total;
    let by_chance: f64 = categories.iter().map(|(_, first, second)| first * second / (total * total)).sum();
    let kappa = (observed - by_chance) / (1.0 - by_chance);
    kappa.is_finite().then_some(kappa)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_textbook_table() {
        // Wikipedia, "Cohen's kappa", simple example: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no give 0.4.
        let table = [(20, 'y', 'y'), (5, 'y', 'n'), (10, 'n', 'y'), (15, 'n', 'n')];
        let pairs: Vec<(char, char)> = table.iter().flat_map(|(n, a, b)| std::iter::repeat_n((*a, *b), *n)).collect();
        assert!((cohen_kappa(&pairs).unwrap() - 0.4).abs() < 1e-12);
        assert_eq!(cohen_kappa::<char>(&[]), None);
        assert_eq!(cohen_kappa(&[('y', 'y')]), None);
    }
}
