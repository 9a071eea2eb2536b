//! Flooding from markers.

use ndarray::{Array, ArrayView};

use super::{
    InvalidSize, ObjectsError,
    heap::{Heap, Narrow, Ticket, Waiting, Wide},
    neighbours::Margin,
};
use crate::{Connectivity, ExtentMismatch, Labels, Mask, Pixel, Space, grid::in_order};

/// Marker-controlled watershed: which basins the voxels of an image belong to when it is flooded from
/// markers, the lowest voxels first.
///
/// Voxel for voxel that of scikit-image's `watershed` (Beucher and Meyer 1993; compact: Neubert and Protzel
/// 2014, <https://doi.org/10.1109/ICPR.2014.181>). Of two voxels that are as high the one comes first that was reached
/// first, so a plateau is divided half way between the markers. It takes 16 bytes a voxel, and 16
/// to 32 for each voxel at the edge of the water.
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{Labels2, objects::Watershed};
///
/// let heights = array![[2_u8, 1, 3, 1, 0]];
/// let markers = Labels2::new(array![[7, 0, 0, 0, 9]]);
/// let basins = Watershed::new().flood(&heights.view(), &markers, None)?;
/// assert_eq!(basins.view(), array![[7, 7, 9, 9, 9]]);
/// # Ok::<(), segmenter_core::objects::ObjectsError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Watershed {
    connectivity: Connectivity,
    line: bool,
    compactness: f64,
}

impl Watershed {
    /// Water flows between voxels that share a face, and basins touch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Which voxels water flows between.
    #[must_use]
    pub fn with_connectivity(mut self, connectivity: Connectivity) -> Self {
        self.connectivity = connectivity;
        self
    }

    /// Whether basins are kept apart by a line, one voxel wide, that belongs to none. Markers that touch are
    /// not kept apart.
    #[must_use]
    pub fn with_line(mut self, line: bool) -> Self {
        self.line = line;
        self
    }

    /// How much farther from its marker, in voxels, counts as higher: the larger, the rounder the basins.
    /// 0 is the plain watershed. Basins of a compact watershed are not kept apart by a line.
    #[must_use]
    pub fn with_compactness(mut self, compactness: f64) -> Self {
        self.compactness = compactness;
        self
    }

    /// Floods an image, inside a mask if there is one. Markers outside of the mask are of no account.
    /// Voxels that no water reaches are background.
    ///
    /// # Errors
    /// If the extents differ, a height is not a number, or the compactness is negative or not finite.
    pub fn flood<S: Space, T: Pixel>(
        &self,
        heights: &ArrayView<'_, T, S::Dim>,
        markers: &Labels<S>,
        mask: Option<&Mask<S>>,
    ) -> Result<Labels<S>, ObjectsError> {
        let extent = S::extent_of(&heights.raw_dim());
        ExtentMismatch::check(markers.extent(), extent)?;
        if let Some(mask) = mask {
            ExtentMismatch::check(mask.extent(), extent)?;
        }
        let compactness = self.compactness;
        if !(compactness.is_finite() && compactness >= 0.0) {
            return Err(InvalidSize { what: "compactness", found: compactness }.into());
        }
        let heights = heights.as_standard_layout();
        let heights = heights.as_slice().unwrap_or_default();
        if let Some(at) = heights.iter().position(|height| height.to_f64().is_nan()) {
            return Err(ObjectsError::NotANumber { index: index_of::<S>(at, extent) });
        }
        let ids = self.run::<S, T>(heights, markers, mask);
        let Ok(ids) = Array::from_shape_vec(S::dim(extent), ids) else {
            unreachable!("as many ids as heights")
        };
        Ok(Labels::new(ids).with_voxel_size(markers.voxel_size()))
    }

    fn run<S: Space, T: Pixel>(
        &self,
        heights: &[T],
        markers: &Labels<S>,
        mask: Option<&Mask<S>>,
    ) -> Vec<u32> {
        let margin = Margin::around::<S>(markers.extent());
        let mut heights = margin.pad(heights, CLOSED, T::to_f64);
        if let Some(mask) = mask {
            let open = margin.pad(in_order(&mask.view()), false, |inside| inside);
            let pairs = heights.iter_mut().zip(open);
            pairs.for_each(|(height, open)| *height = if open { *height } else { CLOSED });
        }
        let mut ids = margin.pad(in_order(&markers.view()), 0, |id| id);
        let pairs = ids.iter_mut().zip(&heights);
        pairs.for_each(|(id, height)| *id = if height.is_nan() { 0 } else { *id });
        let steps = margin.steps(self.connectivity);
        let mut flood = Flood { watershed: *self, heights, ids, steps, margin };
        if self.compactness > 0.0 || self.line {
            flood.by_turns();
        } else if u32::try_from(flood.ids.len()).is_ok() {
            flood.plain::<Narrow>();
        } else {
            flood.plain::<Wide>();
        }
        flood.margin.strip(&flood.ids)
    }
}

/// The height of a voxel that no water comes to, or comes to any more. What is known of a voxel in one
/// place is fetched once.
const CLOSED: f64 = f64::NAN;

/// An image on its way under water.
struct Flood {
    watershed: Watershed,
    heights: Vec<f64>,
    ids: Vec<u32>,
    steps: Vec<usize>,
    margin: Margin,
}

impl Flood {
    /// The voxels of markers.
    fn markers(&self) -> impl Iterator<Item = usize> {
        self.ids.iter().enumerate().filter(|(_, id)| **id != 0).map(|(voxel, _)| voxel)
    }

    /// A voxel belongs to the first basin that reaches it, as nothing that comes later can be lower.
    fn plain<T: Ticket>(&mut self) {
        let (mut queue, mut age) = (Heap::new(), 0);
        for voxel in self.markers() {
            queue.push(Waiting { height: self.heights[voxel], ticket: T::new(age, voxel, voxel) });
        }
        let heights = self.heights.iter_mut().zip(&self.ids);
        heights.filter(|(_, id)| **id != 0).for_each(|(height, _)| *height = CLOSED);
        while let Some(lowest) = queue.pop() {
            let from = lowest.ticket.voxel();
            let id = self.ids[from];
            for &step in &self.steps {
                let voxel = from.wrapping_add(step);
                let height = self.heights[voxel];
                if height.is_nan() {
                    continue;
                }
                age += 1;
                (self.ids[voxel], self.heights[voxel]) = (id, CLOSED);
                let height = height.max(lowest.height);
                queue.push(Waiting { height, ticket: T::new(age, voxel, from) });
            }
        }
    }

    /// A voxel belongs to a basin only when its turn comes: what reaches it later may be lower, and only
    /// then is it known whether two basins meet in it.
    fn by_turns(&mut self) {
        let Watershed { compactness, .. } = self.watershed;
        let (mut queue, mut age) = (Heap::new(), 0);
        for voxel in self.markers() {
            queue.push(Waiting {
                height: self.heights[voxel],
                ticket: Wide::new(age, voxel, voxel),
            });
        }
        while let Some(lowest) = queue.pop() {
            let (from, marker) = (lowest.ticket.voxel(), lowest.ticket.marker());
            if self.ids[from] != 0 && from != marker {
                continue;
            }
            if compactness > 0.0 || !self.is_line(from, self.ids[marker]) {
                self.ids[from] = self.ids[marker];
            }
            for &step in &self.steps {
                let voxel = from.wrapping_add(step);
                let mut height = self.heights[voxel];
                if height.is_nan() || self.ids[voxel] != 0 {
                    continue;
                }
                age += 1;
                if compactness > 0.0 {
                    height += compactness * self.margin.squared_distance(voxel, marker).sqrt();
                }
                let height = height.max(lowest.height);
                queue.push(Waiting { height, ticket: Wide::new(age, voxel, marker) });
            }
        }
    }

    /// Whether a basin other than that of this id is next to a voxel, which from then on is closed.
    fn is_line(&mut self, voxel: usize, id: u32) -> bool {
        if self.heights[voxel].is_nan() {
            return true;
        }
        let mut around = self.steps.iter().map(|&step| voxel.wrapping_add(step));
        let is_other = |next: usize| {
            !self.heights[next].is_nan() && self.ids[next] != 0 && self.ids[next] != id
        };
        let meets = around.any(is_other);
        if meets {
            self.heights[voxel] = CLOSED;
        }
        meets
    }
}

/// The index of a voxel along each axis, slowest first, from its place in memory.
pub(super) fn index_of<S: Space>(mut place: usize, extent: S::Extent) -> Vec<usize> {
    let mut index = vec![0; S::RANK];
    for (index, &size) in index.iter_mut().zip(extent.as_ref()).rev() {
        (*index, place) = (place % size, place / size);
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Zyx;

    #[test]
    fn it_makes_no_difference_in_how_many_bits_voxels_wait() {
        let extent = [5, 30, 40];
        let margin = Margin::around::<Zyx>(extent);
        // Heights from 0 to 6, and a marker in one voxel of 17.
        let noise: Vec<u32> = (0..6000_u32).map(|at| at.wrapping_mul(2_654_435_761) >> 8).collect();
        let heights = margin.pad(&noise, CLOSED, |number| f64::from(number % 7));
        let id = |number: u32| if number.is_multiple_of(17) { 1 + number % 90 } else { 0 };
        let flooded = |flood: fn(&mut Flood)| {
            let mut image = Flood {
                watershed: Watershed::new(),
                heights: heights.clone(),
                ids: margin.pad(&noise, 0, id),
                steps: margin.steps(Connectivity::Edge),
                margin,
            };
            flood(&mut image);
            image.margin.strip(&image.ids)
        };
        let narrow = flooded(Flood::plain::<Narrow>);
        assert_eq!(narrow, flooded(Flood::plain::<Wide>));
        assert!(narrow.iter().all(|&id| id != 0));
    }
}
