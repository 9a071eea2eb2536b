//! The outlines of selections.

use segmenter_core::{Ellipse, Region};

use super::{
    HALF,
    header::{Bytes, CONTENT, Fault, Header, SPLINE},
};

/// What a selection selects. `stroke` is the width of a line.
pub(super) fn outline(bytes: Bytes<'_>, header: &Header, stroke: f64) -> Result<Region, Fault> {
    if header.options & SPLINE != 0 && matches!(header.kind, 0 | 5) {
        return Err(Fault::new(50, "a spline is fitted through its points; straighten it first"));
    }
    match (header.kind, header.subtype) {
        (1, _) if header.path > 0 => composite(bytes, header.path),
        (1, _) => rectangle(header.frame(bytes)?, header.arc),
        (2, _) => oval(header.frame(bytes)?),
        (7, 3) => ellipse(bytes),
        (0 | 7 | 8, _) => Ok(Region::polygon(area(points(bytes, header)?))?),
        (3, _) => {
            let [x1, y1, x2, y2] = [18, 22, 26, 30].map(|byte| bytes.f32(byte));
            Ok(Region::path([[x1?, y1?], [x2?, y2?]], stroke)?)
        }
        (4 | 5 | 9, _) => Ok(Region::path(points(bytes, header)?, stroke)?),
        (10, _) => pixels(points(bytes, header)?),
        (kind, _) => Err(Fault::new(6, format!("{kind} is no kind of selection"))),
    }
}

/// From the corners of pixels to their centres.
fn area(points: Vec<[f64; 2]>) -> impl Iterator<Item = [f64; 2]> {
    points.into_iter().map(|[x, y]| [x - HALF, y - HALF])
}

/// The coordinates as they are: all of x, then all of y; whole ones from the corner of the bounds, and
/// after them, where there are any, those in single precision.
fn points(bytes: Bytes<'_>, header: &Header) -> Result<Vec<[f64; 2]>, Fault> {
    let count = header.points;
    let far = count.saturating_mul(4);
    // Ask for all at once, so that a false count takes no memory.
    if header.sub_pixel() {
        let start = CONTENT.saturating_add(far);
        bytes.get(start, count.saturating_mul(8))?;
        let point = |i| Ok([bytes.f32(start + 4 * i)?, bytes.f32(start + 4 * (count + i))?]);
        return (0..count).map(point).collect();
    }
    bytes.get(CONTENT, far)?;
    let [top, left, ..] = header.bounds;
    let number = |index| bytes.u16(CONTENT + 2 * index).map(f64::from);
    (0..count).map(|i| Ok([left + number(i)?, top + number(count + i)?])).collect()
}

/// A rectangle whose corners are quarters of an ellipse, if they are round.
fn rectangle([x, y, width, height]: [f64; 4], arc: f64) -> Result<Region, Fault> {
    let [left, top, right, bottom] = [x - HALF, y - HALF, x + width - HALF, y + height - HALF];
    if arc <= 0.0 || width <= 0.0 || height <= 0.0 {
        return Ok(Region::rectangle((left, top), (right, bottom))?);
    }
    let (across, along) = (arc.min(width) / 2.0, arc.min(height) / 2.0);
    let mut parts = vec![
        Region::rectangle((left + across, top), (right - across, bottom))?,
        Region::rectangle((left, top + along), (right, bottom - along))?,
    ];
    for x in [left + across, right - across] {
        for y in [top + along, bottom - along] {
            parts.push(Region::ellipse(Ellipse::new((x, y), [across, along], 0.0)?));
        }
    }
    Ok(Region::any_of(parts))
}

fn oval([x, y, width, height]: [f64; 4]) -> Result<Region, Fault> {
    let radii = [width / 2.0, height / 2.0];
    let centre = (x + radii[0] - HALF, y + radii[1] - HALF);
    Ok(Region::ellipse(Ellipse::new(centre, radii, 0.0)?))
}

/// An ellipse at any angle: the ends of its long axis, and the ratio of the short to the long one.
fn ellipse(bytes: Bytes<'_>) -> Result<Region, Fault> {
    let [x1, y1, x2, y2] = [18, 22, 26, 30].map(|byte| bytes.f32(byte));
    let (x1, y1, x2, y2, ratio) = (x1?, y1?, x2?, y2?, bytes.f32(52)?);
    let centre = ((x1 + x2) / 2.0 - HALF, (y1 + y2) / 2.0 - HALF);
    let (x, y) = ((x2 - x1) / 2.0, (y2 - y1) / 2.0);
    Ok(Region::ellipse(Ellipse::from_axes(centre, [(x, y), (-y * ratio, x * ratio)])?))
}

/// The pixels that points lie in.
fn pixels(points: Vec<[f64; 2]>) -> Result<Region, Fault> {
    let pixel = |[x, y]: [f64; 2]| Region::polygon([[(x + HALF).floor(), (y + HALF).floor()]]);
    Ok(Region::any_of(points.into_iter().map(pixel).collect::<Result<Vec<_>, _>>()?))
}

/// Several rings, of which every second one inside another is a hole (even-odd rule).
fn composite(bytes: Bytes<'_>, numbers: usize) -> Result<Region, Fault> {
    bytes.get(CONTENT, numbers.saturating_mul(4))?;
    let number = |index: usize| {
        if index < numbers {
            bytes.f32(CONTENT + 4 * index)
        } else {
            Err(Fault::new(CONTENT + 4 * index, "the path of the composite is cut off"))
        }
    };
    let (mut rings, mut at) = (Vec::<Vec<[f64; 2]>>::new(), 0);
    while at < numbers {
        let segment = number(at)?;
        if segment == 0.0 || segment == 1.0 {
            let point = [number(at + 1)?, number(at + 2)?];
            match rings.last_mut() {
                Some(ring) if segment == 1.0 => ring.push(point),
                _ => rings.push(vec![point]),
            }
            at += 3;
        } else if segment == 4.0 {
            at += 1;
        } else {
            let reason = format!("a segment of kind {segment} is not read, only straight ones are");
            return Err(Fault::new(CONTENT + 4 * at, reason));
        }
    }
    let mut rings = rings.into_iter().map(|ring| Region::polygon(area(ring)));
    let first = rings.next().ok_or_else(|| Fault::new(CONTENT, "the composite is empty"))??;
    rings.try_fold(first, |region, ring| Ok(region.symmetric_difference(ring?)))
}
