//! What two segmentations make of a voxel.

use serde::{Deserialize, Serialize};

/// What a voxel becomes inside a region, from what it is in the base and in the other segmentation.
/// Background is `false` in a mask, and 0 in a label image.
///
/// ```
/// use segmenter_curation::MergeRule;
///
/// let (base, other) = (3_u32, 8);
/// assert_eq!(MergeRule::Replace.apply(base, other), 8);
/// assert_eq!(MergeRule::Replace.apply(base, 0), 0);
/// assert_eq!(MergeRule::Union.apply(base, other), 3);
/// assert_eq!(MergeRule::Union.apply(0, other), 8);
/// assert_eq!(MergeRule::Intersect.apply(base, 0), 0);
/// assert_eq!(MergeRule::Subtract.apply(base, other), 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeRule {
    /// What it is in the other.
    #[default]
    Replace,
    /// What it is in the base, and where that is background, in the other.
    Union,
    /// What it is in the base, and background where the other is background.
    Intersect,
    /// What it is in the base, and background where the other is not background.
    Subtract,
}

impl MergeRule {
    /// The voxel that becomes of two.
    #[must_use]
    pub fn apply<T: Copy + Default + PartialEq>(self, base: T, other: T) -> T {
        let background = T::default();
        match self {
            Self::Replace => other,
            Self::Union if base != background => base,
            Self::Union => other,
            Self::Intersect if other == background => background,
            Self::Subtract if other != background => background,
            Self::Intersect | Self::Subtract => base,
        }
    }

    /// The same for voxels that follow each other, of which there are equally many.
    pub(crate) fn apply_all<T: Copy + Default + PartialEq>(self, base: &mut [T], other: &[T]) {
        if self == Self::Replace {
            base.copy_from_slice(other);
            return;
        }
        base.iter_mut().zip(other).for_each(|(base, &other)| *base = self.apply(*base, other));
    }
}
