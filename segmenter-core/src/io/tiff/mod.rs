//! Reading TIFF files, and telling the dialects of their writers apart.

mod cache;
mod codec;
mod decode;
mod imagej;
mod jpeg;
mod ome;
mod page;
mod planes;
mod scratch;
mod series;
mod shaped;
mod tags;
mod units;
mod write;

use std::{
    collections::HashSet,
    fs::File,
    io::{BufReader, Seek, SeekFrom},
    path::Path,
};

use tiff::{
    Directory,
    decoder::{Decoder, Limits, ifd::Value},
    tags::{ByteOrder, IfdPointer, Tag, ValueBuffer},
};

pub use self::write::TiffWriter;
use self::{
    cache::Cache,
    decode::{Chunks, Part},
    page::Page,
    scratch::Scratches,
    series::{PageAxis, Series},
    tags::Tags,
};
use super::{
    fault::Fault,
    file_at::FileAt,
    format::{Choice, Format, choose_scene},
    layout::Layout,
};
use crate::{Window, Zyx};

/// A TIFF file whose pages are known.
#[derive(Debug)]
pub(super) struct Tiff {
    file: FileAt,
    cache: Cache,
    scratches: Scratches,
    layout: Layout,
    /// Pages by channel and slice, of the time point and the level that are read.
    planes: Vec<Page>,
}

impl Tiff {
    /// Reads the directories of a file, and what the description says about them.
    pub(super) fn open(file: File, path: &Path, choice: &Choice) -> Result<Self, Fault> {
        let mut reader = BufReader::new(file.try_clone()?);
        let length = reader.seek(SeekFrom::End(0))?;
        reader.rewind()?;
        let contents = Contents::read(&mut reader)?;
        let (series, scenes) = contents.series(path, choice.scene)?;
        let mut planes = resolve(&series, &contents.pages)?;
        let mut layout = series.layout(&planes[0])?;
        layout.scenes = scenes;
        let time = choice.time_of(layout.time_points)?;
        let page_planes = planes.len() / layout.time_points;
        planes = planes.drain(time * page_planes..(time + 1) * page_planes).collect();
        reader.rewind()?;
        let mut decoder = Decoder::new(&mut reader)?.with_limits(limits());
        let smaller = levels(&mut decoder, &planes[0], contents.big_endian)?;
        for page in &smaller {
            layout.levels.push([layout.extent[0], page.rows, page.columns]);
        }
        if choice.level_of(layout.levels.len())? > 0 {
            planes = at_level(&mut decoder, &planes, choice.level, contents.big_endian)?;
            layout.shrink_to(choice.level);
        }
        planes.iter().try_for_each(|page| page.check_within(length))?;
        Ok(Self {
            file: FileAt::new(file)?,
            cache: Cache::default(),
            scratches: Scratches::default(),
            layout,
            planes,
        })
    }
}

impl Format for Tiff {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn piece_bytes(&self) -> u64 {
        self.planes.iter().map(Page::chunk_bytes).max().unwrap_or(0)
    }

    fn read(
        &self,
        channels: &[usize],
        window: &Window<Zyx>,
        limit: u64,
        mut out: &mut [&mut [u8]],
    ) -> Result<(), Fault> {
        let (rows, columns) = (window.range(1), window.range(2));
        let plane = rows.len() * columns.len() * self.layout.pixel.bytes();
        let part = Part { rows, columns };
        let (file, cache, scratches) = (&self.file, &self.cache, &self.scratches);
        let source = Chunks { file, cache, scratches, limit };
        let (slices, samples) = (self.layout.extent[0], self.planes[0].samples);
        // Channels that are samples of the same page are decoded at once.
        let runs = channels.chunk_by(|a, b| a + 1 == *b && a / samples == b / samples);
        for run in runs {
            let wanted = run[0] % samples..run[run.len() - 1] % samples + 1;
            let (places, rest) = out.split_at_mut(run.len());
            out = rest;
            for (at, slice) in window.range(0).enumerate() {
                let page = &self.planes[run[0] / samples * slices + slice];
                let places = places.iter_mut().map(|place| &mut place[at * plane..][..plane]);
                page.decode(wanted.clone(), &part, &source, &mut places.collect::<Vec<_>>())?;
            }
        }
        Ok(())
    }
}

/// The smaller copies of a page, largest first: those of its `SubIFDs` that hold the same kind of
/// pixels and are smaller than the one before. Anything else there is no level of a pyramid.
fn levels(
    decoder: &mut Decoder<&mut BufReader<File>>,
    page: &Page,
    big_endian: bool,
) -> Result<Vec<Page>, Fault> {
    /// A plane of 2⁶⁴ pixels a side has as many.
    const MOST: usize = 64;
    let mut levels: Vec<Page> = Vec::new();
    for &pointer in page.smaller.iter().take(MOST) {
        let directory = decoder.read_directory(IfdPointer(pointer));
        let level = directory
            .map_err(Fault::from)
            .and_then(|directory| Page::read_smaller(decoder, &directory, big_endian));
        let level = match level {
            Ok(level) => level,
            Err(Fault::Io(error)) => return Err(error.into()),
            // The image itself is none the worse for it.
            Err(_) => continue,
        };
        let larger = levels.last().unwrap_or(page);
        let smaller = level.rows <= larger.rows
            && level.columns <= larger.columns
            && [level.rows, level.columns] != [larger.rows, larger.columns];
        if smaller && (level.samples, level.pixel) == (page.samples, page.pixel) {
            levels.push(level);
        }
    }
    Ok(levels)
}

/// The copies of all planes at a level.
fn at_level(
    decoder: &mut Decoder<&mut BufReader<File>>,
    planes: &[Page],
    level: usize,
    big_endian: bool,
) -> Result<Vec<Page>, Fault> {
    let mut copies: Vec<Page> = Vec::with_capacity(planes.len());
    for (index, page) in planes.iter().enumerate() {
        let copy = levels(decoder, page, big_endian)?.into_iter().nth(level - 1);
        let copy = copy.filter(|copy| copies.first().is_none_or(|first| copy.matches(first)));
        let copy = copy.ok_or_else(|| {
            Fault::malformed(format!(
                "plane {index} has no level {level} as the first plane has it"
            ))
        })?;
        copies.push(copy);
    }
    Ok(copies)
}

/// The pages of a file, and what is said about them.
struct Contents {
    /// `None` stands for a page that is a smaller copy of another.
    pages: Vec<Option<Page>>,
    /// What the first page says.
    description: String,
    /// Pixels a unit, `[y, x]`.
    resolution: [Option<f64>; 2],
    /// Pages that begin a series of tifffile's, and their descriptions.
    shaped: Vec<(usize, serde_json::Value)>,
    big_endian: bool,
}

impl Contents {
    fn read(file: &mut BufReader<File>) -> Result<Self, Fault> {
        let mut decoder = Decoder::new(file)?.with_limits(limits());
        let big_endian = decoder.byte_order() == ByteOrder::BigEndian;
        let mut next = decoder.ifd_pointer();
        let mut contents = Self {
            pages: Vec::new(),
            description: String::new(),
            resolution: [None; 2],
            shaped: Vec::new(),
            big_endian,
        };
        let mut seen = HashSet::new();
        while let Some(pointer) = next {
            if !seen.insert(pointer.0) {
                return Err(Fault::malformed("the list of pages runs in a circle"));
            }
            let directory = decoder.read_directory(pointer)?;
            let text = description(&mut decoder, &directory)?;
            if let Some(json) = shaped::parse(&text) {
                contents.shaped.push((contents.pages.len(), json));
            }
            if contents.pages.is_empty() {
                contents.description = text;
                contents.read_resolution(&mut decoder, &directory)?;
            }
            contents.pages.push(Page::read(&mut decoder, &directory, big_endian)?);
            next = directory.next();
        }
        Ok(contents)
    }

    fn read_resolution(
        &mut self,
        decoder: &mut Decoder<&mut BufReader<File>>,
        directory: &Directory,
    ) -> Result<(), Fault> {
        let mut tags = Tags { decoder, directory };
        for (pixels, tag) in self.resolution.iter_mut().zip([Tag::YResolution, Tag::XResolution]) {
            *pixels = tags.value(tag)?.and_then(ratio);
        }
        Ok(())
    }

    /// The series that is read, whose pages are counted over all of the file, and how many there are.
    fn series(&self, path: &Path, scene: Option<usize>) -> Result<(Series, usize), Fault> {
        if ome::is(&self.description) {
            let ome = ome::parse(&self.description)?;
            return Ok((planes::series(&ome, scene, path, &self.pages)?, ome.images.len()));
        }
        if self.shaped.len() > 1 && self.shaped[0].0 == 0 {
            let scenes = self.shaped.len();
            let chosen = choose_scene(scene, scenes)?;
            let end = self.shaped.get(chosen + 1).map_or(self.pages.len(), |next| next.0);
            return Ok((self.stack(self.shaped[chosen].0..end, Some(chosen))?, scenes));
        }
        choose_scene(scene, 1)?;
        let shaped = self.shaped.first().filter(|(page, _)| *page == 0).map(|_| 0);
        Ok((self.stack(0..self.pages.len(), shaped)?, 1))
    }

    /// The planes of a file that is not OME-TIFF, or of one of its series. Pages about which nothing is
    /// said are slices.
    fn stack(&self, range: std::ops::Range<usize>, shaped: Option<usize>) -> Result<Series, Fault> {
        let places: Vec<usize> = range.filter(|&page| self.pages[page].is_some()).collect();
        let Some(first) = places.first().and_then(|&page| self.pages[page].as_ref()) else {
            return Err(Fault::malformed("has no page that is an image"));
        };
        let mut series = if let Some(shaped) = shaped {
            shaped::series(&self.shaped[shaped].1, first)?
        } else if imagej::is(&self.description) {
            imagej::series(&self.description, self.resolution, places.len())?
        } else {
            Series::in_order(&[(PageAxis::Slice, places.len())])?
        };
        let (told, found) = (series.pages.len(), places.len());
        if told < found {
            return Err(Fault::unsupported(format!(
                "holds {found} pages, but the image described on the first one has {told}; save each \
                 image as its own file"
            )));
        }
        if found == 1 && told > 1 {
            // One page that all pixels follow.
            series.continued = Some(places[0]);
            return Ok(series);
        }
        for page in &mut series.pages {
            let place = places.get(*page).copied();
            *page = place.ok_or_else(|| missing(*page, told, found))?;
        }
        Ok(series)
    }
}

fn missing(page: usize, needed: usize, found: usize) -> Fault {
    Fault::malformed(format!(
        "page {page} is missing: {needed} pages are needed, but {found} are there"
    ))
}

/// The description of a page, if it has one.
fn description(
    decoder: &mut Decoder<&mut BufReader<File>>,
    directory: &Directory,
) -> Result<String, Fault> {
    let mut bytes = ValueBuffer::empty(tiff::tags::Type::ASCII);
    let mut tags = decoder.read_directory_tags(directory);
    let found = tags.find_tag_buf(Tag::ImageDescription, &mut bytes)?;
    Ok(found.map(|_| decode_text(bytes.as_bytes())).unwrap_or_default())
}

/// A description of megabytes is fine, one that claims more than any memory is not.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.ifd_value_size = 1 << 28;
    limits
}

/// UTF-8, or Latin-1 as older writers have it.
fn decode_text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let bytes = &bytes[..end];
    std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(|&byte| char::from(byte)).collect(), str::to_owned)
}

fn ratio(value: Value) -> Option<f64> {
    let value = match value {
        Value::List(values) => values.into_iter().next()?,
        single => single,
    };
    match value {
        Value::Rational(above, below) if above > 0 && below > 0 => {
            Some(f64::from(above) / f64::from(below))
        }
        _ => None,
    }
}

/// The pages of a series, all of which must be there and look the same.
fn resolve(series: &Series, pages: &[Option<Page>]) -> Result<Vec<Page>, Fault> {
    let only = series.continued.and_then(|only| pages[only].as_ref());
    let behind = only.map(|page| continued(page, series.pages.len())).transpose()?;
    let pages = behind.as_deref().unwrap_or(pages);
    let mut planes: Vec<Page> = Vec::with_capacity(series.pages.len());
    for &index in &series.pages {
        let Some(Some(page)) = pages.get(index) else {
            return Err(missing(index, series.pages.len(), pages.len()));
        };
        if planes.first().is_some_and(|first| !page.matches(first)) {
            return Err(differ(index, page, &planes[0]));
        }
        planes.push(page.clone());
    }
    Ok(planes)
}

fn differ(index: usize, page: &Page, first: &Page) -> Fault {
    let describe = |page: &Page| {
        format!("{} x {} of {} x {}", page.columns, page.rows, page.samples, page.pixel)
    };
    Fault::unsupported(format!(
        "the pages differ: page {index} has pixels {}, the first one {}; save each image as its \
         own file",
        describe(page),
        describe(first),
    ))
}

/// Stacks beyond 4 GiB are written with a single page, and the pixels of the others behind those of
/// the first: by ImageJ (`ij.io.TiffEncoder`), and by tifffile with `truncate=True`.
fn continued(page: &Page, planes: usize) -> Result<Vec<Option<Page>>, Fault> {
    let Some((_, length)) = page.contiguous() else {
        return Err(Fault::malformed(format!(
            "{planes} planes are described, but there is one page"
        )));
    };
    let shifted = |plane: usize| page.shifted(u64::try_from(plane).ok()?.checked_mul(length)?);
    (0..planes)
        .map(|plane| {
            let page = shifted(plane).ok_or_else(|| Fault::malformed("pixels lie beyond any file"));
            page.map(Some)
        })
        .collect()
}
