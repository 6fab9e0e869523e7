/// A length-controlled preference: the estimate for answers of equal length.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct LengthControlled {
    /// A's score at equal length, 0 to 1.
    pub score: f64,
    /// The change of the log-odds per (squashed) standard deviation of length.
    pub slope: f64,
}

/// Fits `score ~ σ(β0 + β1 · tanh(Δ / sd(Δ)))` and returns σ(β0), which is the length term of `AlpacaEval`'s length control
/// (Dubois et al., arXiv 2404.04475, section 3). Each vote is A's score, 0 to 1, and how much longer A's answer is. `None`
/// for fewer than three votes, where all differences are equal, and where the fit does not converge to finite values.
pub fn length_controlled(votes: &[(f64, f64)]) -> Option<LengthControlled> {
    // Longer steps end in the flat part of the curve.
    const STEP_MAX: f64 = 2.0;
    // A small ridge penalty keeps separable votes finite.
    const RIDGE: f64 = 1e-6;
    let differences: Vec<f64> = votes.iter().map(|(_, difference)| *difference).collect();
    let deviation = super::standard_deviation(&differences).filter(|deviation| votes.len() > 2 && *deviation > 0.0)?;
    let points: Vec<(f64, f64)> =
        votes.iter().map(|(score, difference)| (*score, (difference / deviation).tanh())).collect();
    let (mut intercept, mut slope) = (0.0, 0.0);
    for _ in 0..100 {
        // Newton's step of the log-likelihood.
        let (mut gradient, mut hessian) = ([-RIDGE * intercept, -RIDGE * slope], [RIDGE, 0.0, RIDGE]);
        for (score, x) in &points {
            let expected = sigmoid(intercept + slope * x);
            let (error, weight) = (score - expected, expected * (1.0 - expected));
            gradient = [gradient[0] + error, gradient[1] + error * x];
            hessian = [hessian[0] + weight, hessian[1] + weight * x, hessian[2] + weight * x * x];
        }
        let determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
        let step = [
            (hessian[2] * gradient[0] - hessian[1] * gradient[1]) / determinant,
            (hessian[0] * gradient[1] - hessian[1] * gradient[0]) / determinant,
        ];
        intercept += step[0].clamp(-STEP_MAX, STEP_MAX);
        slope += step[1].clamp(-STEP_MAX, STEP_MAX);
        if step.iter().all(|step| step.abs() < 1e-10) {
            break;
        }
    }
    let score = sigmoid(intercept);
    (score.is_finite() && slope.is_finite()).then_some(LengthControlled { score, slope })
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Random;

    #[test]
    fn a_judge_that_likes_length_alone_is_seen_through() {
        let mut random = Random::new(5);
        let votes: Vec<(f64, f64)> = (0..20_000)
            .map(|_| {
                // A is longer by 200 on average. Quality is equal, and the judge prefers the longer answer.
                let difference = 200.0 + 1000.0 * (random.fraction() - 0.5);
                let likely = sigmoid(2.0 * (difference / 288.7).tanh());
                (f64::from(u8::from(random.fraction() < likely)), difference)
            })
            .collect();
        let plain = votes.iter().map(|(score, _)| score).sum::<f64>() / votes.len() as f64;
        let controlled = length_controlled(&votes).unwrap();
        assert!(plain > 0.62, "{plain}");
        assert!((controlled.score - 0.5).abs() < 0.02 && (controlled.slope - 2.0).abs() < 0.15, "{controlled:?}");
    }

    #[test]
    fn nothing_is_said_where_lengths_do_not_differ() {
        assert_eq!(length_controlled(&[(1.0, 5.0), (0.0, 5.0), (1.0, 5.0)]), None);
        assert_eq!(length_controlled(&[]), None);
        let all_won = [(1.0, 5.0), (1.0, -3.0), (1.0, 2.0), (1.0, 0.0)];
        assert!(length_controlled(&all_won).unwrap().score > 0.99);
    }
}
