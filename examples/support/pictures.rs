//! Pictures for a person to look at.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::needless_pass_by_value,
    reason = "the numbers are clamped or small, and views are cheap"
)]

use ndarray::{Array2, Array3, ArrayView2, Axis};
use segmenter::{Mask, Space, Stack, Stack2};

const TRUTH: [u8; 3] = [60, 220, 90];
const FOUND: [u8; 3] = [255, 60, 200];

/// Smallest side of a panel in pixels; smaller images are enlarged by whole numbers.
const SIDE: usize = 256;

/// Three panels side by side: the raw image, the truth outlined in green on it, the prediction
/// outlined in magenta. Of a volume, the slice with the most truth.
pub(crate) fn comparison<S: Space>(
    raw: &Stack<S, f32>,
    truth: &Mask<S>,
    found: &Mask<S>,
) -> Stack2<u8> {
    let truth = volume(truth.view().mapv(u8::from).into_dyn());
    let found = volume(found.view().mapv(u8::from).into_dyn());
    let raw = volume(raw.channel(0).to_owned().into_dyn());
    let slice = (0..truth.len_of(Axis(0)))
        .max_by_key(|&z| truth.index_axis(Axis(0), z).iter().filter(|&&inside| inside > 0).count())
        .unwrap_or(0);
    let scale = SIDE.div_ceil(raw.len_of(Axis(2)).max(1));
    let gray = stretched(raw.index_axis(Axis(0), slice));
    let panel = |mask: Option<(&Array3<u8>, [u8; 3])>| {
        let outline = mask.map(|(mask, colour)| (mask.index_axis(Axis(0), slice), colour));
        draw(&gray, outline, scale)
    };
    let panels = [panel(None), panel(Some((&truth, TRUTH))), panel(Some((&found, FOUND)))];
    let views: Vec<_> = panels.iter().map(|panel| panel.view()).collect();
    let joined = ndarray::concatenate(Axis(2), &views);
    Stack2::from_channels(joined.unwrap_or_else(|_| unreachable!("the panels are of one extent")))
}

/// A plane as a volume of one slice.
fn volume<T: Clone>(array: ndarray::ArrayD<T>) -> Array3<T> {
    let array = if array.ndim() == 2 { array.insert_axis(Axis(0)) } else { array };
    array.into_dimensionality().unwrap_or_else(|_| unreachable!("images have 2 or 3 axes"))
}

/// Intensities as bytes, from the 1st to the 99.5th percentile.
fn stretched(pixels: ArrayView2<'_, f32>) -> Array2<u8> {
    let mut sorted: Vec<f32> = pixels.iter().copied().collect();
    sorted.sort_by(f32::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let (low, high) = (at(0.01), at(0.995));
    let range = (high - low).max(f32::MIN_POSITIVE);
    pixels.mapv(|value| ((value - low) / range * 255.0).clamp(0.0, 255.0) as u8)
}

/// The image in gray, `[rgb, y, x]`, with an outline drawn on it one screen pixel wide or two.
fn draw(
    gray: &Array2<u8>,
    outline: Option<(ArrayView2<'_, u8>, [u8; 3])>,
    scale: usize,
) -> Array3<u8> {
    let (height, width) = gray.dim();
    let line = scale.div_ceil(3);
    Array3::from_shape_fn((3, height * scale, width * scale), |(rgb, y, x)| {
        let (row, column) = (y / scale, x / scale);
        match outline {
            Some((mask, colour)) if on_outline(mask, [y, x], scale, line) => colour[rgb],
            _ => gray[[row, column]],
        }
    })
}

/// Whether a screen pixel lies inside the mask, within `line` pixels of its edge.
fn on_outline(mask: ArrayView2<'_, u8>, [y, x]: [usize; 2], scale: usize, line: usize) -> bool {
    let inside = |y: usize, x: usize| mask.get([y / scale, x / scale]).is_some_and(|&m| m > 0);
    let outside = |y: Option<usize>, x: Option<usize>| match (y, x) {
        (Some(y), Some(x)) => !inside(y, x),
        _ => true,
    };
    inside(y, x)
        && (outside(y.checked_sub(line), Some(x))
            || outside(Some(y + line), Some(x))
            || outside(Some(y), x.checked_sub(line))
            || outside(Some(y), Some(x + line)))
}
