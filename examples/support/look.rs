//! Which images of a data set to look at first, and pictures of all of them.

use segmenter::{
    Space, Yx, Zyx,
    core::Stack2,
    curation::{
        Record,
        preview::Preview,
        quality::{self, Quality},
        review::{self, Suspect},
        session::State,
    },
    io::{self, Axes},
};

use super::AnyError;

/// The images of a session, the most suspect first.
pub(crate) fn ranked(state: &State) -> Result<Vec<Suspect>, AnyError> {
    let measured = state.images().iter().map(|image| measure(image.record()));
    Ok(review::rank(&measured.collect::<Result<Vec<_>, _>>()?))
}

fn measure(record: &Record) -> Result<Quality, AnyError> {
    match io::probe(record.raw().path())?.axes {
        Axes::Yx => Ok(quality::measure(&record.load::<Yx>()?)?),
        Axes::Zyx => Ok(quality::measure(&record.load::<Zyx>()?)?),
    }
}

/// A thumbnail of an image with its segmentation and what was drawn in it: a plane as it is, a volume
/// by its largest intensities.
pub(crate) fn thumbnail(record: &Record) -> Result<Stack2<u8>, AnyError> {
    match io::probe(record.raw().path())?.axes {
        Axes::Yx => draw::<Yx>(record),
        Axes::Zyx => draw::<Zyx>(record),
    }
}

fn draw<S: Space>(record: &Record) -> Result<Stack2<u8>, AnyError> {
    let sample = record.load::<S>()?;
    let regions = record.merges().iter().map(|merge| &merge.region);
    let preview = Preview::maximum(sample.raw()).with_outline(sample.target());
    Ok(preview.with_excluded(record.exclude_regions()).with_merged(regions).draw()?)
}
