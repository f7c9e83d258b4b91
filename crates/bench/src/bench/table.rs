//! Rows of numbers: one value per way and round.
//!
//! In: measurements; out: best, median, the ratios of Sluice to nginx and of translating to relaying, and whether a target
//! was reached. A ratio is the median of the rounds' own ratios: within a round both ways had the same neighbours.

use super::ways::Way;

/// What a row is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    None,
    /// Sluice's value, divided by nginx's.
    Ratio(f64),
    /// Sluice's own value.
    AtMost(f64),
    /// The translated value, divided by Sluice's relayed one.
    Lanes(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Less,
    More,
}

#[derive(Debug)]
pub struct Row {
    pub what: String,
    pub unit: &'static str,
    pub better: Better,
    pub target: Target,
    rounds: [Vec<f64>; 4],
}

impl Row {
    pub fn new(what: impl Into<String>, unit: &'static str, better: Better, target: Target) -> Row {
        Row { what: what.into(), unit, better, target, rounds: Default::default() }
    }

    pub fn put(&mut self, way: Way, value: f64) {
        self.rounds[way as usize].push(value);
    }

    pub fn best(&self, way: Way) -> Option<f64> {
        let values = self.rounds[way as usize].iter().copied();
        match self.better {
            Better::Less => values.reduce(f64::min),
            Better::More => values.reduce(f64::max),
        }
    }

    pub fn median(&self, way: Way) -> Option<f64> {
        median(self.rounds[way as usize].clone())
    }

    /// Sluice's value divided by nginx's, round by round.
    pub fn ratio(&self) -> Option<f64> {
        self.ratio_of(Way::Sluice, Way::Nginx)
    }

    /// What translating costs, in units of relaying, round by round.
    pub fn ratio_of_lanes(&self) -> Option<f64> {
        self.ratio_of(Way::Translated, Way::Sluice)
    }

    /// None where the values of `to` are at or below zero: the differences of two noisy numbers can be.
    fn ratio_of(&self, of: Way, to: Way) -> Option<f64> {
        let pairs = self.rounds[to as usize].iter().zip(&self.rounds[of as usize]);
        median(pairs.filter(|(to, _)| **to > 0.0).map(|(to, of)| of / to).collect())
    }

    /// Whether the target was reached; `None`: there is none, or nothing to compare with.
    pub fn reached(&self) -> Option<bool> {
        match self.target {
            Target::None => None,
            Target::Ratio(most) => self.ratio().map(|ratio| ratio <= most),
            Target::AtMost(most) => self.median(Way::Sluice).map(|value| value <= most),
            Target::Lanes(most) => self.ratio_of_lanes().map(|ratio| ratio <= most),
        }
    }
}

/// The middle value, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_ratios() {
        let mut row = Row::new("x", "µs", Better::Less, Target::Ratio(1.8));
        for (nginx, sluice) in [(10.0, 15.0), (20.0, 40.0), (10.0, 17.0)] {
            row.put(Way::Nginx, nginx);
            row.put(Way::Sluice, sluice);
        }
        assert_eq!(row.ratio(), Some(1.7));
        assert_eq!((row.best(Way::Nginx), row.median(Way::Sluice)), (Some(10.0), Some(17.0)));
        assert_eq!(row.reached(), Some(true));
        assert_eq!(row.best(Way::Direct), None);
        assert_eq!(row.ratio_of_lanes(), None);
        let mut row = Row::new("x", "µs", Better::Less, Target::Lanes(2.0));
        for (relayed, translated) in [(10.0, 15.0), (20.0, 50.0), (10.0, 21.0)] {
            row.put(Way::Sluice, relayed);
            row.put(Way::Translated, translated);
        }
        assert_eq!((row.ratio_of_lanes(), row.reached()), (Some(2.1), Some(false)));
    }

    #[test]
    fn more_can_be_better_and_nothing_measured_is_nothing_said() {
        let mut row = Row::new("x", "/s", Better::More, Target::AtMost(5.0));
        assert_eq!((row.reached(), row.ratio()), (None, None));
        row.put(Way::Sluice, 4.0);
        row.put(Way::Sluice, 8.0);
        assert_eq!((row.best(Way::Sluice), row.median(Way::Sluice)), (Some(8.0), Some(6.0)));
        assert_eq!(row.reached(), Some(false));
    }
}
