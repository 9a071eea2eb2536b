//! Pictures of images and of what was decided about them, to look at.
//!
//! A [`Preview`] draws a slice, a maximum projection or orthogonal views of a raw image, with
//! segmentations and regions on it; a [`ContactSheet`] puts pictures of a data set side by side. A
//! picture is a [`Stack2<u8>`] of red, green and blue, which saves itself as PNG. The same input gives
//! the same picture, bit for bit.
//!
//! Colours are those of Okabe and Ito (*Color Universal Design*, 2008), which people of any colour vision
//! tell apart, and hatching differs as well:
//!
//! | what | how it is drawn |
//! |---|---|
//! | segmentation | outlined in [`YELLOW`], a second in [`PURPLE`], then [`GREEN`], and again |
//! | excluded | [`VERMILLION`], hatched like `/` |
//! | merged | [`SKY_BLUE`], hatched like `\` |
//!
//! ```
//! use ndarray::Array3;
//! use segmenter_core::{Mask3, Region, Stack3};
//! use segmenter_curation::preview::Preview;
//!
//! let raw = Stack3::new(Array3::from_shape_fn((8, 32, 48), |(z, y, x)| (z * 9 + y + x) as u16));
//! let debris = [Region::polygon([(4.0, 4.0), (12.0, 4.0), (8.0, 12.0)])?];
//! let picture = Preview::slice(&raw, 3)
//!     .with_outline(&Mask3::all([8, 32, 48]))
//!     .with_excluded(&debris)
//!     .draw()?;
//! assert_eq!((picture.channels(), picture.extent()), (3, [171, 256]));
//!
//! let folder = tempfile::tempdir()?;
//! picture.save(folder.path().join("slice.png"))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod canvas;
mod font;
mod panel;
mod sheet;

use ndarray::Array2;
use segmenter_core::{ExtentMismatch, ReadError, Region, Sample, Source, Space, Stack2, Window};

pub use self::sheet::ContactSheet;
use self::{
    canvas::Canvas,
    panel::{Cut, Panel},
};
use crate::quality::plane::{flat, mean_of_channels, slice};

/// Outlines of the first segmentation.
pub const YELLOW: [u8; 3] = [240, 228, 66];
/// Outlines of the second.
pub const PURPLE: [u8; 3] = [204, 121, 167];
/// Outlines of the third, and images that are used.
pub const GREEN: [u8; 3] = [0, 158, 115];
/// What is excluded, and images that are not used.
pub const VERMILLION: [u8; 3] = [213, 94, 0];
/// What is merged.
pub const SKY_BLUE: [u8; 3] = [86, 180, 233];

const OUTLINES: [[u8; 3]; 3] = [YELLOW, PURPLE, GREEN];

/// The longest side of a thumbnail in pixels.
pub const THUMBNAIL: usize = 256;
/// The longest side of a picture that fills a screen in pixels.
pub const SCREEN: usize = 1024;

/// Between orthogonal views, in pixels.
const GAP: usize = 3;

/// The colour of what is between pictures.
const BETWEEN: [u8; 3] = [255; 3];

/// A picture of a raw image that is yet to be drawn.
///
/// Gray is the intensity, of several channels their mean, from the percentile 1 (black) to the
/// percentile 99.8 (white) of the voxels that are shown. Where these are equal, as in an image of
/// almost nothing but background, the lowest and the highest intensity take their place.
///
/// Voxels have their true proportions. A picture is [`THUMBNAIL`] pixels wide or high, whichever is
/// more, unless [`with_side`](Self::with_side) says otherwise: smaller images are enlarged without
/// smoothing, larger ones are averaged.
#[derive(Clone)]
pub struct Preview<'a, S: Space> {
    raw: &'a dyn Source<S, f32>,
    view: View,
    outlines: Vec<Outline<'a, S>>,
    excluded: Vec<&'a Region>,
    merged: Vec<&'a Region>,
    counted: Option<&'a dyn Source<S, bool>>,
    side: usize,
}

#[derive(Clone, Copy, Debug)]
enum View {
    Slice(usize),
    Maximum,
    Orthogonal([usize; 3]),
}

#[derive(Clone, Copy)]
enum Outline<'a, S: Space> {
    Mask(&'a dyn Source<S, bool>),
    Labels(&'a dyn Source<S, u32>),
}

/// Why a picture was not drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreviewError {
    /// There is no such voxel, or no voxel at all.
    #[error("a view through voxel {at:?} (z, y, x) leaves an image of extent {extent:?}")]
    Outside {
        /// Where the view was to go through.
        at: [usize; 3],
        /// The extent that there is.
        extent: [usize; 3],
    },
    /// What is to be drawn on the image is not of its extent.
    #[error("what is to be drawn does not fit the image")]
    Extent(#[from] ExtentMismatch),
    /// Voxels can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl<'a, S: Space> Preview<'a, S> {
    /// One slice, counted from 0. A plane has one.
    #[must_use]
    pub fn slice(raw: &'a dyn Source<S, f32>, z: usize) -> Self {
        Self::new(raw, View::Slice(z))
    }

    /// The brightest voxel of all slices at each place, and what is segmented, excluded or merged there
    /// in any slice. One slice is in memory at a time.
    #[must_use]
    pub fn maximum(raw: &'a dyn Source<S, f32>) -> Self {
        Self::new(raw, View::Maximum)
    }

    /// The three planes through a voxel `[z, y, x]`: xy, to the right of it yz, and below it xz. Of a
    /// plane there is one.
    #[must_use]
    pub fn orthogonal(raw: &'a dyn Source<S, f32>, through: [usize; 3]) -> Self {
        Self::new(raw, View::Orthogonal(through))
    }

    /// A maximum projection of a sample with its segmentation outlined and what does not count marked as
    /// excluded.
    #[must_use]
    pub fn sample(sample: &'a Sample<S>) -> Self {
        let preview = Self::maximum(sample.raw()).with_outline(sample.target());
        Self { counted: sample.counted(), ..preview }
    }

    /// Outlines a segmentation.
    #[must_use]
    pub fn with_outline(mut self, mask: &'a dyn Source<S, bool>) -> Self {
        self.outlines.push(Outline::Mask(mask));
        self
    }

    /// Outlines each object of a segmentation.
    #[must_use]
    pub fn with_objects(mut self, labels: &'a dyn Source<S, u32>) -> Self {
        self.outlines.push(Outline::Labels(labels));
        self
    }

    /// Marks regions as excluded.
    #[must_use]
    pub fn with_excluded(mut self, regions: &'a [Region]) -> Self {
        self.excluded.extend(regions);
        self
    }

    /// Marks what is outside of a mask as excluded.
    #[must_use]
    pub fn with_counted(mut self, counted: &'a dyn Source<S, bool>) -> Self {
        self.counted = Some(counted);
        self
    }

    /// Marks regions as merged.
    #[must_use]
    pub fn with_merged(mut self, regions: impl IntoIterator<Item = &'a Region>) -> Self {
        self.merged.extend(regions);
        self
    }

    /// The longest side of the picture in pixels; 1 if 0 is given.
    #[must_use]
    pub fn with_side(mut self, pixels: usize) -> Self {
        self.side = pixels.max(1);
        self
    }

    /// Draws the picture: red, green and blue.
    ///
    /// # Errors
    /// If there is no such slice or voxel, what is drawn is not of the image's extent, or voxels can't
    /// be read.
    pub fn draw(&self) -> Result<Stack2<u8>, PreviewError> {
        self.check()?;
        let panels = match self.view {
            View::Maximum => vec![self.projection()?],
            View::Orthogonal([z, y, x]) if S::RANK == 3 => {
                vec![self.panel(Cut::Z(z))?, self.panel(Cut::X(x))?, self.panel(Cut::Y(y))?]
            }
            View::Slice(z) | View::Orthogonal([z, ..]) => vec![self.panel(Cut::Z(z))?],
        };
        let contrast = panel::contrast(&panels);
        let layout = Layout::new(self.lengths(), panels.len() == 3, self.side);
        let mut canvas = Canvas::new(layout.extent, BETWEEN);
        for (panel, (at, size)) in panels.iter().zip(layout.panels) {
            panel.draw(&mut canvas, at, size, contrast);
        }
        Ok(canvas.into_picture())
    }

    fn new(raw: &'a dyn Source<S, f32>, view: View) -> Self {
        Self {
            raw,
            view,
            outlines: Vec::new(),
            excluded: Vec::new(),
            merged: Vec::new(),
            counted: None,
            side: THUMBNAIL,
        }
    }

    fn check(&self) -> Result<(), PreviewError> {
        let extent = S::to_zyx(self.raw.extent());
        let at = match self.view {
            View::Slice(z) => [z, 0, 0],
            View::Maximum => [0; 3],
            View::Orthogonal(at) => at,
        };
        if at.iter().zip(extent).any(|(&at, size)| at >= size) {
            return Err(PreviewError::Outside { at, extent });
        }
        let extents = self.outlines.iter().map(Outline::extent);
        for extent in extents.chain(self.counted.map(Source::extent)) {
            ExtentMismatch::check(extent, self.raw.extent())?;
        }
        Ok(())
    }

    /// How long the image is along z, y and x, in widths of a voxel.
    fn lengths(&self) -> [f64; 3] {
        let mut spacing = [1.0; 3];
        if let Some(size) = self.raw.voxel_size() {
            spacing[3 - S::RANK..].copy_from_slice(size.micrometres().as_ref());
        }
        let extent = S::to_zyx(self.raw.extent());
        [0, 1, 2].map(|axis| extent[axis] as f64 * spacing[axis] / spacing[2])
    }

    fn panel(&self, cut: Cut) -> Result<Panel, ReadError> {
        let window = cut.window::<S>(self.raw.extent());
        let slices = S::to_zyx(self.raw.extent())[0];
        let raw = mean_of_channels::<S>(self.raw.read(&window)?);
        let mut panel = Panel::new(cut.turned(raw, slices));
        for outline in &self.outlines {
            panel.outlines.push(cut.turned(outline.read(&window)?, slices));
        }
        for (regions, marked) in
            [(&self.excluded, &mut panel.excluded), (&self.merged, &mut panel.merged)]
        {
            for region in regions {
                let inside = flat::<S, _>(region.rasterise_window(&window).into_array());
                marked
                    .zip_mut_with(&cut.turned(inside, slices), |marked, &inside| *marked |= inside);
            }
        }
        if let Some(counted) = self.counted {
            let counted = cut.turned(slice(counted, &window)?, slices);
            panel.excluded.zip_mut_with(&counted, |marked, &counted| *marked |= !counted);
        }
        Ok(panel)
    }

    fn projection(&self) -> Result<Panel, ReadError> {
        let mut projection = self.panel(Cut::Z(0))?;
        for z in 1..S::to_zyx(self.raw.extent())[0] {
            projection.add(&self.panel(Cut::Z(z))?);
        }
        Ok(projection)
    }
}

impl<S: Space> std::fmt::Debug for Preview<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preview")
            .field("extent", &self.raw.extent())
            .field("view", &self.view)
            .field("side", &self.side)
            .finish_non_exhaustive()
    }
}

impl<S: Space> Outline<'_, S> {
    fn extent(&self) -> S::Extent {
        match self {
            Self::Mask(mask) => mask.extent(),
            Self::Labels(labels) => labels.extent(),
        }
    }

    fn read(&self, window: &Window<S>) -> Result<Array2<u32>, ReadError> {
        match self {
            Self::Mask(mask) => Ok(slice(*mask, window)?.mapv(u32::from)),
            Self::Labels(labels) => slice(*labels, window),
        }
    }
}

/// Where the panels of a picture are, in pixels.
struct Layout {
    extent: [usize; 2],
    /// First pixel and extent of each.
    panels: [([usize; 2], [usize; 2]); 3],
}

impl Layout {
    /// A layout of the xy plane, or of all three, for an image of these lengths along z, y and x.
    fn new([z, y, x]: [f64; 3], orthogonal: bool, side: usize) -> Self {
        let (gap, depth) = if orthogonal { (GAP.min(side / 4), z) } else { (0, 0.0) };
        let scale = (side - gap) as f64 / (y + depth).max(x + depth);
        let [deep, high, wide] = [z, y, x].map(|length| pixels(length * scale));
        let beside = if orthogonal { gap + deep } else { 0 };
        Self {
            extent: [high + beside, wide + beside],
            panels: [
                ([0, 0], [high, wide]),
                ([0, wide + gap], [high, deep]),
                ([high + gap, 0], [deep, wide]),
            ],
        }
    }
}

/// A length as a number of pixels, at least one.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "no longer than the side that was asked for"
)]
fn pixels(length: f64) -> usize {
    length.round().max(1.0) as usize
}

#[cfg(test)]
mod tests;
