//! Reading TIFF files, and telling the dialects of their writers apart.

mod codec;
mod imagej;
mod ome;
mod page;
mod planes;
mod series;
mod shaped;
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
    tags::{ByteOrder, Tag, ValueBuffer},
};

pub use self::write::TiffWriter;
use self::{
    page::{Page, Tags},
    series::{PageAxis, Series},
};
use super::{
    fault::Fault,
    layout::{Layout, too_large},
};

/// A TIFF file whose pages are known.
#[derive(Debug)]
pub(super) struct Tiff {
    file: BufReader<File>,
    layout: Layout,
    /// Pages by time point, channel and slice.
    planes: Vec<Page>,
}

impl Tiff {
    /// Reads the directories of a file, and what the description says about them.
    pub(super) fn open(file: File, path: &Path, scene: Option<usize>) -> Result<Self, Fault> {
        let mut file = BufReader::new(file);
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let Contents { mut pages, description, resolution } = Contents::read(&mut file)?;
        let series = if ome::is(&description) {
            planes::series(&ome::parse(&description)?, scene, path, &pages)?
        } else {
            pages.retain(Option::is_some);
            only_scene(scene)?;
            stack(&description, resolution, &pages)?
        };
        let planes = resolve(&series, &pages)?;
        planes.iter().try_for_each(|page| page.check_within(length))?;
        let layout = series.layout(&planes[0])?;
        Ok(Self { file, layout, planes })
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Decodes the planes of the first time point for these channels and hands over each with its
    /// channel and slice, as little-endian bytes.
    pub(super) fn each_plane(
        &mut self,
        channels: &[usize],
        limit: u64,
        mut take: impl FnMut(usize, usize, &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let slices = self.layout.extent[0];
        let samples = self.planes[0].samples;
        let length = self.layout.plane()?.checked_mul(self.layout.pixel.bytes());
        let length = length.ok_or_else(|| too_large(limit))?;
        for page_channel in 0..self.layout.channels / samples {
            let first = page_channel * samples;
            let wanted: Vec<usize> = channels
                .iter()
                .copied()
                .filter(|&c| (first..first + samples).contains(&c))
                .collect();
            if wanted.is_empty() {
                continue;
            }
            for slice in 0..slices {
                let page = &self.planes[page_channel * slices + slice];
                let bytes = page.decode(&mut self.file, limit)?;
                for &channel in &wanted {
                    take(channel, slice, &bytes[(channel - first) * length..][..length])?;
                }
            }
        }
        Ok(())
    }
}

/// The pages of a file, and what is said about them on the first one.
struct Contents {
    /// `None` stands for a page that is a smaller copy of another.
    pages: Vec<Option<Page>>,
    description: String,
    /// Pixels a unit, `[y, x]`.
    resolution: [Option<f64>; 2],
}

impl Contents {
    fn read(file: &mut BufReader<File>) -> Result<Self, Fault> {
        let mut decoder = Decoder::new(file)?.with_limits(limits());
        let big_endian = decoder.byte_order() == ByteOrder::BigEndian;
        let mut next = decoder.ifd_pointer();
        let mut contents =
            Self { pages: Vec::new(), description: String::new(), resolution: [None; 2] };
        let mut seen = HashSet::new();
        while let Some(pointer) = next {
            if !seen.insert(pointer.0) {
                return Err(Fault::malformed("the list of pages runs in a circle"));
            }
            let directory = decoder.read_directory(pointer)?;
            if contents.pages.is_empty() {
                contents.read_text(&mut decoder, &directory)?;
            }
            contents.pages.push(Page::read(&mut decoder, &directory, big_endian)?);
            next = directory.next();
        }
        Ok(contents)
    }

    fn read_text(
        &mut self,
        decoder: &mut Decoder<&mut BufReader<File>>,
        directory: &Directory,
    ) -> Result<(), Fault> {
        let mut bytes = ValueBuffer::empty(tiff::tags::Type::ASCII);
        let mut tags = decoder.read_directory_tags(directory);
        if tags.find_tag_buf(Tag::ImageDescription, &mut bytes)?.is_some() {
            self.description = decode_text(bytes.as_bytes());
        }
        let mut tags = Tags { decoder, directory };
        for (pixels, tag) in self.resolution.iter_mut().zip([Tag::YResolution, Tag::XResolution]) {
            *pixels = tags.value(tag)?.and_then(ratio);
        }
        Ok(())
    }
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

/// Only OME-TIFF has scenes.
fn only_scene(scene: Option<usize>) -> Result<(), Fault> {
    match scene {
        Some(asked) if asked > 0 => Err(Fault::Scene { asked, scenes: 1 }),
        _ => Ok(()),
    }
}

/// The planes of a file that is not OME-TIFF. Pages about which nothing is said are slices.
fn stack(
    description: &str,
    resolution: [Option<f64>; 2],
    pages: &[Option<Page>],
) -> Result<Series, Fault> {
    let Some(Some(first)) = pages.first() else {
        return Err(Fault::malformed("has no page that is an image"));
    };
    let series = if imagej::is(description) {
        imagej::series(description, resolution, pages.len())?
    } else if let Some(json) = shaped::parse(description) {
        shaped::series(&json, first)?
    } else {
        Series::in_order(&[(PageAxis::Slice, pages.len())])?
    };
    let (told, found) = (series.pages.len(), pages.len());
    if told < found {
        return Err(Fault::unsupported(format!(
            "holds {found} pages, but the image described on the first one has {told}; save each \
             image as its own file"
        )));
    }
    Ok(series)
}

/// The pages of a series, all of which must be there and look the same.
fn resolve(series: &Series, pages: &[Option<Page>]) -> Result<Vec<Page>, Fault> {
    let pages = match pages {
        [Some(only)] if series.pages.len() > 1 => &continued(only, series.pages.len())?,
        _ => pages,
    };
    let mut planes: Vec<Page> = Vec::with_capacity(series.pages.len());
    for &index in &series.pages {
        let Some(Some(page)) = pages.get(index) else {
            return Err(Fault::malformed(format!(
                "page {index} is missing: {} pages are needed, but {} are there",
                series.pages.len(),
                pages.len()
            )));
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
