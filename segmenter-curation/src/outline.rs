//! Label images as outlines, and back.

use std::collections::BTreeMap;

use geo::{Coord, LineString, Polygon};
use ndarray::Array;
use segmenter_core::{InvalidRegion, Labels, Region, Space, Window};

/// Traces the objects of a label image: for each id but 0, the outlines of its pixels, slice by slice.
///
/// An outline follows the outer edges of pixels, at half pixels, so that filling it gives exactly the
/// pixels again. Pixels that touch at a corner only are in outlines of their own.
///
/// ```
/// use ndarray::array;
/// use segmenter_core::Labels2;
/// use segmenter_curation::outline;
///
/// let labels = Labels2::new(array![[3, 3, 3], [3, 0, 3], [3, 3, 3], [0, 0, 7]]);
/// let objects = outline::trace(&labels)?;
/// let frame = objects[0].1.as_polygon().expect("one piece");
/// assert_eq!(frame.exterior().0.len(), 5, "four corners, and the first again");
/// assert_eq!(frame.interiors().len(), 1);
/// assert_eq!(outline::fill(labels.extent(), &objects), labels);
/// # Ok::<(), segmenter_core::InvalidRegion>(())
/// ```
///
/// # Errors
/// Never for images that fit into memory: coordinates are far below the limits of a region.
pub fn trace<S: Space>(labels: &Labels<S>) -> Result<Vec<(u32, Region)>, InvalidRegion> {
    let mut pieces = BTreeMap::<u32, Vec<Region>>::new();
    let [slices, rows, columns] = S::to_zyx(labels.extent());
    let ids: Vec<u32> = labels.view().iter().copied().collect();
    let plane = Plane { rows, columns };
    for (z, ids) in (0..slices).map(|z| (z, &ids[z * rows * columns..][..rows * columns])) {
        for (id, polygon) in Tracer::new(ids, plane).polygons() {
            let piece = Region::try_from(polygon)?;
            let piece = if S::RANK == 3 { piece.through_z(z..=z) } else { piece };
            pieces.entry(id).or_default().push(piece);
        }
    }
    let whole = |mut pieces: Vec<Region>| match pieces.len() {
        1 => pieces.remove(0),
        _ => Region::any_of(pieces),
    };
    Ok(pieces.into_iter().map(|(id, pieces)| (id, whole(pieces))).collect())
}

/// The label image of these objects. Where some overlap, the last one is seen.
#[must_use]
pub fn fill<S: Space>(extent: S::Extent, objects: &[(u32, Region)]) -> Labels<S> {
    let mut ids = Array::zeros(S::dim(extent));
    if let Some(voxels) = ids.as_slice_mut() {
        for (id, region) in objects {
            region.for_each_run(&Window::<S>::whole(extent), |run| voxels[run].fill(*id));
        }
    }
    Labels::new(ids)
}

/// A corner of pixels: (row, column) of the pixel below and to the right of it.
type Corner = (usize, usize);

/// The ways around a pixel, so that it lies to the right: rows go down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Right,
    Down,
    Left,
    Up,
}

#[derive(Clone, Copy)]
struct Plane {
    rows: usize,
    columns: usize,
}

impl Plane {
    /// Where a pixel is in memory, if it is in the plane.
    fn at(self, (row, column): (usize, usize)) -> Option<usize> {
        (row < self.rows && column < self.columns).then(|| row * self.columns + column)
    }

    /// All pixels as (row, column), in the order of memory.
    fn pixels(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.rows).flat_map(move |row| (0..self.columns).map(move |column| (row, column)))
    }
}

struct Tracer<'a> {
    ids: &'a [u32],
    plane: Plane,
    /// Whether the upper edge of a pixel was followed, with the pixel below it to the right.
    above: Vec<bool>,
    /// Whether the lower edge was, with the pixel above it to the right.
    below: Vec<bool>,
    /// The connected piece that a pixel is in.
    pieces: Vec<u32>,
}

impl<'a> Tracer<'a> {
    fn new(ids: &'a [u32], plane: Plane) -> Self {
        let none = vec![false; ids.len()];
        Self { ids, plane, above: none.clone(), below: none, pieces: pieces(ids, plane) }
    }

    /// The polygons of all pieces, in the order of their first pixels.
    fn polygons(mut self) -> Vec<(u32, Polygon<f64>)> {
        let mut polygons = Vec::<(u32, Polygon<f64>)>::new();
        let mut of_piece = BTreeMap::new();
        for (at, (row, column)) in self.plane.pixels().enumerate() {
            let id = self.ids[at];
            if id == 0 {
                continue;
            }
            // The first edge of a piece in this order is an upper one of its outer boundary. A hole is
            // met first at the lower edge of a pixel above it.
            if self.id(row.checked_sub(1), Some(column)) != id && !self.above[at] {
                let ring = self.follow((row, column), Way::Right);
                let polygon = of_piece.entry(self.pieces[at]).or_insert_with(|| {
                    polygons.push((id, Polygon::new(LineString::new(Vec::new()), Vec::new())));
                    polygons.len() - 1
                });
                add(&mut polygons[*polygon].1, ring);
            }
            if self.id(Some(row + 1), Some(column)) != id && !self.below[at] {
                let ring = self.follow((row + 1, column + 1), Way::Left);
                add(&mut polygons[of_piece[&self.pieces[at]]].1, ring);
            }
        }
        polygons
    }

    fn id(&self, row: Option<usize>, column: Option<usize>) -> u32 {
        row.zip(column).and_then(|pixel| self.plane.at(pixel)).map_or(0, |at| self.ids[at])
    }

    /// Follows a boundary around the pixels to its right until it is back, and notes where it turns.
    fn follow(&mut self, start: Corner, first: Way) -> LineString<f64> {
        let (mut corner, mut way, mut turns) = (start, first, Vec::new());
        let id = self.right_of(corner, way);
        loop {
            self.mark(corner, way);
            corner = step(corner, way);
            let before = way;
            // Turning to the right first leaves pixels that touch at this corner only apart.
            let ways = [right(way), way, right(right(right(way)))];
            way = ways.into_iter().find(|&way| self.leads(corner, way, id)).unwrap_or(way);
            if way != before {
                let place = |at: usize| at as f64 - 0.5;
                turns.push(Coord { x: place(corner.1), y: place(corner.0) });
            }
            if corner == start && way == first {
                return LineString::new(turns);
            }
        }
    }

    /// Whether a way from a corner has the object to its right and something else to its left.
    fn leads(&self, corner: Corner, way: Way, id: u32) -> bool {
        self.right_of(corner, way) == id && self.left_of(corner, way) != id
    }

    fn right_of(&self, corner: Corner, way: Way) -> u32 {
        let (row, column) = right_pixel(corner, way);
        self.id(row, column)
    }

    fn left_of(&self, corner: Corner, way: Way) -> u32 {
        let (row, column) = right_pixel(step_back(corner, way), right(right(way)));
        self.id(row, column)
    }

    /// Notes that an upper or a lower edge was followed.
    fn mark(&mut self, corner: Corner, way: Way) {
        let (row, column) = right_pixel(corner, way);
        if let Some(at) = row.zip(column).and_then(|pixel| self.plane.at(pixel)) {
            match way {
                Way::Right => self.above[at] = true,
                Way::Left => self.below[at] = true,
                Way::Down | Way::Up => {}
            }
        }
    }
}

fn add(polygon: &mut Polygon<f64>, ring: LineString<f64>) {
    if polygon.exterior().0.is_empty() {
        polygon.exterior_mut(|exterior| *exterior = ring);
    } else {
        polygon.interiors_push(ring);
    }
}

fn right(way: Way) -> Way {
    match way {
        Way::Right => Way::Down,
        Way::Down => Way::Left,
        Way::Left => Way::Up,
        Way::Up => Way::Right,
    }
}

fn step((row, column): Corner, way: Way) -> Corner {
    match way {
        Way::Right => (row, column + 1),
        Way::Down => (row + 1, column),
        Way::Left => (row, column - 1),
        Way::Up => (row - 1, column),
    }
}

/// Where the opposite way begins that runs along the same edge: its end.
fn step_back(corner: Corner, way: Way) -> Corner {
    let (row, column) = corner;
    match way {
        Way::Right => (row, column + 1),
        Way::Down => (row + 1, column),
        Way::Left => (row, column.wrapping_sub(1)),
        Way::Up => (row.wrapping_sub(1), column),
    }
}

/// The row and the column of the pixel to the right of an edge; `None` before the first.
fn right_pixel((row, column): Corner, way: Way) -> (Option<usize>, Option<usize>) {
    match way {
        Way::Right => (Some(row), Some(column)),
        Way::Down => (Some(row), column.checked_sub(1)),
        Way::Left => (row.checked_sub(1), column.checked_sub(1)),
        Way::Up => (row.checked_sub(1), Some(column)),
    }
}

/// Numbers the pieces of pixels of one id that share edges.
fn pieces(ids: &[u32], plane: Plane) -> Vec<u32> {
    let mut pieces = vec![0; ids.len()];
    let (mut piece, mut open) = (0, Vec::new());
    for (at, pixel) in plane.pixels().enumerate() {
        let id = ids[at];
        if id == 0 || pieces[at] != 0 {
            continue;
        }
        piece += 1;
        pieces[at] = piece;
        open.push(pixel);
        while let Some((row, column)) = open.pop() {
            let beside = [
                (row.wrapping_sub(1), column),
                (row + 1, column),
                (row, column.wrapping_sub(1)),
                (row, column + 1),
            ];
            for pixel in beside {
                if let Some(at) = plane.at(pixel).filter(|&at| ids[at] == id && pieces[at] == 0) {
                    pieces[at] = piece;
                    open.push(pixel);
                }
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};
    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{Rng, SeedableRng},
    };
    use segmenter_core::{Labels2, Labels3};

    use super::*;

    #[test]
    fn a_thousand_label_images_are_traced_and_filled_again() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        for _ in 0..1000 {
            let [rows, columns, ids] = [9, 11, 4].map(|most| random.next_u32() % most + 1);
            let extent = [rows, columns].map(|size| size as usize);
            let plane = Array2::from_shape_simple_fn(extent, || random.next_u32() % ids);
            let labels = Labels2::new(plane);
            let objects = trace(&labels).unwrap();
            assert_eq!(fill(extent, &objects), labels, "{labels:?}");
        }
        let volume = Array3::from_shape_simple_fn((4, 6, 7), || random.next_u32() % 3);
        let labels = Labels3::new(volume);
        assert_eq!(fill([4, 6, 7], &trace(&labels).unwrap()), labels);
    }

    #[test]
    fn outlines_of_solid_pieces_are_valid_polygons() {
        let mut ids = Array2::zeros((20, 20));
        ids.slice_each_axis_mut(|_| (2..12).into()).fill(5);
        ids.slice_each_axis_mut(|_| (4..9).into()).fill(0);
        ids.slice_each_axis_mut(|_| (5..7).into()).fill(9);
        let objects = trace(&Labels2::new(ids)).unwrap();
        assert_eq!(objects.iter().map(|&(id, _)| id).collect::<Vec<_>>(), [5, 9]);
        for (_, region) in objects {
            assert_eq!(region.faults(), []);
        }
    }
}
