//! Where the tiles lie.

use segmenter_core::{Space, Window};
use segmenter_model::{Blending, Model};

/// How an image is cut into overlapping tiles.
///
/// The tiles are MONAI's (`monai.inferers.sliding_window_inference`): they start every
/// `tile · (1 - overlap)` voxels, rounded down, and the last one along each axis is moved back so
/// that it ends where the image does.
///
/// ```
/// use segmenter_core::Yx;
/// use segmenter_predict::Tiling;
///
/// let tiling = Tiling::<Yx>::new([32, 32]).with_overlap(0.25)?;
/// let starts: Vec<_> = tiling.windows([32, 60]).map(|window| window.start).collect();
/// assert_eq!(starts, [[0, 0], [0, 24], [0, 28]]);
/// # Ok::<(), segmenter_predict::InvalidOverlap>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tiling<S: Space> {
    tile: S::Extent,
    largest: S::Extent,
    overlap: f64,
    blending: Blending,
}

/// An overlap that is not from 0 to below 1.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("an overlap is a share of the tile from 0 to below 1, found {0}")]
pub struct InvalidOverlap(pub f64);

impl<S: Space> Tiling<S> {
    /// Tiles of this extent that share a fifth of it with the next.
    #[must_use]
    pub fn new(tile: S::Extent) -> Self {
        Self { tile, largest: tile, overlap: 0.2, blending: Blending::default() }
    }

    /// The tiles that a model asks for: the patch it was trained on, growing with the image up to
    /// the [tile](segmenter_model::ModelCard::tile) that its card names.
    #[must_use]
    pub fn of(model: &Model<S>) -> Self {
        let card = model.card();
        let tiling = Self::new(card.patch).growing_to(card.tile).with_blending(card.blending);
        tiling.with_overlap(card.overlap).unwrap_or(tiling)
    }

    /// The same tiles, but larger for larger images: along each axis as long as the image, between
    /// this tile and `largest`. A tile that sees more of the image makes fewer mistakes where there
    /// is little to see, and fewer voxels are computed twice.
    #[must_use]
    pub fn growing_to(self, largest: S::Extent) -> Self {
        Self { largest, ..self }
    }

    /// The same tiles with another overlap, a share of the tile from 0 to below 1.
    ///
    /// # Errors
    /// If the overlap is outside that.
    pub fn with_overlap(self, overlap: f64) -> Result<Self, InvalidOverlap> {
        if !(0.0..1.0).contains(&overlap) {
            return Err(InvalidOverlap(overlap));
        }
        Ok(Self { overlap, ..self })
    }

    /// The same tiles, put together in another way.
    #[must_use]
    pub fn with_blending(self, blending: Blending) -> Self {
        Self { blending, ..self }
    }

    /// The same overlap with tiles of this extent for every image.
    #[must_use]
    pub fn with_tile(self, tile: S::Extent) -> Self {
        Self { tile, largest: tile, ..self }
    }

    /// The tiling for an image of this extent, with tiles that have done growing: each axis a
    /// multiple of `divisor`, which is the [network's](segmenter_model::DynUNetConfig::divisor).
    ///
    /// ```
    /// use segmenter_core::Yx;
    /// use segmenter_predict::Tiling;
    ///
    /// let tiling = Tiling::<Yx>::new([64, 64]).growing_to([256, 256]);
    /// assert_eq!(tiling.fitted([30, 70], [4, 4]).tile(), [64, 72]);
    /// assert_eq!(tiling.fitted([900, 256], [4, 4]).tile(), [256, 256]);
    /// ```
    #[must_use]
    pub fn fitted(&self, image: S::Extent, divisor: S::Extent) -> Self {
        self.with_tile(S::extent_from_fn(|axis| {
            let [tile, largest, image, divisor] =
                [self.tile, self.largest, image, divisor].map(|extent| extent.as_ref()[axis]);
            image.next_multiple_of(divisor.max(1)).min(largest).max(tile)
        }))
    }

    /// How voxels that several tiles hold are put together.
    #[must_use]
    pub fn blending(&self) -> Blending {
        self.blending
    }

    /// The extent of a tile; of one that grows, the smallest.
    #[must_use]
    pub fn tile(&self) -> S::Extent {
        self.tile
    }

    /// What an image is padded to before it is cut: no axis is shorter than the tile.
    #[must_use]
    pub fn padded(&self, image: S::Extent) -> S::Extent {
        S::extent_from_fn(|axis| image.as_ref()[axis].max(self.tile.as_ref()[axis]))
    }

    /// The tiles of an image that is nowhere shorter than a tile, the last axis fastest.
    pub fn windows(&self, image: S::Extent) -> impl ExactSizeIterator<Item = Window<S>> + use<S> {
        windows((0..S::RANK).map(|axis| self.starts(image, axis)).collect(), self.tile)
    }

    pub(crate) fn starts(&self, image: S::Extent, axis: usize) -> Vec<usize> {
        let (image, tile) = (image.as_ref()[axis], self.tile.as_ref()[axis]);
        let last = image.saturating_sub(tile);
        let mut starts: Vec<usize> = (0..last).step_by(self.step(tile)).collect();
        starts.push(last);
        starts
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "MONAI's int(tile * (1 - overlap)) on a small positive number"
    )]
    fn step(&self, tile: usize) -> usize {
        ((tile as f64 * (1.0 - self.overlap)) as usize).max(1)
    }
}

/// The tiles that begin at all combinations of these positions along each axis, the last axis fastest.
pub(crate) fn windows<S: Space>(
    starts: Vec<Vec<usize>>,
    tile: S::Extent,
) -> impl ExactSizeIterator<Item = Window<S>> + use<S> {
    let count = starts.iter().map(Vec::len).product();
    (0..count).map(move |index| {
        let mut rest = index;
        let mut start = S::extent_from_fn(|_| 0);
        for (position, starts) in start.as_mut().iter_mut().zip(&starts).rev() {
            *position = starts[rest % starts.len()];
            rest /= starts.len();
        }
        Window::new(start, tile)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use segmenter_core::{Yx, Zyx};

    use super::*;

    /// The starts that MONAI 1.4 gives (`scan_interval` [12, 25, 25]).
    #[test]
    fn the_starts_are_monais() {
        let starts: Vec<_> =
            Tiling::<Zyx>::new([16, 32, 32]).windows([18, 48, 40]).map(|w| w.start).collect();
        let expected = [
            [0, 0, 0],
            [0, 0, 8],
            [0, 16, 0],
            [0, 16, 8],
            [2, 0, 0],
            [2, 0, 8],
            [2, 16, 0],
            [2, 16, 8],
        ];
        assert_eq!(starts, expected);
    }

    #[test]
    fn an_overlap_of_a_whole_tile_is_refused() {
        for overlap in [1.0, -0.1, f64::NAN] {
            assert!(Tiling::<Yx>::new([8, 8]).with_overlap(overlap).is_err());
        }
    }

    proptest! {
        #[test]
        fn every_voxel_lies_in_a_tile_and_every_tile_in_the_image(
            image in [1_usize..50, 1_usize..50],
            tile in [1_usize..20, 1_usize..20],
            overlap in 0.0..0.95,
        ) {
            let tiling = Tiling::<Yx>::new(tile).with_overlap(overlap).unwrap();
            let image = tiling.padded(image);
            let mut covered = ndarray::Array2::<bool>::default(image);
            for window in tiling.windows(image) {
                prop_assert!(window.fits(image));
                for position in window.range(0).flat_map(|y| window.range(1).map(move |x| [y, x])) {
                    covered[position] = true;
                }
            }
            prop_assert!(covered.iter().all(|&covered| covered));
        }
    }
}
