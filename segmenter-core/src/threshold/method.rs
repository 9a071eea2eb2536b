//! A method by its name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Histogram, ThresholdError, li, mean};
use crate::Pixel;

/// How a global threshold is found, as a configuration or a command line names it.
///
/// Names are scikit-image's without `threshold_`, and `fixed:0.5`:
///
/// ```
/// use segmenter_core::threshold::ThresholdMethod;
///
/// let method: ThresholdMethod = "otsu".parse()?;
/// assert_eq!(method.of([10_u8, 11, 12, 90, 91])?, 12.0);
/// assert_eq!("fixed:0.5".parse(), Ok(ThresholdMethod::Fixed(0.5)));
/// assert_eq!(ThresholdMethod::Fixed(0.5).to_string(), "fixed:0.5");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ThresholdMethod {
    /// [`otsu`](super::otsu).
    Otsu,
    /// [`li`](super::li()).
    Li,
    /// [`yen`](super::yen).
    Yen,
    /// [`isodata`](super::isodata).
    Isodata,
    /// [`triangle`](super::triangle).
    Triangle,
    /// [`mean`](super::mean).
    Mean,
    /// [`minimum`](super::minimum).
    Minimum,
    /// This number, whatever the image.
    Fixed(f64),
}

/// A text that names no method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{found}` is none of otsu, li, yen, isodata, triangle, mean, minimum, or fixed: and a number"
)]
pub struct UnknownMethod {
    /// The text.
    pub found: String,
}

impl ThresholdMethod {
    /// The methods that look at the image.
    pub const AUTOMATIC: [Self; 7] =
        [Self::Otsu, Self::Li, Self::Yen, Self::Isodata, Self::Triangle, Self::Mean, Self::Minimum];

    /// The threshold of these values; what is above it is foreground.
    ///
    /// # Errors
    /// As the method's function. [`Fixed`](Self::Fixed) has none.
    pub fn of<T: Pixel>(
        self,
        values: impl IntoIterator<Item = T, IntoIter: Clone>,
    ) -> Result<f64, ThresholdError> {
        match self {
            Self::Fixed(threshold) => Ok(threshold),
            Self::Li => li(values),
            Self::Mean => mean(values),
            _ => self.of_histogram(&Histogram::of(values)?),
        }
    }

    /// The threshold of these values, or `None` where there is no bright foreground; see
    /// [`Histogram::foreground`]. [`Fixed`](Self::Fixed) is what it is.
    ///
    /// # Errors
    /// As [`of`](Self::of), where there is foreground.
    pub fn of_foreground<T: Pixel>(
        self,
        values: impl IntoIterator<Item = T, IntoIter: Clone>,
    ) -> Result<Option<f64>, ThresholdError> {
        if let Self::Fixed(threshold) = self {
            return Ok(Some(threshold));
        }
        let values = values.into_iter();
        let histogram = Histogram::of(values.clone())?;
        histogram.foreground().is_found().then(|| self.of(values)).transpose()
    }

    /// The threshold that follows from a histogram. Of floating-point values, [`Li`](Self::Li) and
    /// [`Mean`](Self::Mean) take the centres of bins for the values, which [`of`](Self::of) does not.
    ///
    /// # Errors
    /// As the method's function.
    pub fn of_histogram(self, histogram: &Histogram) -> Result<f64, ThresholdError> {
        match self {
            Self::Otsu => Ok(histogram.otsu()),
            Self::Li => Ok(histogram.li()),
            Self::Yen => Ok(histogram.yen()),
            Self::Isodata => histogram.isodata(),
            Self::Triangle => Ok(histogram.triangle()),
            Self::Mean => Ok(histogram.mean()),
            Self::Minimum => histogram.minimum(),
            Self::Fixed(threshold) => Ok(threshold),
        }
    }
}

impl fmt::Display for ThresholdMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Otsu => "otsu",
            Self::Li => "li",
            Self::Yen => "yen",
            Self::Isodata => "isodata",
            Self::Triangle => "triangle",
            Self::Mean => "mean",
            Self::Minimum => "minimum",
            Self::Fixed(threshold) => return write!(f, "fixed:{threshold}"),
        })
    }
}

impl FromStr for ThresholdMethod {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        let unknown = || UnknownMethod { found: text.to_owned() };
        if let Some(number) = text.strip_prefix("fixed:") {
            let number = number.parse().ok().filter(|number: &f64| number.is_finite());
            return number.map(Self::Fixed).ok_or_else(unknown);
        }
        Self::AUTOMATIC.into_iter().find(|method| method.to_string() == text).ok_or_else(unknown)
    }
}

impl Serialize for ThresholdMethod {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ThresholdMethod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
