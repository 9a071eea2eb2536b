//! What a prediction will do and take, before it does.

use std::fmt;

use segmenter_core::{Space, Window};
use segmenter_model::Model;

use crate::{PredictError, Tiling, tiling::windows};

/// About how many bytes of logits are handed over at once.
const AT_ONCE: usize = 16 << 20;

/// Bytes for reading: what is kept of a file, and what is being unpacked of it.
const READING: u64 = 96 << 20;

/// Numbers of the widest features that the compiled network has in memory for each voxel of a tile and
/// each of its first filters, measured: features of both branches, their padded copies, and the same
/// of the levels below.
const COMPILED: u64 = 12;

/// The same where operations of burn compute.
const OPERATIONS: u64 = 30;

/// How an image is predicted: in which tiles, how many of them at once, and in which parts.
///
/// An image is predicted from its first slice to its last, and a slice is complete when all tiles are
/// that hold it, so what is in memory of the result is as many slices as a tile has. Where these are too
/// large for a [budget](Self::within) the image is cut into *columns*, which reach through all slices.
/// Tiles on the border of two columns are computed for each of them, so small columns take more time.
/// The logits are the same bits whatever the plan is.
///
/// ```
/// use burn::tensor::Device;
/// use segmenter_model::{DynUNetConfig, Model3};
/// use segmenter_predict::{Plan, Tiling};
///
/// let model = Model3::init(DynUNetConfig::small(), [32, 128, 128], 7, &Device::flex())?;
/// let plan = Plan::new(&model, [1000, 5000, 5000], &Tiling::of(&model))?;
/// assert!(plan.peak_bytes() > 4 << 30);
///
/// let small = plan.within(2 << 30)?;
/// assert!(small.peak_bytes() <= 2 << 30 && small.tiles() > plan.tiles());
/// println!("{small}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<S: Space> {
    tiling: Tiling<S>,
    extent: S::Extent,
    /// Boxes that are handed over begin at its multiples.
    block: S::Extent,
    column: S::Extent,
    at_once: usize,
    /// How many at once the model is best for.
    best_at_once: usize,
    out_channels: usize,
    tile_bytes: u64,
    model_bytes: u64,
}

/// No plan takes so little memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a prediction within {budget} bytes of memory can't be made: {least} are needed with these \
     tiles; smaller tiles need less"
)]
pub struct BudgetError {
    /// What may be taken, in bytes.
    pub budget: u64,
    /// The least that would do, in bytes.
    pub least: u64,
}

impl<S: Space> Plan<S> {
    /// A plan that computes every tile once, whatever memory it takes, with as many tiles at once as
    /// the model is [best](segmenter_model::Compiled::at_once) for.
    ///
    /// # Errors
    /// If the network can't take such tiles, or the image has more voxels than can be addressed.
    pub fn new(
        model: &Model<S>,
        extent: S::Extent,
        tiling: &Tiling<S>,
    ) -> Result<Self, PredictError> {
        let network = &model.card().network;
        let tiling = tiling.fitted(extent, network.divisor());
        network.check_patch(tiling.tile())?;
        let numbers = S::voxels(tiling.padded(extent))
            .and_then(|voxels| voxels.checked_mul(network.out_channels));
        if numbers.is_none_or(|numbers| numbers > isize::MAX as usize / size_of::<f32>()) {
            return Err(PredictError::TooLarge(extent.as_ref().to_vec()));
        }
        let voxels = S::voxels(tiling.tile()).unwrap_or(usize::MAX) as u64;
        let at_once = model.tiles_at_once();
        let widest = *network.filters.first().unwrap_or(&1) as u64;
        let features = widest * if model.is_compiled() { COMPILED } else { OPERATIONS };
        let images = (network.in_channels + 2 * network.out_channels) as u64;
        Ok(Self {
            tiling,
            extent,
            block: S::extent_from_fn(|_| 1),
            column: extent,
            at_once,
            best_at_once: at_once,
            out_channels: network.out_channels,
            tile_bytes: 4 * voxels * (features + images),
            model_bytes: 8 * model.parameters() as u64,
        })
    }

    /// The same plan for a result that is stored in blocks of this extent: the
    /// [block](segmenter_core::Sink::block) of a sink.
    #[must_use]
    pub fn with_block(self, block: S::Extent) -> Self {
        let block = S::extent_from_fn(|axis| block.as_ref()[axis].max(1));
        Self { block, ..self }
    }

    /// The plan with the fewest tiles whose [peak](Self::peak_bytes) is within so many bytes.
    ///
    /// # Errors
    /// If there is none: the error says what would do.
    pub fn within(&self, budget: u64) -> Result<Self, BudgetError> {
        let fewer = (1..=self.best_at_once).rev();
        let plans: Vec<Self> = fewer
            .flat_map(|at_once| {
                self.column_extents().map(move |column| Self { column, at_once, ..self.clone() })
            })
            .collect();
        let fitting = plans.iter().filter(|plan| plan.peak_bytes() <= budget);
        // A tile less at once costs time in proportion, as tiles that are computed twice do.
        let cost =
            |plan: &&Self| plan.tiles().saturating_mul(plan.best_at_once).div_ceil(plan.at_once);
        fitting.min_by_key(cost).cloned().ok_or_else(|| {
            let least = plans.iter().map(Self::peak_bytes).min().unwrap_or(u64::MAX);
            BudgetError { budget, least }
        })
    }

    /// All extents of columns that make sense: each axis but the first halved as often as wanted, in
    /// whole blocks and no smaller than a tile.
    fn column_extents(&self) -> impl Iterator<Item = S::Extent> + use<S> {
        let axis_extents = |axis: usize| -> Vec<usize> {
            let [extent, block, tile] =
                [self.extent, self.block, self.tiling.tile()].map(|axes| axes.as_ref()[axis]);
            let mut extents = vec![extent];
            let mut parts = 2;
            while axis > 0 && extent.div_ceil(parts) >= tile {
                let part = extent.div_ceil(parts).next_multiple_of(block).min(extent);
                extents.push(part);
                parts += 1 + parts / 8;
            }
            extents.dedup();
            extents
        };
        let axes: Vec<Vec<usize>> = (0..S::RANK).map(axis_extents).collect();
        let count: usize = axes.iter().map(Vec::len).product();
        (0..count).map(move |mut index| {
            S::extent_from_fn(|axis| {
                let extent = axes[axis][index % axes[axis].len()];
                index /= axes[axis].len();
                extent
            })
        })
    }

    /// The tiles, which have done growing.
    #[must_use]
    pub fn tiling(&self) -> &Tiling<S> {
        &self.tiling
    }

    /// Number of voxels of the image along each axis, slowest first.
    #[must_use]
    pub fn extent(&self) -> S::Extent {
        self.extent
    }

    /// The extent of a column, which is that of the image along the first axis.
    #[must_use]
    pub fn column(&self) -> S::Extent {
        self.column
    }

    /// How many tiles are computed at once.
    #[must_use]
    pub fn at_once(&self) -> usize {
        self.at_once
    }

    /// How many tiles are computed, those counted twice that two columns need.
    #[must_use]
    pub fn tiles(&self) -> usize {
        let axis_tiles = |axis: usize| -> usize {
            let step = self.column.as_ref()[axis].max(1);
            let columns = (0..self.extent.as_ref()[axis]).step_by(step);
            columns.map(|first| self.starts(axis, first).len()).sum()
        };
        (0..S::RANK).map(axis_tiles).product()
    }

    /// About how many bytes of memory are taken at most, by the prediction and what it reads. What a
    /// program holds before comes on top.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        let plane: u64 = self.column.as_ref()[1..].iter().map(|&size| size as u64).product();
        let channels = self.out_channels as u64;
        let ring = 4 * self.height() as u64 * plane * (channels + 1);
        // As logits, as values, as bytes of a file and packed.
        let handed_over = 16 * self.slices_at_once() as u64 * plane * channels;
        let tiles = self.at_once as u64 * self.tile_bytes;
        ring + handed_over + tiles + self.model_bytes + READING
    }

    /// The columns of the image, the last axis fastest.
    pub(crate) fn columns(&self) -> impl Iterator<Item = Window<S>> + use<S> {
        Window::blocks(self.extent, S::extent_from_fn(|axis| self.column.as_ref()[axis].max(1)))
    }

    /// The tiles of the padded image that a column needs, layer by layer along the first axis, in the
    /// order of [`Tiling::windows`].
    pub(crate) fn layers(&self, column: &Window<S>) -> Vec<Vec<Window<S>>> {
        let starts = (0..S::RANK).map(|axis| self.starts(axis, column.start.as_ref()[axis]));
        let windows: Vec<Window<S>> = windows(starts.collect(), self.tiling.tile()).collect();
        let layers = windows.chunk_by(|a, b| a.start.as_ref()[0] == b.start.as_ref()[0]);
        layers.map(<[_]>::to_vec).collect()
    }

    /// Where the tiles begin along an axis, in the padded image, that a column from this voxel on needs.
    fn starts(&self, axis: usize, first: usize) -> Vec<usize> {
        let image = self.tiling.padded(self.extent);
        let [extent, column, padded, tile] =
            [self.extent, self.column, image, self.tiling.tile()].map(|sizes| sizes.as_ref()[axis]);
        let margin = (padded - extent) / 2;
        let (low, high) = (first + margin, (first + column).min(extent) + margin);
        let mut starts = self.tiling.starts(image, axis);
        starts.retain(|&start| start < high && start + tile > low);
        starts
    }

    /// Number of slices that a ring needs, so that a slice has its own place until it is handed over.
    pub(crate) fn height(&self) -> usize {
        let padded = self.tiling.padded(self.extent).as_ref()[0];
        (self.tiling.tile().as_ref()[0] + self.block.as_ref()[0] - 1).min(padded)
    }

    /// So many slices, less those that are no whole block.
    pub(crate) fn whole_blocks(&self, slices: usize) -> usize {
        slices - slices % self.block.as_ref()[0]
    }

    /// Number of slices that are handed over at once: whole blocks.
    pub(crate) fn slices_at_once(&self) -> usize {
        let plane: usize = self.column.as_ref()[1..].iter().product();
        let fitting = AT_ONCE / (plane * self.out_channels * size_of::<f32>()).max(1);
        self.whole_blocks(fitting).max(self.block.as_ref()[0])
    }

    /// Checks that this is a plan for the image.
    pub(crate) fn check(&self, model: &Model<S>, extent: S::Extent) -> Result<(), PredictError> {
        model.card().network.check_patch(self.tiling.tile())?;
        if extent == self.extent {
            return Ok(());
        }
        let [planned, found] = [self.extent, extent].map(|extent| extent.as_ref().to_vec());
        Err(PredictError::OtherImage { planned, found })
    }
}

impl<S: Space> fmt::Display for Plan<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |extent: S::Extent| {
            let sizes: Vec<String> = extent.as_ref().iter().map(usize::to_string).collect();
            sizes.join(" x ")
        };
        write!(
            f,
            "{} voxels in {} tiles of {}, {} at once, in {} columns of {}; at most {} MiB",
            size(self.extent),
            self.tiles(),
            size(self.tiling.tile()),
            self.at_once,
            self.columns().count(),
            size(self.column),
            self.peak_bytes() >> 20
        )
    }
}
