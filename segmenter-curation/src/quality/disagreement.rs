//! Where a prediction and the segmentation disagree.

use ndarray::{Array2, Zip};
use segmenter_core::{ComponentScan, Connectivity, Region, Sample, Source, Space};
use serde::{Deserialize, Serialize};

use super::{
    QualityError,
    objects::{Coverage, around, eroded},
    plane::{planes, slice, windows},
};

/// Which way a prediction and the segmentation disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Predicted, but not segmented: perhaps an object was missed.
    NotSegmented,
    /// Segmented, but not predicted: perhaps there is no object.
    NotPredicted,
}

/// A connected blob of voxels in which a prediction and the segmentation disagree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// Which way.
    pub kind: Kind,
    /// Number of voxels.
    pub voxels: usize,
    /// The share of its voxels that are not at its border within the slice, 0 to 1: small in a rim
    /// around an object, which two people would draw differently as well.
    pub depth: f64,
    /// A box around the blob, from its first slice to its last: to look at, to exclude or to merge.
    pub region: Region,
}

/// The blobs in which a prediction and a sample's segmentation disagree, the largest first; those of
/// fewer voxels than `least` are left out. Voxels above `threshold` are predicted: 0.5 is right for
/// probabilities. Voxels that don't count play no part.
///
/// The prediction may come from anywhere, as a [`Source`] of one channel: a network's probabilities, or
/// another person's segmentation as a [`Stack`](segmenter_core::Stack). Both are read slice by slice,
/// twice.
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{Mask2, Sample, Stack2};
/// use segmenter_curation::quality::{Kind, disagreements};
///
/// let raw = Stack2::new(array![[9_u8, 9, 0, 0, 8, 8]]);
/// let sample = Sample::new("cell", raw, Mask2::new(array![[true, true, false, false, false, false]]))?;
/// let predicted = Stack2::new(array![[0.9_f32, 0.8, 0.1, 0.2, 0.7, 0.9]]);
///
/// let found = disagreements(&sample, &predicted, 0.5, 2)?;
/// assert_eq!((found[0].kind, found[0].voxels), (Kind::NotSegmented, 2));
/// assert_eq!(found[0].region.rasterise([1, 6]), Mask2::new(array![[false, false, false, false, true, true]]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the prediction's extent is not the sample's, or voxels can't be read.
pub fn disagreements<S: Space>(
    sample: &Sample<S>,
    prediction: &dyn Source<S, f32>,
    threshold: f32,
    least: usize,
) -> Result<Vec<Disagreement>, QualityError> {
    let name = || sample.name().to_owned();
    segmenter_core::ExtentMismatch::check(prediction.extent(), sample.extent())
        .map_err(|source| QualityError::Prediction { name: name(), source })?;
    let mut found = Vec::new();
    for kind in [Kind::NotSegmented, Kind::NotPredicted] {
        let slices = || {
            planes(sample).zip(windows::<S>(sample.extent())).map(|(plane, window)| {
                let plane = plane?;
                let predicted = slice(prediction, &window)
                    .map_err(|source| QualityError::Read { name: name(), source })?;
                Ok(differing(
                    kind,
                    &predicted.mapv(|p| p > threshold),
                    &plane.inside,
                    &plane.counted,
                ))
            })
        };
        let mut scan = ComponentScan::new(Connectivity::Face);
        for slice in slices() {
            let pushed = scan.push(&slice?.view());
            pushed.map_err(|source| QualityError::Objects { name: name(), source })?;
        }
        let components = scan.finish();
        let mut deep = Coverage::new(&components);
        for slice in slices() {
            let slice = slice?;
            deep.push(&slice, &eroded(&slice));
        }
        for (component, deep) in components.components().iter().zip(deep.covered()) {
            if component.voxels >= least.max(1) {
                let depth = *deep as f64 / component.voxels as f64;
                let region = around(component, S::RANK == 3);
                found.push(Disagreement { kind, voxels: component.voxels, depth, region });
            }
        }
    }
    found.sort_by_key(|blob| std::cmp::Reverse(blob.voxels));
    Ok(found)
}

/// The voxels that differ one way.
fn differing(
    kind: Kind,
    predicted: &Array2<bool>,
    segmented: &Array2<bool>,
    counted: &Array2<bool>,
) -> Array2<bool> {
    Zip::from(predicted).and(segmented).and(counted).map_collect(
        |&predicted, &segmented, &counted| {
            let differs = match kind {
                Kind::NotSegmented => predicted && !segmented,
                Kind::NotPredicted => segmented && !predicted,
            };
            differs && counted
        },
    )
}
