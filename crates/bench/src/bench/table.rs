//! Rows of numbers: one value per way and round.
//!
//! In: measurements; out: best, median, the ratio to nginx, and whether a target was reached. The ratio is the median of
//! the rounds' own ratios: within a round both ways had the same neighbours.

use super::ways::Way;

/// What a row is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    None,
    /// Sluice's value, divided by nginx's.
    Ratio(f64),
    /// Sluice's own value.
    AtMost(f64),
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
    rounds: [Vec<f64>; 3],
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

    /// Sluice's value divided by nginx's, round by round. None where nginx's are at or below zero: the differences of two
    /// noisy numbers can be.
    pub fn ratio(&self) -> Option<f64> {
        let [_, nginx, sluice] = &self.rounds;
        let pairs = nginx.iter().zip(sluice);
        median(pairs.filter(|(nginx, _)| **nginx > 0.0).map(|(nginx, sluice)| sluice / nginx).collect())
    }

    /// Whether the target was reached; `None`: there is none, or nothing to compare with.
    pub fn reached(&self) -> Option<bool> {
        match self.target {
            Target::None => None,
            Target::Ratio(most) => self.ratio().map(|ratio| ratio <= most),
            Target::AtMost(most) => self.median(Way::Sluice).map(|value| value <= most),
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
