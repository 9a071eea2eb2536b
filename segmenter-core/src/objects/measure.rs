//! What each object is like.

use std::{collections::HashMap, ops::ControlFlow};

use ndarray::{ArrayView2, ArrayView3, Axis};

use super::{
    Intensity, Object, ObjectTable, Progress, StreamError,
    slabs::{Walk, one_channel, only, read},
    surface::{Direction, directions},
};
use crate::{
    ExtentMismatch, Labels, NonFinite, Pixel, Source, Space, Stack, VoxelSize, components::index,
};

/// Measures the objects of a label image, and the intensities of an image inside of them, in one pass, slab
/// by slab. In memory are about 32 MiB of voxels, and some 400 bytes for each object and 48 for each channel
/// of it. The voxel size is that of the labels, or of the image if they have none.
///
/// ```
/// use std::ops::ControlFlow;
/// use ndarray::array;
/// use segmenter_core::{Labels2, Stack2, objects::measure};
///
/// let labels = Labels2::new(array![[0, 3, 3], [8, 3, 3]]);
/// let image = Stack2::new(array![[9_u8, 1, 2], [5, 3, 4]]);
/// let table = measure(&labels, Some(&image), |_| ControlFlow::Continue(()))?;
/// assert_eq!(table.objects[0].intensities[0].mean, 2.5);
/// assert_eq!(table.objects[1].voxels, 1);
/// # Ok::<(), segmenter_core::objects::StreamError>(())
/// ```
///
/// # Errors
/// If the two differ in extent, the label image has several channels, an intensity is not a finite number,
/// a box can't be read, or the callback says stop.
pub fn measure<S: Space>(
    labels: &(impl Source<S, u32> + ?Sized),
    image: Option<&dyn Source<S, f32>>,
    progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<ObjectTable<S>, StreamError> {
    measure_in(labels, image, Walk::by(1), progress)
}

/// The same, in such slabs.
pub(super) fn measure_in<S: Space>(
    labels: &(impl Source<S, u32> + ?Sized),
    image: Option<&dyn Source<S, f32>>,
    walk: Walk,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<ObjectTable<S>, StreamError> {
    let extent = labels.extent();
    one_channel("label image", labels.channels())?;
    let channels = image.map_or(0, |image| image.channels());
    if let Some(image) = image {
        ExtentMismatch::check(image.extent(), extent)?;
    }
    let mut measuring = Measuring::<S>::new(extent, channels);
    let total = extent.as_ref()[0];
    for window in walk.slabs::<S>(extent, size_of::<u32>() + channels * size_of::<f32>()) {
        let ids = read(labels, &window)?;
        let intensities = image.map(|image| read(image, &window)).transpose()?;
        if let Some(intensities) = &intensities {
            check_finite::<S>(&intensities.view(), window.start)?;
        }
        for (z, ids) in only(&ids).outer_iter().enumerate() {
            let slice = intensities.as_ref().map(|channels| channels.index_axis(Axis(1), z));
            measuring.push(&ids, slice.as_ref());
        }
        let now = Progress { done: window.range(0).end, total };
        if progress(now).is_break() {
            return Err(StreamError::Stopped(now));
        }
    }
    let size = labels.voxel_size().or_else(|| image.and_then(|image| image.voxel_size()));
    Ok(measuring.finish(size))
}

impl<S: Space> Labels<S> {
    /// What each object is like: its shape, and the intensities of an image inside of it.
    ///
    /// # Errors
    /// If the image is of another extent, or an intensity is not a finite number.
    pub fn measure<T: Pixel>(&self, image: &Stack<S, T>) -> Result<ObjectTable<S>, StreamError> {
        let mut table = measure(self, Some(image), |_| ControlFlow::Continue(()))?;
        for (channel, name) in table.channels.iter_mut().zip(image.channel_names()) {
            if let Some(name) = name {
                channel.clone_from(name);
            }
        }
        Ok(table)
    }

    /// What each object is like, without any image.
    #[must_use]
    pub fn measure_shape(&self) -> ObjectTable<S> {
        let mut measuring = Measuring::<S>::new(self.extent(), 0);
        let [z, y, x] = S::to_zyx(self.extent());
        let shape = if S::RANK == 3 { [z, y, x] } else { [y, 1, x] };
        let ids = self.view();
        let Ok(slices) = ids.to_shape(shape) else {
            unreachable!("the same voxels, in the same order")
        };
        slices.outer_iter().for_each(|slice| measuring.push(&slice, None));
        measuring.finish(self.voxel_size())
    }
}

/// Checks that all intensities of a slab that begins there are finite numbers.
fn check_finite<S: Space>(
    intensities: &ndarray::ArrayView4<'_, f32>,
    start: S::Extent,
) -> Result<(), NonFinite> {
    NonFinite::check(intensities).map_err(|mut error| {
        if S::RANK == 2 {
            error.index.remove(2);
        }
        error.shifted(start)
    })
}

/// Sums over the slices of a label image that comes slice by slice, where a plane comes row by row.
struct Measuring<S: Space> {
    extent: S::Extent,
    channels: usize,
    steps: Vec<[isize; 3]>,
    /// The number of slices pushed.
    slices: usize,
    /// The place of each id among the objects.
    places: HashMap<u32, u32>,
    objects: Vec<Sums>,
    current: Padded,
    below: Padded,
}

/// What is known of an object before its end.
struct Sums {
    id: u32,
    voxels: u64,
    /// Sums of positions, along slices, rows and columns.
    positions: [u128; 3],
    first: [usize; 3],
    last: [usize; 3],
    /// How often lines cross its surface, by direction.
    crossings: [u64; 13],
    intensities: Vec<Moments>,
}

/// Sums of intensities. Squares are summed of the difference to the first, or little would be left of the
/// digits of a small deviation from a large mean.
#[derive(Clone, Default)]
struct Moments {
    first: f64,
    sum: f64,
    deviations: f64,
    squares: f64,
    min: f32,
    max: f32,
}

/// A slice of places among the objects, plus one, with a margin of background of one voxel on each side.
struct Padded {
    places: Vec<u32>,
    row: usize,
}

impl Padded {
    fn new(rows: usize, columns: usize) -> Self {
        let row = columns + 2;
        // Two voxels more than two rows, so that whatever is in the margin has neighbours in memory.
        Self { places: vec![0; (rows + 4) * row + 2], row }
    }

    /// Where a row begins, its margin included; rows are counted from the margin on.
    fn start(&self, row: usize) -> usize {
        (row + 1) * self.row + 1
    }
}

impl<S: Space> Measuring<S> {
    fn new(extent: S::Extent, channels: usize) -> Self {
        let [_, rows, columns] = S::to_zyx(extent);
        let rows = if S::RANK == 3 { rows } else { 1 };
        let steps = directions::<S>(S::reals_from_fn(|_| 1.0));
        Self {
            extent,
            channels,
            steps: steps.iter().map(|direction| direction.step).collect(),
            slices: 0,
            places: HashMap::new(),
            objects: Vec::new(),
            current: Padded::new(rows, columns),
            below: Padded::new(rows, columns),
        }
    }

    /// Takes the next slice, and the intensities in it, `[c, y, x]`.
    fn push(&mut self, ids: &ArrayView2<'_, u32>, intensities: Option<&ArrayView3<'_, f32>>) {
        std::mem::swap(&mut self.current, &mut self.below);
        self.current.places.fill(0);
        for (y, row) in ids.rows().into_iter().enumerate() {
            let Some(row) = row.to_slice() else { unreachable!("slabs are in order") };
            let mut x = 0;
            for run in row.chunk_by(|a, b| a == b) {
                if run[0] != 0 {
                    let place = self.place(run[0]);
                    self.objects[place].extend([self.slices, y, x], run.len());
                    if let Some(intensities) = intensities {
                        self.objects[place].take(intensities, y, x..x + run.len());
                    }
                    let start = self.current.start(y + 1) + 1 + x;
                    let place = self.places[&run[0]] + 1;
                    self.current.places[start..start + run.len()].fill(place);
                }
                x += run.len();
            }
        }
        self.cross(ids.nrows());
        self.slices += 1;
    }

    /// The place of an object, which is made at its first voxel.
    fn place(&mut self, id: u32) -> usize {
        let next = u32::try_from(self.objects.len()).unwrap_or(u32::MAX);
        let place = *self.places.entry(id).or_insert(next);
        if place == next {
            self.objects.push(Sums {
                id,
                voxels: 0,
                positions: [0; 3],
                first: [usize::MAX; 3],
                last: [0; 3],
                crossings: [0; 13],
                intensities: vec![Moments::default(); self.channels],
            });
        }
        index(place)
    }

    /// Counts where lines go from one object into another or into the background, between this slice and
    /// the one before, and within this one.
    fn cross(&mut self, rows: usize) {
        // Only in a volume do lines go through the margin from row to row.
        let rows = if S::RANK == 3 { 0..rows + 2 } else { 1..rows + 1 };
        for (direction, &[z, y, x]) in self.steps.iter().enumerate() {
            let from = if z == 0 { &self.current } else { &self.below };
            for row in rows.clone() {
                let start = self.current.start(row);
                let back = from.start(row).wrapping_add_signed(-y * from.row.cast_signed() - x);
                let here = &self.current.places[start..start + from.row];
                let there = &from.places[back..back + from.row];
                for (here, there) in here.chunks(32).zip(there.chunks(32)) {
                    if here != there {
                        count(&mut self.objects, direction, here, there);
                    }
                }
            }
        }
    }

    fn finish(mut self, size: Option<VoxelSize<S>>) -> ObjectTable<S> {
        let rows = if S::RANK == 3 { self.extent.as_ref()[1] } else { 1 };
        std::mem::swap(&mut self.current, &mut self.below);
        self.current.places.fill(0);
        self.cross(rows);
        self.objects.sort_unstable_by_key(|object| object.id);
        let physical = size.map(|size| (size, directions::<S>(size.micrometres())));
        let objects = self.objects.iter().map(|sums| sums.object(self.extent, physical.as_ref()));
        let channels = (0..self.channels).map(|channel| format!("channel_{channel}"));
        ObjectTable { objects: objects.collect(), channels: channels.collect() }
    }
}

/// Counts where two stretches of voxels differ.
fn count(objects: &mut [Sums], direction: usize, here: &[u32], there: &[u32]) {
    for (&here, &there) in here.iter().zip(there).filter(|(here, there)| here != there) {
        for place in [here, there].into_iter().filter(|&place| place != 0) {
            objects[index(place - 1)].crossings[direction] += 1;
        }
    }
}

impl Sums {
    /// Adds a run of voxels.
    fn extend(&mut self, [z, y, x]: [usize; 3], length: usize) {
        self.voxels += length as u64;
        let length = length as u128;
        let columns = length * x as u128 + length * (length - 1) / 2;
        for (sum, more) in
            self.positions.iter_mut().zip([length * z as u128, length * y as u128, columns])
        {
            *sum += more;
        }
        let end = [z, y, x + length as usize - 1];
        for axis in 0..3 {
            self.first[axis] = self.first[axis].min([z, y, x][axis]);
            self.last[axis] = self.last[axis].max(end[axis]);
        }
    }

    /// Adds the intensities of a run, which is already counted.
    fn take(&mut self, intensities: &ArrayView3<'_, f32>, y: usize, run: std::ops::Range<usize>) {
        let is_first = self.voxels == run.len() as u64;
        for (moments, channel) in self.intensities.iter_mut().zip(intensities.outer_iter()) {
            let row = channel.row(y);
            let Some(row) = row.to_slice() else { unreachable!("slabs are in order") };
            let values = &row[run.clone()];
            if is_first {
                let first = values[0];
                *moments = Moments { first: first.into(), min: first, max: first, ..*moments };
            }
            values.iter().for_each(|&value| moments.add(value));
        }
    }

    fn object<S: Space>(
        &self,
        extent: S::Extent,
        physical: Option<&(VoxelSize<S>, Vec<Direction>)>,
    ) -> Object<S> {
        // A plane's slices are its rows, and it has no others.
        let axis = |axis: usize| if S::RANK == 2 { 2 * axis } else { axis };
        let voxels = real(self.voxels.into());
        let centroid = S::reals_from_fn(|at| real(self.positions[axis(at)]) / voxels);
        let first = S::extent_from_fn(|at| self.first[axis(at)]);
        let last = S::extent_from_fn(|at| self.last[axis(at)]);
        let at_border =
            |at: usize| first.as_ref()[at] == 0 || last.as_ref()[at] + 1 == extent.as_ref()[at];
        let volume = physical.map(|(size, _)| voxels * size.volume());
        let surface = physical.map(|(_, directions)| {
            let crossings = directions.iter().zip(self.crossings);
            crossings.map(|(direction, n)| direction.weight * real(n.into())).sum()
        });
        Object {
            id: self.id,
            voxels: self.voxels,
            volume,
            surface,
            sphericity: volume
                .zip(surface)
                .map(|(volume, surface)| sphericity::<S>(volume, surface)),
            centroid,
            centroid_um: physical.map(|(size, _)| {
                S::reals_from_fn(|at| centroid.as_ref()[at] * size.micrometres().as_ref()[at])
            }),
            first,
            last,
            touches_border: (0..S::RANK).any(at_border),
            intensities: self.intensities.iter().map(|moments| moments.intensity(voxels)).collect(),
        }
    }
}

impl Moments {
    fn add(&mut self, value: f32) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let value = f64::from(value);
        let deviation = value - self.first;
        self.sum += value;
        self.deviations += deviation;
        self.squares += deviation * deviation;
    }

    fn intensity(&self, count: f64) -> Intensity {
        let deviation = self.deviations / count;
        let variance = self.squares / count - deviation * deviation;
        Intensity {
            mean: self.first + deviation,
            sd: variance.max(0.0).sqrt(),
            min: self.min,
            max: self.max,
            sum: self.sum,
        }
    }
}

/// The surface of the ball of this volume over this surface; in a plane, the area over that of the disc of
/// this perimeter.
fn sphericity<S: Space>(volume: f64, surface: f64) -> f64 {
    use std::f64::consts::PI;
    if S::RANK == 2 {
        return 4.0 * PI * volume / (surface * surface);
    }
    PI.cbrt() * (6.0 * volume).cbrt().powi(2) / surface
}

#[allow(clippy::cast_precision_loss, reason = "sums of an image, rounded once")]
fn real(number: u128) -> f64 {
    number as f64
}
