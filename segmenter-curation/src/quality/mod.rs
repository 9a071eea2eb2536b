//! How good an image and its segmentation are, in numbers.
//!
//! [`measure`] takes a [`Sample`] and gives a [`Quality`]: the same [`Measures`] of the whole image and
//! of each slice, and what only the whole can tell. Voxels that don't count, because they are excluded,
//! play no part. Objects are taken to be brighter than what is around them. A measure that is not
//! defined, such as the contrast of an empty segmentation, is `None`, never a NaN.
//!
//! [`review::rank`](crate::review::rank) makes a list of suspects of them, [`deviations`] says how far
//! out a value is, and [`disagreements`] compares with a prediction.
//!
//! ```
//! use ndarray::Array2;
//! use segmenter_core::{Mask2, Sample, Stack2};
//! use segmenter_curation::quality;
//!
//! let inside = |(y, x): (usize, usize)| (8..16).contains(&y) && (4..12).contains(&x);
//! let raw = Array2::from_shape_fn((32, 32), |at| if inside(at) { 200_u8 } else { 20 });
//! let mask = Array2::from_shape_fn((32, 32), |(y, x)| x >= 3 && inside((y, x - 3)));
//!
//! let quality = quality::measure(&Sample::new("cell", Stack2::new(raw), Mask2::new(mask))?)?;
//! assert_eq!(quality.whole.objects.count, 1);
//! let shift = quality.shift.unwrap();
//! assert_eq!((shift.y, shift.x), (0, -3), "the segmentation is 3 pixels too far right");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod disagreement;
mod histogram;
mod objects;
mod outliers;
pub(crate) mod plane;
mod shift;
mod texture;

use ndarray::Array2;
use segmenter_core::{
    Component, ComponentScan, Connectivity, ExtentMismatch, ReadError, Sample, Space,
    TooManyComponents,
};
use serde::{Deserialize, Serialize};

pub(crate) use self::outliers::centre_and_spread;
pub use self::{
    disagreement::{Disagreement, Kind, disagreements},
    objects::{Missing, Objects},
    outliers::deviations,
    shift::BestShift,
};
use self::{
    histogram::{Bins, Histogram},
    objects::{Coverage, bright, components},
    plane::planes,
    shift::Correlation,
    texture::Texture,
};

/// Intensities are limited to these percentiles before they are correlated, so that a few hot voxels
/// don't decide.
const LIMITS: [f64; 2] = [0.01, 0.998];

/// How good an image and its segmentation are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quality {
    /// The name of the sample.
    pub name: String,
    /// The whole image.
    pub whole: Measures,
    /// Each slice by itself; a plane has one. Objects of a slice are those of its plane.
    pub slices: Vec<Measures>,
    /// Where the segmentation would fit best within 16 pixels along y and x, by the correlation that
    /// [`Measures::agreement`] is. `None` where that is.
    pub shift: Option<BestShift>,
    /// Bright structures of the raw image, by Otsu's threshold, that the segmentation leaves out.
    pub missing: Missing,
}

impl Quality {
    /// The number of slices in which nothing is segmented.
    #[must_use]
    pub fn empty_slices(&self) -> usize {
        self.slices.iter().filter(|slice| slice.objects.count == 0).count()
    }
}

/// Measures of an image or of a slice, over the voxels that count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measures {
    /// The share of voxels that are segmented, 0 to 1.
    pub foreground: Option<f64>,
    /// The objects of the segmentation.
    pub objects: Objects,
    /// The share of voxels as bright as the brightest of the whole image, 0 to 1. One bright voxel is a
    /// tiny share of an image; a larger one says that the camera or a conversion has cut off what was
    /// brighter.
    pub saturated: Option<f64>,
    /// The variance of the Laplacian (4 neighbours in the slice) over the variance of intensities, 0 to
    /// 72: near 0 where neighbours are alike, as in a blurred image, and about 20 in white noise. It
    /// depends on how fine the structures are, so compare images of one kind. Variance of the Laplacian:
    /// Pech-Pacheco et al. 2000, <https://doi.org/10.1109/ICPR.2000.903548>; the division makes it
    /// independent of brightness and contrast.
    pub focus: Option<f64>,
    /// The standard deviation of the noise, in units of intensity: √(π/2)/6 times the mean absolute
    /// response to `[1 -2 1; -2 4 -2; 1 -2 1]` where it covers background only, or anywhere if there is
    /// no such place (Immerkær 1996, <https://doi.org/10.1006/cviu.1996.0060>).
    pub noise: Option<f64>,
    /// The median of the foreground less that of the background, over the noise.
    pub signal_to_noise: Option<f64>,
    /// The probability that a voxel of the foreground is brighter than one of the background, where
    /// equal ones count half: the area under the ROC curve, 0.5 if the segmentation has nothing to do
    /// with the image (Hanley et al. 1982, <https://doi.org/10.1148/radiology.143.1.7063747>).
    pub separability: Option<f64>,
    /// The point-biserial correlation, -1 to 1, of the segmentation and the intensities, these limited
    /// to the image's percentiles 1 and 99.8 (Tate 1954,
    /// <https://doi.org/10.1214/aoms/1177728730>).
    pub agreement: Option<f64>,
    /// The mean gradient (Sobel, in the slice) at voxels beside the segmentation's boundary over that
    /// elsewhere: 1 if the boundary is anywhere, more if it follows edges.
    pub edge: Option<f64>,
    /// The correlation of neighbours in the slice, -1 to 1: 0 in white noise, near 1 in images of
    /// structures larger than a voxel.
    pub structure: Option<f64>,
}

/// Why a sample was not measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QualityError {
    /// Voxels can't be read.
    #[error("`{name}`: can't be read")]
    Read {
        /// The name of the sample.
        name: String,
        /// Why not.
        source: ReadError,
    },
    /// An intensity is infinite or not a number.
    #[error(
        "`{name}`: intensities are finite numbers, but slice {z} has {value} at row {y}, column {x}"
    )]
    NotFinite {
        /// The name of the sample.
        name: String,
        /// The slice; 0 in a plane.
        z: usize,
        /// The row.
        y: usize,
        /// The column.
        x: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A prediction is not of the sample's extent.
    #[error("`{name}`: the prediction does not fit the image")]
    Prediction {
        /// The name of the sample.
        name: String,
        /// What differs.
        source: ExtentMismatch,
    },
    /// There are too many objects.
    #[error("`{name}`: too many objects")]
    Objects {
        /// The name of the sample.
        name: String,
        /// How many are too many.
        source: TooManyComponents,
    },
}

/// Measures a sample slice by slice; no more than one slice is in memory at a time, beside histograms
/// (2 MB) and what [`ComponentScan`] keeps. It is read five times.
///
/// # Errors
/// If a voxel can't be read or an intensity is not finite.
pub fn measure<S: Space>(sample: &Sample<S>) -> Result<Quality, QualityError> {
    let range = Range::of(sample)?;
    let bins = || Bins::new(range.low, range.high, range.whole_numbers);
    let (mut whole, mut part) = (Histogram::new(bins()), Histogram::new(bins()));
    let mut texture = Texture::default();
    let mut slices = Vec::new();
    let mut objects = ComponentScan::new(Connectivity::Face);
    let too_many = |source| QualityError::Objects { name: sample.name().to_owned(), source };
    let (mut voxels, mut inside) = (0, 0);
    for plane in planes(sample) {
        let plane = plane?;
        objects.push(&plane.inside.view()).map_err(too_many)?;
        part.clear();
        part.add_plane(&plane);
        whole.add(&part);
        let texture_here = Texture::of(&plane);
        texture.add(&texture_here);
        let found = components(&plane.inside).map_err(too_many)?;
        let (rows, columns) = plane.raw.dim();
        let found = Objects::of(&found, [1, rows, columns], false);
        let (voxels_here, inside_here) = (count(&plane.counted), count(&plane.inside));
        voxels += voxels_here;
        inside += inside_here;
        let share = share(inside_here, voxels_here);
        slices.push(measures(share, found, range.high, &part, &texture_here));
    }
    let objects = objects.finish();
    let objects = objects.components();
    let volume = S::RANK == 3;
    let found = Objects::of(objects, S::to_zyx(sample.extent()), volume);
    let mut quality = Quality {
        name: sample.name().to_owned(),
        whole: measures(share(inside, voxels), found, range.high, &whole, &texture),
        slices,
        shift: None,
        missing: Missing::default(),
    };
    correlate(sample, &whole, &mut quality)?;
    if let Some(threshold) = whole.otsu() {
        quality.missing = missing(sample, threshold, objects)?;
    }
    Ok(quality)
}

/// The measures that follow from counts and neighbourhoods.
fn measures(
    foreground: Option<f64>,
    objects: Objects,
    brightest: f64,
    histogram: &Histogram,
    texture: &Texture,
) -> Measures {
    let noise = texture.noise();
    let per_noise = |signal: f64| noise.filter(|&noise| noise > 0.0).map(|noise| signal / noise);
    Measures {
        foreground,
        objects,
        saturated: histogram.saturated(brightest),
        focus: texture.focus(),
        noise,
        signal_to_noise: histogram.signal().and_then(per_noise),
        separability: histogram.separability(),
        agreement: None,
        edge: texture.edge(),
        structure: texture.structure(),
    }
}

/// Measures the agreement of raw image and segmentation, here and shifted.
fn correlate<S: Space>(
    sample: &Sample<S>,
    histogram: &Histogram,
    quality: &mut Quality,
) -> Result<(), QualityError> {
    let [low, high] = LIMITS.map(|share| histogram.percentile(share));
    let (Some(low), Some(high), Some(share)) = (low, high, quality.whole.foreground) else {
        return Ok(());
    };
    let centre = histogram.limited_mean(low, high);
    let mut whole = Correlation::new([low, high], centre, share);
    for (plane, slice) in planes(sample).zip(&mut quality.slices) {
        let plane = plane?;
        slice.agreement = whole.push(&plane).correlation();
    }
    if let Some((agreement, shift)) = whole.finish() {
        quality.whole.agreement = Some(agreement);
        quality.shift = Some(shift);
    }
    Ok(())
}

/// Finds bright structures and how much of each is segmented.
fn missing<S: Space>(
    sample: &Sample<S>,
    threshold: f64,
    objects: &[Component],
) -> Result<Missing, QualityError> {
    let too_many = |source| QualityError::Objects { name: sample.name().to_owned(), source };
    let mut scan = ComponentScan::new(Connectivity::Face);
    for plane in planes(sample) {
        scan.push(&bright(&plane?, threshold).view()).map_err(too_many)?;
    }
    let found = scan.finish();
    let mut coverage = Coverage::new(&found);
    for plane in planes(sample) {
        let plane = plane?;
        coverage.push(&bright(&plane, threshold), &plane.inside);
    }
    Ok(coverage.finish(objects, S::RANK == 3))
}

/// What the intensities of a sample span.
struct Range {
    low: f64,
    high: f64,
    whole_numbers: bool,
}

impl Range {
    fn of<S: Space>(sample: &Sample<S>) -> Result<Self, QualityError> {
        let mut range = Self { low: f64::INFINITY, high: f64::NEG_INFINITY, whole_numbers: true };
        for (z, plane) in planes(sample).enumerate() {
            let plane = plane?;
            for ((y, x), &value) in plane.raw.indexed_iter() {
                if !value.is_finite() {
                    let name = sample.name().to_owned();
                    return Err(QualityError::NotFinite { name, z, y, x, value });
                }
                if plane.counted[[y, x]] {
                    range.low = range.low.min(value.into());
                    range.high = range.high.max(value.into());
                    range.whole_numbers &= value.fract() == 0.0;
                }
            }
        }
        // Nothing counts, so nothing is binned.
        Ok(if range.low > range.high { Self { low: 0.0, high: 0.0, ..range } } else { range })
    }
}

fn count(mask: &Array2<bool>) -> usize {
    mask.iter().filter(|&&inside| inside).count()
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests;
