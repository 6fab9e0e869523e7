use super::Interval;
use super::conversations::percentiles;
use super::random::Random;

/// One comparison of two systems.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// The index of one system.
    pub first: usize,
    /// The index of the other.
    pub second: usize,
    /// The first system's score: 1 for a win, 0.5 for a tie, 0 for a loss.
    pub score: f64,
}

/// Strengths of systems.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Each system's log-strength; their mean is 0.
    pub strengths: Vec<f64>,
    /// 95 % bootstrap intervals over conversations; empty for fewer than two conversations.
    pub intervals: Vec<Interval>,
    /// Some systems never won, or never lost, against the others. Half a point each way was added to every compared pair,
    /// because their strengths would be infinite otherwise.
    pub is_separable: bool,
}

const DRAWS: usize = 1000;
const SEED: u64 = 0x6272_6164_6c65_7921;
const ROUNDS_MAX: usize = 10_000;
/// Points added each way to every compared pair where strengths would be infinite otherwise.
const PRIOR: f64 = 0.5;

/// Fits a Bradley–Terry model (Biometrika 39, 1952) by Hunter's MM algorithm (Annals of Statistics 32, 2004). A tie counts
/// as half a win each way. The intervals resample whole conversations. `None` where the comparisons do not connect all
/// systems, directly or through others.
pub fn bradley_terry(systems: usize, conversations: &[Vec<Match>]) -> Option<Ranking> {
    let mut wins = vec![0.0; systems * systems];
    for matches in conversations {
        add_matches(&mut wins, systems, matches);
    }
    let met: Vec<f64> =
        (0..systems * systems).map(|at| wins[at] + wins[at % systems * systems + at / systems]).collect();
    if systems < 2 || !is_connected(&met, systems) {
        return None;
    }
    let is_separable = !is_connected(&wins, systems);
    let fit = |wins: &[f64], start: &[f64], needs_prior: bool| {
        let mut wins = wins.to_vec();
        if needs_prior {
            wins.iter_mut().zip(&met).filter(|(_, met)| **met > 0.0).for_each(|(wins, _)| *wins += PRIOR);
        }
        fit_strengths(&wins, systems, start)
    };
    let strengths = fit(&wins, &vec![0.0; systems], is_separable);
    let mut random = Random::new(SEED);
    let mut draws = vec![Vec::with_capacity(DRAWS); systems];
    for _ in 0..if conversations.len() > 1 { DRAWS } else { 0 } {
        let mut resampled = vec![0.0; systems * systems];
        for _ in 0..conversations.len() {
            add_matches(&mut resampled, systems, &conversations[random.below(conversations.len())]);
        }
        let needs_prior = is_separable || !is_connected(&resampled, systems);
        let fitted = fit(&resampled, &strengths, needs_prior);
        draws.iter_mut().zip(fitted).for_each(|(draws, strength)| draws.push(strength));
    }
    let intervals = draws.into_iter().filter(|draws| !draws.is_empty()).map(percentiles).collect();
    Some(Ranking { strengths, intervals, is_separable })
}

impl Ranking {
    /// Converts a strength to Elo points, centred on 1000.
    pub fn elo(strength: f64) -> f64 {
        1000.0 + 400.0 * strength / std::f64::consts::LN_10
    }
}

fn add_matches(wins: &mut [f64], systems: usize, matches: &[Match]) {
    for Match { first, second, score } in matches {
        wins[first * systems + second] += score;
        wins[second * systems + first] += 1.0 - score;
    }
}

fn fit_strengths(wins: &[f64], systems: usize, start: &[f64]) -> Vec<f64> {
    let mut strengths: Vec<f64> = start.iter().map(|strength| strength.exp()).collect();
    for _ in 0..ROUNDS_MAX {
        let mut change: f64 = 0.0;
        for system in 0..systems {
            let (mut won, mut expected) = (0.0, 0.0);
            for other in (0..systems).filter(|other| *other != system) {
                let (wins, losses) = (wins[system * systems + other], wins[other * systems + system]);
                won += wins;
                expected += (wins + losses) / (strengths[system] + strengths[other]);
            }
            if expected > 0.0 {
                let strength = (won / expected).max(1e-12);
                change = change.max((strength / strengths[system]).ln().abs());
                strengths[system] = strength;
            }
        }
        if change < 1e-10 {
            break;
        }
    }
    let logs: Vec<f64> = strengths.iter().map(|strength| strength.ln()).collect();
    let centre = logs.iter().sum::<f64>() / systems as f64;
    logs.into_iter().map(|log| log - centre).collect()
}

/// True where the graph of wins is strongly connected (Ford, American Mathematical Monthly 64, 1957).
fn is_connected(wins: &[f64], systems: usize) -> bool {
    let reaches_all = |beats: &dyn Fn(usize, usize) -> bool| {
        let (mut reached, mut open) = (vec![false; systems], vec![0]);
        reached[0] = true;
        while let Some(system) = open.pop() {
            let found = |(other, is_reached): &(usize, &mut bool)| !**is_reached && beats(system, *other);
            for (other, is_reached) in reached.iter_mut().enumerate().filter(found) {
                *is_reached = true;
                open.push(other);
            }
        }
        reached.iter().all(|reached| *reached)
    };
    reaches_all(&|a, b| wins[a * systems + b] > 0.0) && reaches_all(&|a, b| wins[b * systems + a] > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(first: usize, second: usize, wins: usize, losses: usize) -> Vec<Vec<Match>> {
        let one = |score| vec![Match { first, second, score }];
        [vec![one(1.0); wins], vec![one(0.0); losses]].concat()
    }

    #[test]
    fn two_systems_have_a_closed_form() {
        // The difference of two log-strengths is the log-odds of winning.
        let ranking = bradley_terry(2, &matches(0, 1, 30, 10)).unwrap();
        assert!((ranking.strengths[0] - ranking.strengths[1] - 3f64.ln()).abs() < 1e-8);
        assert!(ranking.intervals[0].covers(ranking.strengths[0]) && !ranking.is_separable);
        assert!((Ranking::elo(std::f64::consts::LN_10) - 1400.0).abs() < 1e-9);
    }

    #[test]
    fn an_undefeated_system_has_a_finite_strength_and_unconnected_systems_are_not_ranked() {
        let ranking = bradley_terry(2, &matches(0, 1, 20, 0)).unwrap();
        assert!(ranking.is_separable && (ranking.strengths[0] - ranking.strengths[1] - 41f64.ln()).abs() < 1e-6);
        assert_eq!(bradley_terry(3, &matches(0, 1, 3, 2)), None);
        assert_eq!(bradley_terry(0, &[]), None);
    }
}
