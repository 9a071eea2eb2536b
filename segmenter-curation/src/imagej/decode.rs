//! From the bytes of a selection to a region.

use super::{
    header::{Bytes, Fault, Header, Second},
    outline::outline,
};
use crate::regions::{Ignored, NamedRegion, Regions};

/// Adds the selection, if it has pixels, and what is not kept of it. `at` is what it is called where
/// something is listed.
pub(super) fn decode(content: &[u8], at: &str, found: &mut Regions) -> Result<(), Fault> {
    let bytes = Bytes(content);
    let header = Header::read(bytes)?;
    let second = Second::read(bytes, &header)?;
    let mut ignore = |what: String| found.ignored.push(Ignored { at: at.to_owned(), what });
    if let Some(what) = without_pixels(&header) {
        ignore(format!("{what} has no pixels"));
        return Ok(());
    }
    for (axis, position) in [("channel", second.channel), ("frame", second.frame)] {
        if position > 1 {
            ignore(format!("it is for {axis} {position} only"));
        }
    }
    if second.properties {
        ignore("its properties are not kept".to_owned());
    }
    let stroke = if second.stroke > 0.0 { second.stroke } else { header.stroke };
    let region = outline(bytes, &header, stroke.max(1.0))?;
    let region = match slice(&header, &second) {
        Some(z) => region.through_z(z..=z),
        None => region,
    };
    let class = (second.group > 0).then(|| second.group.to_string());
    found.regions.push(NamedRegion { region, name: second.name, class });
    Ok(())
}

fn without_pixels(header: &Header) -> Option<&'static str> {
    match (header.kind, header.subtype) {
        (_, 1) => Some("a text"),
        (_, 4) => Some("a picture"),
        (6, _) => Some("an empty selection"),
        _ => None,
    }
}

/// The slice counted from 0. A selection without slice, channel and frame may have a place in the
/// stack, which is its slice where there is one channel and one frame.
fn slice(header: &Header, second: &Second) -> Option<usize> {
    let place = match second {
        Second { channel: ..=0, slice: ..=0, frame: ..=0, .. } => header.position,
        hyperstack => hyperstack.slice,
    };
    usize::try_from(place).ok()?.checked_sub(1)
}
