//! Thresholds that follow from an image's intensities.
//!
//! Each is the number that scikit-image 0.26 finds for the same values, and what is above it is
//! foreground. [`ThresholdMethod`] chooses by name, [`Histogram`] counts once for several methods, and
//! [`Histogram::foreground`] tells whether there is foreground at all.
//!
//! Where all values are equal, that value is the threshold, and nothing is above it; only [`minimum`]
//! refuses them.

mod error;
mod guard;
mod histogram;
mod isodata;
mod li;
mod method;
mod minimum;
mod otsu;
mod rounding;
mod triangle;
mod yen;

pub use error::ThresholdError;
pub use guard::Foreground;
pub use histogram::Histogram;
pub use method::{ThresholdMethod, UnknownMethod};

use crate::Pixel;

/// Otsu's threshold: the one that keeps the two classes, up to it and above it, furthest apart,
/// measured by the variance between them (Otsu 1979, <https://doi.org/10.1109/TSMC.1979.4310076>).
///
/// What is above the threshold is foreground. Integers are counted one by one; floating-point
/// values are counted in 256 bins between the lowest and the highest, and the threshold is the
/// centre of a bin. Where all values are equal, that value is the threshold, and nothing is above
/// it. The number is that of scikit-image's `threshold_otsu`.
///
/// There is always a threshold, so Otsu's method finds foreground even in an image of nothing but
/// noise. Look at how far the classes are apart before you believe it:
/// [`Histogram::foreground`].
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{Stack2, threshold};
///
/// let image = Stack2::new(array![[10_u8, 11, 12, 90], [11, 10, 91, 92]]);
/// let threshold = threshold::otsu(image.channel(0).iter().copied())?;
/// assert_eq!(threshold, 12.0);
/// # Ok::<(), threshold::ThresholdError>(())
/// ```
///
/// # Errors
/// If there are no values, or one of them is not a finite number.
pub fn otsu<T: Pixel>(
    values: impl IntoIterator<Item = T, IntoIter: Clone>,
) -> Result<f64, ThresholdError> {
    Ok(Histogram::of(values)?.otsu())
}

/// Li's threshold: the one that keeps the cross-entropy between the image and its two classes' means
/// smallest (Li and Tam 1998, <https://doi.org/10.1016/S0167-8655(98)00057-9>), found from the mean on.
///
/// It is computed from the values themselves, floating-point ones included, which it sorts. The number is
/// that of `threshold_li`, but for the rounding of its sums to the type of floating-point values.
///
/// # Errors
/// If there are no values, or one of them is not a finite number.
pub fn li<T: Pixel>(
    values: impl IntoIterator<Item = T, IntoIter: Clone>,
) -> Result<f64, ThresholdError> {
    li::of(values.into_iter())
}

/// Yen's threshold: the one that maximises the correlation of the two classes (Yen, Chang and Chang
/// 1995, <https://doi.org/10.1109/83.366472>). The number is that of `threshold_yen`.
///
/// # Errors
/// If there are no values, or one of them is not a finite number.
pub fn yen<T: Pixel>(
    values: impl IntoIterator<Item = T, IntoIter: Clone>,
) -> Result<f64, ThresholdError> {
    Ok(Histogram::of(values)?.yen())
}

/// The intermeans threshold: the lowest that lies halfway between the means of the two classes (Ridler
/// and Calvard 1978, <https://doi.org/10.1109/TSMC.1978.4310039>), to within a bin. The number is that of
/// `threshold_isodata`.
///
/// # Errors
/// If there are no values, or one of them is not a finite number, or no value
/// lies halfway.
pub fn isodata<T: Pixel>(
    values: impl IntoIterator<Item = T, IntoIter: Clone>,
) -> Result<f64, ThresholdError> {
    Histogram::of(values)?.isodata()
}

/// The triangle threshold: the value of the histogram that is furthest below the line from its peak to
/// the end of its longer tail (Zack, Rogers and Latt 1977, <https://doi.org/10.1177/25.7.70454>). The
/// number is that of `threshold_triangle`.
///
/// # Errors
/// If there are no values, or one of them is not a finite number.
pub fn triangle<T: Pixel>(
    values: impl IntoIterator<Item = T, IntoIter: Clone>,
) -> Result<f64, ThresholdError> {
    Ok(Histogram::of(values)?.triangle())
}

/// The minimum of the histogram between its two maxima, once it has been smoothed until it has no more
/// than two (Prewitt and Mendelsohn 1966, <https://doi.org/10.1111/j.1749-6632.1965.tb11715.x>). The
/// number is that of `threshold_minimum`.
///
/// # Errors
/// If there are no values, or one of them is not a finite number, if there are
/// never two maxima, or if whole numbers span more than 2²⁰.
pub fn minimum<T: Pixel>(
    values: impl IntoIterator<Item = T, IntoIter: Clone>,
) -> Result<f64, ThresholdError> {
    Histogram::of(values)?.minimum()
}

/// The mean of all values. The number is that of `threshold_mean`, but for its rounding to the type of
/// floating-point values.
///
/// # Errors
/// If there are no values, or one of them is not a finite number.
pub fn mean<T: Pixel>(
    values: impl IntoIterator<Item = T, IntoIter: Clone>,
) -> Result<f64, ThresholdError> {
    let values = values.into_iter();
    if !T::TYPE.is_float() {
        return Ok(Histogram::of(values)?.mean());
    }
    histogram::range(values.clone())?;
    let (count, sum) =
        values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value.to_f64()));
    Ok(sum / count)
}

impl Histogram {
    /// The mean of the values of the bins; see [`mean`].
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.counts().map(|(value, count)| value * count as f64).sum::<f64>() / self.total as f64
    }
}

#[cfg(test)]
mod tests;
