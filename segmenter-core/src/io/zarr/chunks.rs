//! An array in chunks, of which boxes are read and whole chunks are written.

use std::{
    io,
    num::NonZeroU64,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use ndarray::{ArrayView, ArrayView3, ArrayViewMut, IxDyn, Slice};
use rayon::prelude::*;
use serde_json::Value;
use zarrs::{
    array::{
        Array, ArrayBytes, ArrayCreateError, ArrayError, ArrayMetadata, ArrayShardedExt,
        ArraySubset, CodecOptions,
    },
    storage::StorageError,
};

use super::{
    super::{OpenError, SaveError, fault::Fault},
    axes::Axes,
    folder::Folder,
};
use crate::{Pixel, PixelType, WriteError};

/// Bytes of a shard that is unpacked as a whole: 256 MiB.
const SHARD: u64 = 256 << 20;

/// An array whose metadata is known.
#[derive(Debug)]
pub(super) struct Chunks {
    array: Array<Folder>,
    file: PathBuf,
    pub(super) shape: Vec<usize>,
    /// What one file holds: a chunk, or a shard of chunks.
    pub(super) chunk: Vec<usize>,
    /// A chunk, where files are shards.
    inner: Option<Vec<usize>>,
    pub(super) pixel: PixelType,
}

impl Chunks {
    /// An array by its metadata, which is in a file of its folder.
    pub(super) fn new(folder: &Path, file: &Path, json: &Value) -> Result<Self, OpenError> {
        Self::parse(folder, file.to_owned(), json).map_err(|fault| fault.at(file))
    }

    fn parse(folder: &Path, file: PathBuf, json: &Value) -> Result<Self, Fault> {
        let pixel = pixel(json)?;
        if let Some(grid) = json["chunk_grid"]["name"].as_str().filter(|&name| name != "regular") {
            return Err(Fault::unsupported(format!(
                "has a chunk grid of type {grid:?}; regular ones are read"
            )));
        }
        let metadata: ArrayMetadata = serde_json::from_value(json.clone())
            .map_err(|error| Fault::malformed(format!("is no metadata of an array: {error}")))?;
        let mut array = Array::new_with_metadata(Arc::new(Folder::new(folder, 0)), "/", metadata)?;
        let shape = sizes(array.shape())?;
        let chunk = array
            .chunk_shape(&vec![0; shape.len()])
            .map_err(|error| Fault::malformed(error.to_string()))?;
        let chunk: Vec<u64> = chunk.iter().copied().map(NonZeroU64::get).collect();
        let chunk = sizes(&chunk)?;
        array = array.with_storage(Arc::new(Folder::new(folder, bytes_of(&chunk, pixel))));
        let inner = array.subchunk_shape();
        let inner =
            inner.map(|inner| inner.iter().copied().map(NonZeroU64::get).collect::<Vec<_>>());
        let inner = inner.as_deref().map(sizes).transpose()?;
        Ok(Self { array, file, shape, chunk, inner, pixel })
    }

    /// The names of the axes, if the array has them.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        self.array.dimension_names().as_ref()?.iter().cloned().collect()
    }

    /// Refuses axes that are not those of the array.
    pub(super) fn check_rank(&self, axes: &Axes) -> Result<(), OpenError> {
        if axes.rank == self.shape.len() {
            return Ok(());
        }
        let (found, expected) = (self.shape.len(), axes.rank);
        Err(Fault::malformed(format!("has {found} axes, and the image has {expected}"))
            .at(&self.file))
    }

    /// Bytes of a chunk when it is unpacked.
    pub(super) fn chunk_bytes(&self) -> u64 {
        bytes_of(self.inner.as_deref().unwrap_or(&self.chunk), self.pixel)
    }

    /// Bytes of what a file holds when it is unpacked.
    fn file_bytes(&self) -> u64 {
        bytes_of(&self.chunk, self.pixel)
    }

    /// Reads the voxels of a box into little-endian bytes that are laid out `[c, z, y, x]`.
    ///
    /// The box is given by channels, z, y and x, and lies within the array. So many chunks at a time are
    /// unpacked, each on a thread of its own.
    pub(super) fn read(
        &self,
        axes: &Axes,
        time: usize,
        region: &[Range<usize>; 4],
        threads: usize,
        out: &mut [u8],
    ) -> Result<(), OpenError> {
        match self.pixel.bytes() {
            1 => self.read_as::<1>(axes, time, region, threads, out),
            2 => self.read_as::<2>(axes, time, region, threads, out),
            4 => self.read_as::<4>(axes, time, region, threads, out),
            _ => self.read_as::<8>(axes, time, region, threads, out),
        }
    }

    fn read_as<const N: usize>(
        &self,
        axes: &Axes,
        time: usize,
        region: &[Range<usize>; 4],
        threads: usize,
        out: &mut [u8],
    ) -> Result<(), OpenError> {
        let [c, z, y, x] = region.clone().map(|range| range.len());
        let (voxels, _) = out.as_chunks_mut::<N>();
        let out = ArrayViewMut::from_shape(IxDyn(&[c, z, y, x, 1]), voxels)
            .map_err(|error| Fault::malformed(error.to_string()).at(&self.file))?;
        let (places, ranges) = places(axes, time, region);
        let mut out = out.permuted_axes(IxDyn(&places));
        let chunks = self.touched(&ranges);
        let count = chunks.iter().fold(1_usize, |count, along| count.saturating_mul(along.len()));
        let options =
            CodecOptions::default().with_concurrent_target(threads.div_ceil(count.max(1)));
        for first in (0..count).step_by(threads) {
            let parts: Vec<_> = (first..count.min(first + threads))
                .into_par_iter()
                .map(|number| self.part(&index(&chunks, number), &ranges, &options))
                .collect::<Result<_, _>>()?;
            for part in parts {
                let (voxels, _) = part.bytes.as_chunks::<N>();
                let voxels = ArrayView::from_shape(IxDyn(&part.shape), voxels)
                    .map_err(|error| Fault::malformed(error.to_string()).at(&self.file))?;
                let along = |from: &[usize; 5], axis: usize| {
                    Slice::from(from[axis]..from[axis] + part.extent[axis])
                };
                let mut place = out.slice_each_axis_mut(|axis| along(&part.at, axis.axis.index()));
                let voxels = voxels.slice_each_axis(|axis| along(&part.from, axis.axis.index()));
                place.assign(&voxels);
            }
        }
        Ok(())
    }

    /// The part of a chunk that is in a box.
    fn part(
        &self,
        index: &[u64],
        ranges: &[Range<usize>],
        options: &CodecOptions,
    ) -> Result<Part, OpenError> {
        let mut part = Part { shape: [1; 5], extent: [1; 5], ..Part::default() };
        let mut covered = true;
        for (axis, range) in ranges.iter().enumerate() {
            // The index came from positions within the array.
            let first = usize::try_from(index[axis]).unwrap_or(usize::MAX) * self.chunk[axis];
            let start = first.max(range.start);
            let last = first.saturating_add(self.chunk[axis]);
            let end = last.min(range.end);
            covered &= start == first && end == last.min(self.shape[axis]);
            part.from[axis] = start - first;
            part.at[axis] = start - range.start;
            part.extent[axis] = end - start;
            part.shape[axis] = self.chunk[axis];
        }
        // Only chunks that are unpacked as a whole have their checksum compared.
        let bytes = if self.inner.is_none() || covered && self.file_bytes() <= SHARD {
            self.array.retrieve_chunk_opt::<ArrayBytes<'static>>(index, options)
        } else {
            let axes = 0..ranges.len();
            let inside: Vec<_> = axes
                .map(|axis| part.from[axis] as u64..(part.from[axis] + part.extent[axis]) as u64)
                .collect();
            (part.shape, part.from) = (part.extent, [0; 5]);
            let subset = ArraySubset::new_with_ranges(&inside);
            self.array.retrieve_chunk_subset_opt::<ArrayBytes<'static>>(index, &subset, options)
        };
        let bytes = bytes.and_then(|bytes| Ok(bytes.into_fixed()?.into_owned()));
        part.bytes = bytes.map_err(|error| self.chunk_error(index, error))?;
        to_little_endian(&mut part.bytes, self.pixel);
        Ok(part)
    }

    /// The file of a chunk.
    pub(super) fn chunk_file(&self, index: &[u64]) -> PathBuf {
        self.array.storage().file(&self.array.chunk_key(index))
    }

    fn chunk_error(&self, index: &[u64], error: ArrayError) -> OpenError {
        let fault = match error {
            ArrayError::StorageError(StorageError::IOError(error)) => {
                Fault::Io(io::Error::new(error.kind(), error))
            }
            other => Fault::malformed(other.to_string()),
        };
        fault.at(&self.chunk_file(index))
    }

    /// The indices of the chunks that a box touches, along each axis.
    fn touched(&self, ranges: &[Range<usize>]) -> Vec<Range<usize>> {
        let along = ranges.iter().zip(&self.chunk);
        along.map(|(range, &chunk)| range.start / chunk..range.end.div_ceil(chunk)).collect()
    }

    /// Writes the voxels `[z, y, x]` of one channel that are in one file, of which the first voxel of all has this position and which
    /// is filled up with zeros where the image ends.
    pub(super) fn write_block<T: Pixel>(
        &self,
        axes: &Axes,
        channel: usize,
        start: [usize; 3],
        voxels: &ArrayView3<'_, T>,
        threads: usize,
    ) -> Result<(), WriteError> {
        let block = axes.zyx(&self.chunk, 1);
        let mut index = vec![0; axes.rank];
        for axis in 0..3 {
            if let Some(place) = axes.space[axis] {
                index[place] = (start[axis] / block[axis]) as u64;
            }
        }
        if let Some(place) = axes.channel {
            index[place] = channel as u64;
        }
        let mut bytes = padded(voxels, block);
        to_little_endian(&mut bytes, self.pixel);
        let options = CodecOptions::default().with_concurrent_target(threads);
        let stored = self.array.store_chunk_opt(&index, ArrayBytes::from(bytes), &options);
        stored.map_err(|error| {
            let source = match error {
                ArrayError::StorageError(StorageError::IOError(error)) => {
                    io::Error::new(error.kind(), error)
                }
                other => io::Error::other(other),
            };
            SaveError::Io { path: self.chunk_file(&index), source }.into()
        })
    }
}

/// Voxels of a chunk, and which of them go where in a box, by all five axes.
#[derive(Debug, Default)]
struct Part {
    bytes: Vec<u8>,
    shape: [usize; 5],
    from: [usize; 5],
    at: [usize; 5],
    extent: [usize; 5],
}

/// The little-endian bytes of voxels, rows and slices filled up with zeros to this extent.
fn padded<T: Pixel>(voxels: &ArrayView3<'_, T>, [slices, rows, columns]: [usize; 3]) -> Vec<u8> {
    let size = T::TYPE.bytes();
    let mut bytes = Vec::with_capacity(slices * rows * columns * size);
    for slice in voxels.outer_iter() {
        for row in slice.outer_iter() {
            let end = bytes.len() + columns * size;
            T::extend_all_le_bytes(row.iter().copied(), &mut bytes);
            bytes.resize(end, 0);
        }
        bytes.resize(bytes.len() + (rows - slice.nrows()) * columns * size, 0);
    }
    bytes.resize(slices * rows * columns * size, 0);
    bytes
}

/// The index of a chunk by its number among some, the last axis fastest.
pub(super) fn index(along: &[Range<usize>], mut number: usize) -> Vec<u64> {
    let mut index = vec![0; along.len()];
    for (place, range) in index.iter_mut().zip(along).rev() {
        *place = (range.start + number % range.len()) as u64;
        number /= range.len();
    }
    index
}

/// Where the axes of a box `[c, z, y, x, t]` are in an array, those that it does not have last; and the
/// box by the array's axes.
fn places(axes: &Axes, time: usize, region: &[Range<usize>; 4]) -> (Vec<usize>, Vec<Range<usize>>) {
    let [c, z, y, x] = region.clone();
    let known = [axes.channel, axes.space[0], axes.space[1], axes.space[2], axes.time];
    let ranges = [c, z, y, x, time..time + 1];
    let mut places: Vec<usize> = (0..5).collect();
    places.sort_by_key(|&place| known[place].unwrap_or(usize::MAX));
    let ranges = places[..axes.rank].iter().map(|&place| ranges[place].clone()).collect();
    (places, ranges)
}

fn bytes_of(shape: &[usize], pixel: PixelType) -> u64 {
    let sizes = shape.iter().map(|&size| size as u64);
    sizes.fold(pixel.bytes() as u64, u64::saturating_mul)
}

/// From the machine's order, or back.
fn to_little_endian(bytes: &mut [u8], pixel: PixelType) {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(pixel.bytes()).for_each(<[u8]>::reverse);
    }
}

fn sizes(sizes: &[u64]) -> Result<Vec<usize>, Fault> {
    let size = |&size| usize::try_from(size).ok().filter(|&size| isize::try_from(size).is_ok());
    let sizes: Option<Vec<usize>> = sizes.iter().map(size).collect();
    sizes.ok_or(Fault::Limit { needed: u64::MAX, limit: u64::MAX })
}

/// The pixel type by the name that Zarr 2 or 3 has for it.
fn pixel(json: &Value) -> Result<PixelType, Fault> {
    let name = json.get("data_type").or_else(|| json.get("dtype")).and_then(Value::as_str);
    Ok(match name.unwrap_or_default() {
        "bool" | "|b1" => PixelType::Bool,
        "uint8" | "|u1" | "<u1" | ">u1" => PixelType::U8,
        "int8" | "|i1" | "<i1" | ">i1" => PixelType::I8,
        "uint16" | "<u2" | ">u2" => PixelType::U16,
        "int16" | "<i2" | ">i2" => PixelType::I16,
        "uint32" | "<u4" | ">u4" => PixelType::U32,
        "int32" | "<i4" | ">i4" => PixelType::I32,
        "uint64" | "<u8" | ">u8" => PixelType::U64,
        "int64" | "<i8" | ">i8" => PixelType::I64,
        "float16" | "<f2" | ">f2" => PixelType::F16,
        "float32" | "<f4" | ">f4" => PixelType::F32,
        "float64" | "<f8" | ">f8" => PixelType::F64,
        other => return Err(Fault::unsupported(format!("has values of type {other:?}"))),
    })
}

impl From<ArrayCreateError> for Fault {
    fn from(error: ArrayCreateError) -> Self {
        use ArrayCreateError as E;
        match error {
            E::CodecsCreateError(_)
            | E::DataTypeCreateError(_)
            | E::StorageTransformersCreateError(_)
            | E::ChunkGridCreateError(_)
            | E::ChunkKeyEncodingCreateError(_)
            | E::AdditionalFieldUnsupportedError(_)
            | E::UnsupportedZarrV2Array(_) => Self::unsupported(error.to_string()),
            other => Self::malformed(other.to_string()),
        }
    }
}
