//! Writing a multiscale image, box by box.

use std::{
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
};

use ndarray::{ArrayView, Axis, Ix4, Slice};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{OpenError, SaveError},
    chunks::Chunks,
    description::Multiscale,
    folder::{is_plain, put},
    metadata,
    node::Node,
    options::{ZarrOptions, ZarrVersion},
    plan::{Plan, PlannedLevel, block},
    pyramid::Step,
    read::open_array,
    staging::Staging,
};
use crate::{ImageKind, NewImage, Pixel, Sink, Space, Window, WriteError};

/// An OME-Zarr image that is written box by box. [`ZarrOptions`] makes one and says what is in the store.
///
/// In memory are the boxes that are being written, one file's voxels for each thread, and a byte for each file.
#[derive(Debug)]
pub struct ZarrWriter<S: Space, T> {
    extent: S::Extent,
    options: ZarrOptions,
    plan: Plan,
    levels: Vec<Chunks>,
    staging: Staging,
    /// The group that lists the labels and the name to add, if that is what is written.
    listed: Option<(PathBuf, String)>,
    state: Mutex<State>,
    pixel: PhantomData<fn(T)>,
}

#[derive(Debug)]
struct State {
    written: Vec<bool>,
    failed: bool,
    /// The least and the largest value of each channel.
    ranges: Vec<[f64; 2]>,
}

impl<S: Space, T: Pixel> ZarrWriter<S, T> {
    pub(super) fn image(
        options: ZarrOptions,
        image: &NewImage<S, T>,
        path: &Path,
    ) -> Result<Self, SaveError> {
        check(&options, image).map_err(|reason| unsupported(path, reason))?;
        let plan = Plan::new(image, &options);
        Self::new(options, image, plan, path, None)
    }

    pub(super) fn labels(
        mut options: ZarrOptions,
        labels: &NewImage<S, T>,
        image: &Path,
        name: &str,
    ) -> Result<Self, SaveError> {
        let fail = |reason: String| unsupported(image, reason);
        if !is_plain(name) || name.starts_with(['.', '_']) {
            return Err(fail(format!("{name:?} can't be the name of a label image")));
        }
        if labels.channels() != 1 || T::TYPE.is_float() || labels.kind() == ImageKind::Intensities {
            return Err(fail(format!(
                "labels are one channel of whole numbers, not {} of {}",
                labels.channels(),
                T::TYPE
            )));
        }
        let parent = Parent::open(image).map_err(|error| refused(image, error))?;
        options.version = parent.version;
        check(&options, labels).map_err(fail)?;
        let mut plan = Plan::new(labels, &options);
        plan.levels = parent.levels;
        plan.physical = parent.physical;
        if plan.levels[0].extent != S::to_zyx(labels.extent()) {
            let (found, expected) = (labels.extent(), plan.levels[0].extent);
            return Err(fail(format!(
                "labels of extent {found:?} don't fit an image of {expected:?}"
            )));
        }
        let folder = image.join("labels");
        let path = folder.join(name);
        Self::new(options, labels, plan, &path, Some((folder, name.to_owned())))
    }

    fn new(
        options: ZarrOptions,
        image: &NewImage<S, T>,
        plan: Plan,
        path: &Path,
        listed: Option<(PathBuf, String)>,
    ) -> Result<Self, SaveError> {
        let staging = Staging::create(path, options.existing)?;
        let levels = plan.levels.iter().enumerate().map(|(number, level)| {
            let plan =
                Plan { block: block(plan.chunk, level.extent, options.shards), ..plan.clone() };
            let (file, json) = metadata::array(&plan, level, &options);
            let folder = staging.path().join(number.to_string());
            write_json(&folder.join(file), &json)?;
            open_array(&folder).map_err(|error| refused(path, error))
        });
        let levels = levels.collect::<Result<_, _>>()?;
        let blocks = Window::<S>::blocks(image.extent(), block_of::<S>(&plan)).count();
        let ranges = vec![[f64::INFINITY, f64::NEG_INFINITY]; plan.channels];
        let state = Mutex::new(State { written: vec![false; blocks], failed: false, ranges });
        let extent = image.extent();
        Ok(Self { extent, options, plan, levels, staging, listed, state, pixel: PhantomData })
    }

    /// Number of voxels along each spatial axis, slowest first.
    #[must_use]
    pub fn extent(&self) -> S::Extent {
        self.extent
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.plan.channels
    }

    /// The extent of a chunk or, where there are shards, of a shard: boxes begin at its multiples.
    #[must_use]
    pub fn block(&self) -> S::Extent {
        block_of::<S>(&self.plan)
    }

    /// Writes the voxels of a box, all channels, packed on all cores. See [`Sink`] for which boxes there are.
    ///
    /// # Errors
    /// As [`Sink::write`].
    pub fn write(
        &self,
        window: &Window<S>,
        voxels: &ArrayView<'_, T, S::ChannelDim>,
    ) -> Result<(), WriteError> {
        WriteError::check(self, window, voxels)?;
        self.claim(window)?;
        let written = self.write_blocks(window, voxels);
        let mut state = self.lock();
        match &written {
            Ok(ranges) => {
                for ([least, largest], [low, high]) in state.ranges.iter_mut().zip(ranges) {
                    *least = least.min(*low);
                    *largest = largest.max(*high);
                }
            }
            Err(_) => state.failed = true,
        }
        written.map(drop)
    }

    /// Completes the store, which then appears under its name: makes the smaller levels, writes what describes the
    /// image, and sees to it that all is on disk.
    ///
    /// # Errors
    /// As [`Sink::finish`].
    pub fn finish(self) -> Result<(), WriteError> {
        self.check_complete()?;
        for (number, pair) in self.levels.windows(2).enumerate() {
            let extents = [number, number + 1].map(|level| self.plan.levels[level].extent);
            let step = Step {
                axes: &self.plan.axes,
                kind: self.plan.kind,
                channels: self.plan.channels,
                from: (&pair[0], extents[0]),
                to: (&pair[1], extents[1]),
            };
            step.run::<T>()?;
        }
        let version = self.options.version;
        let ranges = shown(&self.lock().ranges);
        let name = self.staging.name();
        let mut ome = metadata::image(&self.plan, &self.options, &name, &ranges);
        if self.listed.is_some() {
            ome["image-label"] = metadata::image_label(version);
        }
        for (file, json) in metadata::group(version, ome) {
            write_json(&self.staging.path().join(file), &json)?;
        }
        self.staging.finish()?;
        if let Some((folder, name)) = &self.listed {
            list(folder, name, version)?;
        }
        Ok(())
    }

    /// Takes the blocks of a box, each of which then has to be written.
    fn claim(&self, window: &Window<S>) -> Result<(), WriteError> {
        let mut state = self.lock();
        if state.failed {
            return Err(WriteError::Ended);
        }
        let blocks: Vec<_> = self.blocks(window).map(|start| (start, self.number(start))).collect();
        if let Some((start, _)) = blocks.iter().find(|(_, number)| state.written[*number]) {
            return Err(WriteError::Twice { start: start.as_ref().to_vec() });
        }
        blocks.iter().for_each(|(_, number)| state.written[*number] = true);
        Ok(())
    }

    /// The first voxels of the blocks of a box.
    fn blocks(&self, window: &Window<S>) -> impl Iterator<Item = S::Extent> {
        let start = window.start;
        Window::<S>::blocks(window.extent, self.block()).map(move |block| {
            S::extent_from_fn(|axis| start.as_ref()[axis] + block.start.as_ref()[axis])
        })
    }

    fn number(&self, start: S::Extent) -> usize {
        let block = self.block();
        (0..S::RANK).fold(0, |number, axis| {
            let [start, block, extent] =
                [start, block, self.extent].map(|axes| axes.as_ref()[axis]);
            number * extent.div_ceil(block) + start / block
        })
    }

    /// Writes the blocks of a box and tells the least and largest value of each channel.
    fn write_blocks(
        &self,
        window: &Window<S>,
        voxels: &ArrayView<'_, T, S::ChannelDim>,
    ) -> Result<Vec<[f64; 2]>, WriteError> {
        let mut voxels = voxels.view().into_dyn();
        if S::RANK == 2 {
            voxels = voxels.insert_axis(Axis(1));
        }
        let voxels =
            voxels.into_dimensionality::<Ix4>().expect("one axis for channels and three for space");
        let origin = start_zyx::<S>(window.start);
        let starts: Vec<_> = self.blocks(window).map(start_zyx::<S>).collect();
        let tasks: Vec<_> = (0..self.channels())
            .flat_map(|channel| starts.iter().map(move |&start| (channel, start)))
            .collect();
        let threads = rayon::current_num_threads().div_ceil(tasks.len().max(1));
        tasks.into_par_iter().try_for_each(|(channel, start)| {
            let channel_voxels = voxels.index_axis(Axis(0), channel);
            let part = channel_voxels.slice_each_axis(|axis| {
                let (axis, length) = (axis.axis.index(), axis.len);
                let first = start[axis] - origin[axis];
                Slice::from(first..length.min(first + self.plan.block[axis]))
            });
            self.levels[0].write_block(&self.plan.axes, channel, start, &part, threads)
        })?;
        Ok(voxels.outer_iter().map(|channel| range(channel.iter())).collect())
    }

    fn check_complete(&self) -> Result<(), WriteError> {
        let state = self.lock();
        if state.failed {
            return Err(WriteError::Ended);
        }
        let missing = state.written.iter().filter(|&&written| !written).count();
        match state.written.iter().position(|&written| !written) {
            None => Ok(()),
            Some(number) => {
                let first = Window::<S>::blocks(self.extent, self.block()).nth(number);
                let first = first.map(|block| block.start.as_ref().to_vec()).unwrap_or_default();
                let blocks = state.written.len() as u64;
                Err(WriteError::Missing { missing: missing as u64, blocks, first })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<S: Space, T: Pixel> Sink<S, T> for ZarrWriter<S, T> {
    fn extent(&self) -> S::Extent {
        self.extent()
    }

    fn channels(&self) -> usize {
        self.channels()
    }

    fn block(&self) -> S::Extent {
        self.block()
    }

    fn write(
        &self,
        window: &Window<S>,
        voxels: &ArrayView<'_, T, S::ChannelDim>,
    ) -> Result<(), WriteError> {
        self.write(window, voxels)
    }

    fn finish(self: Box<Self>) -> Result<(), WriteError> {
        (*self).finish()
    }
}

/// The image that labels belong to.
struct Parent {
    version: ZarrVersion,
    levels: Vec<PlannedLevel>,
    physical: bool,
}

impl Parent {
    fn open(path: &Path) -> Result<Self, OpenError> {
        use super::super::fault::Fault;
        let node = Node::open(path)?;
        let is_v3 = node.file.ends_with("zarr.json");
        let ome = node.ome();
        if ome["multiscales"].as_array().map_or(0, Vec::len) != 1 {
            let reason = "labels go into a group that holds one multiscale image";
            return Err(Fault::unsupported(reason).at(&node.file));
        }
        let image = Multiscale::parse(&ome["multiscales"][0], None);
        let image = image.map_err(|fault| fault.at(&node.file))?;
        let known = image.axes.space.iter().flatten().all(|&axis| image.units[axis].is_some());
        let level = |level: &super::description::Level| {
            let array = open_array(&node.folder.join(&level.path))?;
            array.check_rank(&image.axes)?;
            if image.axes.time.is_some_and(|axis| array.shape[axis] > 1) {
                let reason = "is a time series, and labels are written for one time point";
                return Err(Fault::unsupported(reason).at(&node.file));
            }
            let unit = |axis: usize| if known { image.units[axis].unwrap_or(1.0) } else { 1.0 };
            let in_unit = |values: &[f64]| -> Vec<f64> {
                values.iter().enumerate().map(|(axis, value)| value * unit(axis)).collect()
            };
            Ok(PlannedLevel {
                extent: image.axes.zyx(&array.shape, 1),
                scale: image.axes.zyx(&in_unit(&level.scale), 1.0),
                translation: image.axes.zyx(&in_unit(&level.translation), 0.0),
            })
        };
        let levels = image.levels.iter().map(level).collect::<Result<_, _>>()?;
        let version = if is_v3 { ZarrVersion::V05 } else { ZarrVersion::V04 };
        Ok(Self { version, levels, physical: known })
    }
}

/// Adds a name to the list of label images, which is replaced in one step.
fn list(folder: &Path, name: &str, version: ZarrVersion) -> Result<(), SaveError> {
    let mut names = match Node::open(folder) {
        Ok(node) => node.names("labels").map_err(|error| refused(folder, error))?,
        Err(OpenError::NotAnImage { .. }) => Vec::new(),
        Err(error) => return Err(refused(folder, error)),
    };
    if !names.iter().any(|listed| listed == name) {
        names.push(name.to_owned());
    }
    let files = metadata::group(version, json!({"labels": names}));
    files.iter().try_for_each(|(file, json)| write_json(&folder.join(file), json))
}

fn write_json(path: &Path, json: &Value) -> Result<(), SaveError> {
    let text = serde_json::to_vec_pretty(json).unwrap_or_default();
    put(path, &text).map_err(SaveError::io(path))
}

fn check<S: Space, T>(options: &ZarrOptions, image: &NewImage<S, T>) -> Result<(), String> {
    if image.channels() == 0 || image.extent().as_ref().contains(&0) {
        return Err("an image without voxels can't be written".to_owned());
    }
    if options.version == ZarrVersion::V04 && options.shards {
        return Err("OME-Zarr 0.4 has no shards; write 0.5".to_owned());
    }
    Ok(())
}

fn unsupported(path: &Path, reason: String) -> SaveError {
    SaveError::Unsupported { path: path.to_owned(), reason }
}

/// What is read on the way to writing can't be.
fn refused(path: &Path, error: OpenError) -> SaveError {
    match error {
        OpenError::Io { path, source } => SaveError::Io { path, source },
        other => unsupported(path, other.to_string()),
    }
}

fn block_of<S: Space>(plan: &Plan) -> S::Extent {
    S::extent_from_fn(|axis| plan.block[3 - S::RANK + axis])
}

/// A position as `[z, y, x]`, where a plane is at 0.
fn start_zyx<S: Space>(start: S::Extent) -> [usize; 3] {
    let mut zyx = [0; 3];
    zyx[3 - S::RANK..].copy_from_slice(start.as_ref());
    zyx
}

fn range<'a, T: Pixel>(voxels: impl Iterator<Item = &'a T>) -> [f64; 2] {
    let numbers = voxels.map(|voxel| voxel.to_f64()).filter(|value| value.is_finite());
    numbers.fold([f64::INFINITY, f64::NEG_INFINITY], |[least, largest], value| {
        [value.min(least), value.max(largest)]
    })
}

/// The ranges in which channels are shown; a channel without numbers, or with one alone, has a range none the less.
fn shown(ranges: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let shown = |&[least, largest]: &[f64; 2]| match largest - least {
        width if width > 0.0 => [least, largest],
        0.0 => [least, least + 1.0],
        _ => [0.0, 1.0],
    };
    ranges.iter().map(shown).collect()
}
