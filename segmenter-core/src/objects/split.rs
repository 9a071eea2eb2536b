//! Objects that touch, taken apart.

use std::collections::HashMap;

use super::{Length, ObjectsError, Watershed, maxima::Hills, neighbours::Margin};
use crate::{Connectivity, Labels, Mask, Space, grid::in_order};

/// What makes two hills of the distance map two objects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seeds {
    /// The neck between them: how much less far its middle is from the outside than that of the thinner
    /// of the two. Rough outlines make hills that are low; half a µm or a tenth of an object's
    /// radius is a start.
    Prominence(Length),
    /// Their tops are at least so far apart. Of those that are closer the higher one stays, or the one that
    /// comes first. Only tops of one connected component are too close to one another.
    Apart(Length),
}

/// How objects that touch are taken apart: the distance of each voxel to the outside is a landscape,
/// whose hills become objects, with borders where the watershed between them runs.
///
/// This is `watershed(-distances, label(seeds), mask=mask)` of scikit-image, on
/// [distances](Mask::distances) in the unit of the length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    seeds: Seeds,
    connectivity: Connectivity,
    line: bool,
}

impl Split {
    /// Two objects where the neck is narrower by this much; see [`Seeds::Prominence`].
    #[must_use]
    pub fn new(prominence: Length) -> Self {
        Self::by(Seeds::Prominence(prominence))
    }

    /// Two objects where these tell.
    #[must_use]
    pub fn by(seeds: Seeds) -> Self {
        Self { seeds, connectivity: Connectivity::Face, line: false }
    }

    /// Which voxels are connected: with each other, and on the landscape.
    #[must_use]
    pub fn with_connectivity(mut self, connectivity: Connectivity) -> Self {
        self.connectivity = connectivity;
        self
    }

    /// Whether objects are kept apart by a line, one voxel wide, that belongs to none.
    #[must_use]
    pub fn with_line(mut self, line: bool) -> Self {
        self.line = line;
        self
    }
}

impl<S: Space> Mask<S> {
    /// The connected components of the mask, of which those with a neck are taken apart at the neck. Every
    /// component is one object at least. Ids are 1, 2, 3 and so on in the order in which the tops of
    /// objects come in the image.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::{Mask2, objects::{Length, Split}};
    ///
    /// let mask = array![
    ///     [1, 1, 1, 0, 1, 1, 1],
    ///     [1, 1, 1, 1, 1, 1, 1],
    ///     [1, 1, 1, 0, 1, 1, 1],
    /// ];
    /// let mask = Mask2::new(mask.mapv(|voxel| voxel == 1));
    /// let labels = mask.split(&Split::new(Length::Voxels(0.5)))?;
    /// assert_eq!(labels.view().row(1), array![1, 1, 1, 1, 2, 2, 2]);
    /// # Ok::<(), segmenter_core::objects::ObjectsError>(())
    /// ```
    ///
    /// # Errors
    /// If the length is in µm and the voxel size is not known, or the length is negative or not finite.
    pub fn split(&self, split: &Split) -> Result<Labels<S>, ObjectsError> {
        let (Seeds::Prominence(length) | Seeds::Apart(length)) = split.seeds;
        let least = length.value("least distance")?;
        let distances = self.distances(length.unit())?;
        let margin = Margin::around::<S>(self.extent());
        let mut heights = margin.pad(in_order(&distances.view()), f64::NEG_INFINITY, |d| d);
        heights.iter_mut().filter(|height| **height == 0.0).for_each(|h| *h = f64::NEG_INFINITY);
        let steps = margin.steps(split.connectivity);
        let hills = Hills { heights: &heights, steps: &steps, margin };
        let seeds = match split.seeds {
            Seeds::Prominence(_) => hills.extended_maxima(least),
            Seeds::Apart(_) => {
                let components = self.components(split.connectivity)?.labels;
                let components = margin.pad(in_order(&components.view()), 0, |id| id);
                let mut edges = [1.0; 3];
                let unit = length.unit().edges(self.voxel_size())?;
                edges[3 - S::RANK..].copy_from_slice(unit.as_ref());
                apart(&hills, &components, edges, least)
            }
        };
        let Ok(seeds) = ndarray::Array::from_shape_vec(S::dim(self.extent()), margin.strip(&seeds))
        else {
            unreachable!("as many seeds as voxels")
        };
        let markers = Labels::new(seeds).with_voxel_size(self.voxel_size());
        let watershed =
            Watershed::new().with_connectivity(split.connectivity).with_line(split.line);
        let depths = distances.into_array().mapv_into(|distance| -distance);
        watershed.flood(&depths.view(), &markers, Some(self))
    }
}

/// The maxima, of which those are left out that are closer than `least` to a higher one of the same
/// component.
fn apart(hills: &Hills<'_>, components: &[u32], edges: [f64; 3], least: f64) -> Vec<u32> {
    let (mut numbers, firsts) = hills.maxima();
    let mut order: Vec<usize> = (0..firsts.len()).collect();
    order.sort_by(|&a, &b| hills.heights[firsts[b]].total_cmp(&hills.heights[firsts[a]]));
    let mut tops = Tops { cells: HashMap::new(), least };
    let mut kept = vec![false; firsts.len()];
    for index in order {
        let voxel = firsts[index];
        let place = hills.margin.place(voxel);
        let at = std::array::from_fn(|axis| place[axis] * edges[axis]);
        kept[index] = tops.add(components[voxel], at);
    }
    let mut next = 0;
    let renumbered: Vec<u32> = kept
        .into_iter()
        .map(|kept| {
            next += u32::from(kept);
            if kept { next } else { 0 }
        })
        .collect();
    for number in numbers.iter_mut().filter(|number| **number != 0) {
        *number = renumbered[crate::components::index(*number - 1)];
    }
    numbers
}

/// Tops that are apart, by component and by cells of a lattice as wide as the distance.
struct Tops {
    cells: HashMap<(u32, [i64; 3]), Vec<[f64; 3]>>,
    least: f64,
}

impl Tops {
    /// Adds a top unless one of its component is too close. Returns whether it was added.
    fn add(&mut self, component: u32, at: [f64; 3]) -> bool {
        let cell = at.map(|along| self.cell(along));
        for near in 0..27 {
            let cell = [cell[0] + near / 9 - 1, cell[1] + near / 3 % 3 - 1, cell[2] + near % 3 - 1];
            let tops = self.cells.get(&(component, cell)).into_iter().flatten();
            if tops.into_iter().any(|top| squared(*top, at) < self.least * self.least) {
                return false;
            }
        }
        self.cells.entry((component, cell)).or_default().push(at);
        true
    }

    #[allow(clippy::cast_possible_truncation, reason = "a lattice cell of an image")]
    fn cell(&self, along: f64) -> i64 {
        if self.least > 0.0 { (along / self.least).floor() as i64 } else { 0 }
    }
}

fn squared(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.into_iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
