//! Why there is no threshold.

/// Values that have no threshold, or not by this method.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ThresholdError {
    /// There are no values.
    #[error("a threshold needs at least one value, found none")]
    Empty,
    /// A value is infinite or not a number.
    #[error("a threshold needs finite values, but value {index} is {value}")]
    NotFinite {
        /// Which value, counted from 0.
        index: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// The span of floating-point values exceeds the largest number of their type.
    #[error("values from {low} to {high} span more than the largest number of their type")]
    TooWide {
        /// The lowest value.
        low: f64,
        /// The highest value.
        high: f64,
    },
    /// The smoothed histogram never has exactly two maxima.
    #[error("the smoothed histogram has {found} maxima, but the minimum lies between two")]
    Maxima {
        /// Number of maxima after smoothing.
        found: usize,
    },
    /// No value lies halfway between the means of what is up to it and what is above.
    #[error("no value lies halfway between the means below and above it")]
    NoMidpoint,
    /// Whole numbers span more than a method that looks at each of them can do.
    #[error("values span {bins} whole numbers, but this method takes no more than {limit}")]
    TooManyBins {
        /// Whole numbers between the lowest and the highest value.
        bins: u64,
        /// The most that are taken.
        limit: u64,
    },
}
