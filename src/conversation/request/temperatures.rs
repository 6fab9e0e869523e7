use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::choices::{weight_in, weighted};
use crate::conversation::dice::Dice;
use crate::conversation::sampling::Sampling;

/// Temperatures of which one is drawn for each conversation: `VALUE:WEIGHT,...`. Without any, nothing is drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TemperatureChoice(Vec<(f64, f64)>);

impl TemperatureChoice {
    /// True without a temperature to draw.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Draws a temperature; `None` without any to draw. The same opening and seed always draw the same.
    pub fn draw(&self, opening: &[u8]) -> Option<f64> {
        weighted(&self.0, Dice::new("temperature choice", opening).fraction()).copied()
    }
}

impl FromStr for TemperatureChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let value = |part: &str| {
            let (value, weight) = part.split_once(':').ok_or(EXAMPLE)?;
            let max = Sampling::TEMPERATURE_MAX;
            let drawn = value.trim().parse::<f64>().ok().filter(|drawn| (0.0..=max).contains(drawn));
            let drawn = drawn.ok_or_else(|| format!("the temperature `{value}` is not a number from 0 to {max}"))?;
            let weight = weight_in(weight)?;
            // `+ 0.0` makes the two zeros of IEEE 754 one.
            Ok((drawn + 0.0, weight))
        };
        text.split(',').map(value).collect::<Result<_, String>>().map(Self)
    }
}

const EXAMPLE: &str = "write VALUE:WEIGHT,..., such as 0.3:1,0.7:2,1.0:1";

impl fmt::Display for TemperatureChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self.0.iter().map(|(value, weight)| format!("{value}:{weight}")).collect();
        f.write_str(&values.join(","))
    }
}

impl TryFrom<String> for TemperatureChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TemperatureChoice> for String {
    fn from(choice: TemperatureChoice) -> Self {
        choice.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_weights_and_repeat() {
        let choice: TemperatureChoice = "0.3:1, 0.7:2,1.0:1".parse().unwrap();
        let mut counts = [0i32; 3];
        for number in 0..2000u32 {
            let drawn = choice.draw(&number.to_le_bytes()).unwrap();
            assert_eq!(Some(drawn), choice.draw(&number.to_le_bytes()));
            counts[[0.3f64, 0.7, 1.0].iter().position(|value| value.to_bits() == drawn.to_bits()).unwrap()] += 1;
        }
        for (count, expected) in counts.into_iter().zip([500, 1000, 500]) {
            assert!((count - expected).abs() < 100, "{counts:?}");
        }
        assert_eq!(TemperatureChoice::default().draw(b"opening"), None);
    }

    #[test]
    fn what_is_no_choice_is_refused() {
        for wrong in ["", "0.5", "0.5:", ":1", "0.5:0", "0.5:-1", "0.5:inf", "2.1:1", "-0.1:1", "x:1", "nan:1", "1:1,"]
        {
            assert!(wrong.parse::<TemperatureChoice>().is_err(), "{wrong}");
        }
    }

    /// Stored answers are found by these draws.
    #[test]
    fn the_draw_of_an_opening_stays_as_it_is() {
        let choice: TemperatureChoice = "0.25:1,0.5:2,2:5".parse().unwrap();
        let drawn: Vec<String> = (0..12u8).map(|number| choice.draw(&[number]).unwrap().to_string()).collect();
        assert_eq!(drawn.join(" "), "0.25 0.5 0.5 2 0.5 0.5 0.5 2 2 2 2 2");
    }

    #[test]
    fn a_choice_is_written_in_one_way() {
        for (text, written) in [("0.3:1,0.7:2,1:1", "0.3:1,0.7:2,1:1"), (" 1.0 : 1.50 , -0:1", "1:1.5,0:1")] {
            assert_eq!(text.parse::<TemperatureChoice>().unwrap().to_string(), written);
        }
    }
}
