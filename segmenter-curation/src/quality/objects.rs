//! Objects: how many, how small, where, and whether any are missing.

use ndarray::{Array2, Zip};
use segmenter_core::{
    Component, ComponentScan, Connectivity, FoundComponents, Region, TooManyComponents,
};
use serde::{Deserialize, Serialize};

use super::plane::Plane;

/// An object of less than this share of the median object's voxels is a fragment, and a bright
/// structure of less is no object that could be missing. Nuclei of one image differ by less: of the
/// objects in 68 images of BBBC038, where nuclei that touch are one object, 9 of 100 are smaller.
pub(crate) const FRAGMENT: f64 = 0.25;

/// A bright structure of which less than this share is segmented counts as missing: less than a
/// neighbour's outline that reaches over.
const COVERED: f64 = 0.2;

/// The objects of a segmentation: voxels of it that share a face are of one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objects {
    /// How many there are.
    pub count: usize,
    /// Those of less than a quarter of the median object's voxels.
    pub fragments: usize,
    /// Those that touch a border of the image, in a volume also the first or the last slice.
    pub at_border: usize,
}

impl Objects {
    /// `slices`, where given, is how many there are, the first and the last of which are borders.
    pub(crate) fn of(components: &[Component], extent: [usize; 3], slices: bool) -> Self {
        let median = median_size(components).unwrap_or(0) as f64;
        let small = |component: &&Component| (component.voxels as f64) < FRAGMENT * median;
        let axes = if slices { 0..3 } else { 1..3 };
        let at_border = |component: &&Component| {
            axes.clone()
                .any(|axis| component.first[axis] == 0 || component.last[axis] + 1 == extent[axis])
        };
        Self {
            count: components.len(),
            fragments: components.iter().filter(small).count(),
            at_border: components.iter().filter(at_border).count(),
        }
    }
}

/// Bright structures of the raw image, and those that the segmentation leaves out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Missing {
    /// How many bright structures there are that are as large as an object.
    pub structures: usize,
    /// Boxes around those of which less than a fifth is segmented, the largest first.
    pub uncovered: Vec<Region>,
}

impl Missing {
    /// The share of the structures that is left out; none if there are no structures.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.structures > 0).then(|| self.uncovered.len() as f64 / self.structures as f64)
    }
}

/// Voxels above a threshold, less what is thinner than three voxels in its slice.
pub(crate) fn bright(plane: &Plane, threshold: f64) -> Array2<bool> {
    let mut above = plane.raw.mapv(|value| f64::from(value) > threshold);
    above.zip_mut_with(&plane.counted, |above, &counted| *above &= counted);
    let eroded = eroded(&above);
    Array2::from_shape_fn(above.raw_dim(), |at| beside(&eroded, at, true))
}

/// The voxels of a slice that have no neighbour outside of the mask.
pub(crate) fn eroded(mask: &Array2<bool>) -> Array2<bool> {
    Array2::from_shape_fn(mask.raw_dim(), |at| !beside(mask, at, false))
}

/// Whether a voxel or one of its neighbours in the slice is as wanted.
fn beside(mask: &Array2<bool>, (y, x): (usize, usize), wanted: bool) -> bool {
    let near = [(y, x), (y + 1, x), (y.wrapping_sub(1), x), (y, x + 1), (y, x.wrapping_sub(1))];
    near.into_iter().any(|at| mask.get(at) == Some(&wanted))
}

/// The components of masks that come slice by slice.
pub(crate) fn components(slice: &Array2<bool>) -> Result<Vec<Component>, TooManyComponents> {
    let mut scan = ComponentScan::new(Connectivity::Face);
    scan.push(&slice.view())?;
    Ok(scan.finish().components().to_vec())
}

/// How much of each bright structure is segmented.
pub(crate) struct Coverage<'a> {
    found: &'a FoundComponents,
    painter: segmenter_core::ComponentPainter<'a>,
    covered: Vec<usize>,
}

impl<'a> Coverage<'a> {
    pub(crate) fn new(found: &'a FoundComponents) -> Self {
        let covered = vec![0; found.components().len()];
        Self { found, painter: found.painter(), covered }
    }

    pub(crate) fn push(&mut self, bright: &Array2<bool>, inside: &Array2<bool>) {
        let mut ids = Array2::<u32>::zeros(bright.raw_dim());
        self.painter.paint(&bright.view(), ids.view_mut());
        Zip::from(&ids).and(inside).for_each(|&id, &inside| {
            if let Some(before) = id.checked_sub(1).filter(|_| inside) {
                self.covered[usize::try_from(before).unwrap_or(usize::MAX)] += 1;
            }
        });
    }

    /// How many voxels of each component are covered.
    pub(crate) fn covered(&self) -> &[usize] {
        &self.covered
    }

    /// The structures as large as an object, of which some are left out.
    pub(crate) fn finish(self, objects: &[Component], slices: bool) -> Missing {
        let structures = self.found.components();
        let size = median_size(objects).or_else(|| median_size(structures)).unwrap_or(0);
        let large = |(structure, _): &(&Component, usize)| {
            structure.voxels as f64 >= FRAGMENT * size as f64
        };
        let large: Vec<_> = structures.iter().zip(self.covered).filter(large).collect();
        let left_out = |&&(structure, covered): &&(&Component, usize)| {
            (covered as f64) < COVERED * structure.voxels as f64
        };
        let mut uncovered: Vec<_> =
            large.iter().filter(left_out).map(|(found, _)| *found).collect();
        uncovered.sort_by_key(|structure| std::cmp::Reverse(structure.voxels));
        let uncovered = uncovered.into_iter().map(|found| around(found, slices)).collect();
        Missing { structures: large.len(), uncovered }
    }
}

/// The box around the voxels of a component. Its sides are between voxels: a polygon without width
/// would hold no more than its corners.
pub(crate) fn around(component: &Component, slices: bool) -> Region {
    let ([z0, y0, x0], [z1, y1, x1]) = (component.first, component.last);
    let ([y0, x0], [y1, x1]) =
        ([y0, x0].map(|at| at as f64 - 0.5), [y1, x1].map(|at| at as f64 + 0.5));
    let region = Region::polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]);
    let region = region.unwrap_or_else(|_| unreachable!("four points within an image"));
    if slices { region.through_z(z0..=z1) } else { region }
}

fn median_size(components: &[Component]) -> Option<usize> {
    let mut sizes: Vec<usize> = components.iter().map(|component| component.voxels).collect();
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied()
}
