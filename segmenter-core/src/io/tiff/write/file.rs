//! The file into which blocks go as they come, and the levels that are made of them.

use std::{
    collections::HashMap,
    io::{self, Seek, SeekFrom, Write},
    sync::{Mutex, MutexGuard},
};

use rayon::prelude::*;

use super::{
    directory::{Directory, bytes},
    format::Format,
    geometry::{Level, Place},
    pack::{Packer, filled},
    predictor::{differences, differences_are_smaller},
};
use crate::{
    WriteError,
    io::{SaveError, halve::halve, whole::Whole},
};

/// Number of blocks that are packed before they are written. Not a matter of the number of threads,
/// so that the order of the blocks in the file is not.
const BATCH: usize = 64;

/// A TIFF file that blocks are written to.
#[derive(Debug)]
pub(super) struct BlockFile {
    format: Format,
    state: Mutex<State>,
}

/// What changes as blocks come in.
#[derive(Debug)]
struct State {
    /// `None` after a failure.
    file: Option<Whole>,
    end: u64,
    tables: Vec<Table>,
    /// For each level, by their number, the blocks of which a part is known.
    pending: Vec<HashMap<usize, Pending>>,
}

/// Where the blocks of a level are in the file, or [`FREE`] or [`TAKEN`], and how long they are.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) offsets: Vec<u64>,
    pub(super) lengths: Vec<u32>,
}

/// No block begins in the header.
const FREE: u64 = 0;
const TAKEN: u64 = u64::MAX;

/// A block of a smaller level on its way.
#[derive(Debug)]
struct Pending {
    pixels: Vec<u8>,
    parts_left: usize,
}

/// The pixels of a block, by its number.
struct Block {
    index: usize,
    pixels: Vec<u8>,
}

/// A block as it is stored, and its part of a block of the next level if there is one.
struct Packed {
    index: usize,
    stored: Vec<u8>,
    halved: Option<Vec<u8>>,
}

/// Which blocks of the first level are not written.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) missing: usize,
    pub(super) blocks: usize,
    pub(super) first: Place,
}

impl BlockFile {
    pub(super) fn new(format: Format, mut file: Whole) -> Result<Self, SaveError> {
        let header = format.width.header(0);
        file.writer.write_all(&header).map_err(SaveError::io(file.path()))?;
        let table = |level: &Level| {
            let blocks = level.count() * format.planes;
            Table { offsets: vec![FREE; blocks], lengths: vec![0; blocks] }
        };
        let state = State {
            file: Some(file),
            end: bytes(header.len()),
            tables: format.levels.iter().map(table).collect(),
            pending: format.levels.iter().map(|_| HashMap::new()).collect(),
        };
        Ok(Self { format, state: Mutex::new(state) })
    }

    pub(super) fn format(&self) -> &Format {
        &self.format
    }

    /// Takes blocks of the first level, each of which then has to be written; or tells the first
    /// that is taken already.
    pub(super) fn claim(&self, blocks: &[usize]) -> Result<Result<(), Place>, WriteError> {
        let mut state = self.state()?;
        let offsets = &mut state.tables[0].offsets;
        if let Some(&taken) = blocks.iter().find(|&&block| offsets[block] != FREE) {
            return Ok(Err(self.format.levels[0].place(taken)));
        }
        blocks.iter().for_each(|&block| offsets[block] = TAKEN);
        Ok(Ok(()))
    }

    /// Writes blocks that were taken, and what they complete of smaller levels.
    pub(super) fn write(
        &self,
        blocks: &[usize],
        pixels: impl Fn(Place) -> Vec<u8> + Sync,
    ) -> Result<(), WriteError> {
        let fetch = |&index: &usize| {
            let pixels = pixels(self.format.levels[0].place(index));
            Block { index, pixels }
        };
        self.choose_predictor(blocks, &pixels);
        for batch in blocks.chunks(BATCH) {
            let mut level = 0;
            let mut packed = self.pack(level, batch.par_iter().map(fetch));
            loop {
                let next = self.append(level, packed)?;
                if next.is_empty() {
                    break;
                }
                level += 1;
                packed = self.pack(level, next.into_par_iter());
            }
        }
        Ok(())
    }

    /// One for all pages: readers take the first page's for all.
    fn choose_predictor(&self, blocks: &[usize], pixels: impl Fn(Place) -> Vec<u8>) {
        let (format, level) = (&self.format, &self.format.levels[0]);
        let is_smaller = || {
            differences_are_smaller(blocks, format.pixel.bytes(), |block| {
                let place = level.place(block);
                let [_, [_, columns]] = level.part(place);
                (pixels(place), columns)
            })
        };
        format.differences.get_or_init(|| format.may_differ && is_smaller());
    }

    /// Writes the directories, so that the file is complete; or tells which blocks are not written.
    pub(super) fn finish(self) -> Result<Result<(), Gap>, WriteError> {
        let Self { format, state } = self;
        let mut state = state.into_inner().map_err(|_| WriteError::Ended)?;
        let mut file = state.file.take().ok_or(WriteError::Ended)?;
        if let Some(gap) = state.gap(&format) {
            return Ok(Err(gap));
        }
        let written = write_directories(&format, &state.tables, state.end, &mut file);
        written.map_err(SaveError::io(file.path()))?;
        file.finish()?;
        Ok(Ok(()))
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, WriteError> {
        let state = self.state.lock().map_err(|_| WriteError::Ended)?;
        if state.file.is_none() {
            return Err(WriteError::Ended);
        }
        Ok(state)
    }

    fn pack(
        &self,
        level: usize,
        blocks: impl IndexedParallelIterator<Item = Block>,
    ) -> io::Result<Vec<Packed>> {
        let packer = || Packer::new(self.format.compression, self.format.kind);
        blocks.map_init(packer, |packer, block| self.pack_one(level, block, packer)).collect()
    }

    fn pack_one(&self, level: usize, block: Block, packer: &mut Packer) -> io::Result<Packed> {
        let (format, Block { index, pixels }) = (&self.format, block);
        let (level, has_next) = (&format.levels[level], level + 1 < format.levels.len());
        let (place, size) = (level.place(index), format.pixel.bytes());
        let [_, part] = level.part(place);
        let halved = has_next.then(|| halve(&pixels, part[1], format.pixel, format.kind));
        let stored = level.stored(place);
        let mut block = if stored == part { pixels } else { filled(&pixels, part, stored, size) };
        if format.differences.get() == Some(&true) {
            block.chunks_exact_mut(stored[1] * size).for_each(|row| differences(row, size));
        }
        Ok(Packed { index, stored: packer.pack(block)?, halved })
    }

    /// Appends the blocks of a level to the file, and hands back the blocks of the next level that
    /// they complete.
    fn append(
        &self,
        level: usize,
        packed: io::Result<Vec<Packed>>,
    ) -> Result<Vec<Block>, WriteError> {
        let mut state = self.state()?;
        let appended = packed.and_then(|packed| state.append(&self.format, level, packed));
        appended.map_err(|error| match state.file.take() {
            Some(file) => SaveError::io(file.path())(error).into(),
            None => WriteError::Ended,
        })
    }
}

impl State {
    fn append(
        &mut self,
        format: &Format,
        level: usize,
        packed: Vec<Packed>,
    ) -> io::Result<Vec<Block>> {
        let mut complete = Vec::new();
        for Packed { index, stored, halved } in packed {
            let file = self.file.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            file.writer.write_all(&stored)?;
            self.tables[level].offsets[index] = self.end;
            self.tables[level].lengths[index] =
                u32::try_from(stored.len()).map_err(io::Error::other)?;
            self.end += bytes(stored.len());
            if let Some(halved) = halved {
                complete.extend(self.merge(format, level, index, &halved));
            }
        }
        Ok(complete)
    }

    /// Puts a halved block at its place in a block of the next level, which is handed back when it
    /// is complete.
    fn merge(
        &mut self,
        format: &Format,
        level: usize,
        index: usize,
        halved: &[u8],
    ) -> Option<Block> {
        let (this, next) = (&format.levels[level], &format.levels[level + 1]);
        let (place, size) = (this.place(index), format.pixel.bytes());
        let above = Place { down: place.down / 2, across: place.across / 2, ..place };
        let [_, [rows, columns]] = next.part(above);
        let key = next.index(above);
        let pending = self.pending[level + 1].entry(key).or_insert_with(|| {
            let [down, across] = this.counts();
            let parts = (down - 2 * above.down).min(2) * (across - 2 * above.across).min(2);
            Pending { pixels: vec![0; rows * columns * size], parts_left: parts }
        });
        let row = place.down % 2 * this.block[0] / 2;
        let column = place.across % 2 * this.block[1] / 2;
        let width = this.part(place)[1][1].div_ceil(2) * size;
        let to = pending.pixels.chunks_exact_mut(columns * size).skip(row);
        for (to, from) in to.zip(halved.chunks_exact(width)) {
            to[column * size..][..width].copy_from_slice(from);
        }
        pending.parts_left -= 1;
        if pending.parts_left > 0 {
            return None;
        }
        let Pending { pixels, .. } = self.pending[level + 1].remove(&key)?;
        Some(Block { index: key, pixels })
    }

    /// All channels of a box are written at once, so the first channel stands for all.
    fn gap(&self, format: &Format) -> Option<Gap> {
        let blocks = self.tables[0].offsets.len() / format.channels;
        let offsets = &self.tables[0].offsets[..blocks];
        // A block that was taken and did not arrive is missing too.
        let absent = |offset: &u64| [FREE, TAKEN].contains(offset);
        let first = offsets.iter().position(absent)?;
        let missing = offsets.iter().filter(|offset| absent(offset)).count();
        Some(Gap { missing, blocks, first: format.levels[0].place(first) })
    }
}

/// One directory for each plane, followed by those of its smaller levels; then the header says
/// where the first one is.
fn write_directories(
    format: &Format,
    tables: &[Table],
    end: u64,
    file: &mut Whole,
) -> io::Result<()> {
    let writer = &mut file.writer;
    let first = end.next_multiple_of(2);
    if first > end {
        writer.write_all(&[0])?;
    }
    let mut start = first;
    for plane in 0..format.planes {
        let directories = format.directories(plane, tables, start);
        let length = |directory| bytes(Directory::length(directory));
        let next = start + directories.iter().map(length).sum::<u64>();
        for (level, directory) in directories.iter().enumerate() {
            let last = plane + 1 == format.planes;
            let chained = if level == 0 && !last { next } else { 0 };
            writer.write_all(&directory.bytes(start, chained))?;
            start += length(directory);
        }
    }
    writer.seek(SeekFrom::Start(0))?;
    writer.write_all(&format.width.header(first))
}
