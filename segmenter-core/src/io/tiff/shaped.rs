//! tifffile's own files: `{"shape": [3, 64, 64]}` in the description of the first page.
//!
//! Source: `TiffWriter.write` of tifffile 2026.3.3. "axes" is there if its caller named them.

use serde_json::Value;

use super::{
    super::fault::Fault,
    page::Page,
    series::{PageAxis, Series},
};

/// The JSON of a description, if it is one with a shape.
pub(super) fn parse(description: &str) -> Option<Value> {
    if !description.starts_with('{') {
        return None;
    }
    let json: Value = serde_json::from_str(description).ok()?;
    json.get("shape")?.is_array().then_some(json)
}

/// Reads a shape. The last two axes are rows and columns, or the last three where samples follow.
pub(super) fn series(json: &Value, page: &Page) -> Result<Series, Fault> {
    let mut axes = named_axes(json)?;
    if page.samples > 1 {
        remove_samples(&mut axes, page)?;
    }
    let (Some((_, columns)), Some((_, rows))) = (axes.pop(), axes.pop()) else {
        return Err(differs(json, page));
    };
    if [rows, columns] != [page.rows, page.columns] {
        return Err(differs(json, page));
    }
    axes.retain(|&(_, size)| size != 1);
    let mut pages = page_axes(&axes)?;
    pages.reverse();
    Series::in_order(&pages)
}

/// Each axis with its letter, where one is told.
fn named_axes(json: &Value) -> Result<Vec<(Option<char>, usize)>, Fault> {
    let shape = json["shape"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sizes: Option<Vec<usize>> =
        shape.iter().map(|size| usize::try_from(size.as_u64()?).ok()).collect();
    let sizes =
        sizes.ok_or_else(|| Fault::malformed("the shape in the description has no sizes"))?;
    let letters: Vec<char> = json["axes"].as_str().unwrap_or_default().chars().collect();
    let named = letters.len() == sizes.len();
    let letter = |axis: usize| named.then(|| letters[axis]);
    Ok(sizes.iter().enumerate().map(|(axis, &size)| (letter(axis), size)).collect())
}

fn remove_samples(axes: &mut Vec<(Option<char>, usize)>, page: &Page) -> Result<(), Fault> {
    let from_end = if page.planar { 3 } else { 1 };
    let position = axes.len().checked_sub(from_end);
    match position.filter(|&position| axes[position].1 == page.samples) {
        Some(position) => {
            axes.remove(position);
            Ok(())
        }
        None => Err(Fault::malformed(format!(
            "the shape in the description has no axis for the {} samples of a pixel",
            page.samples
        ))),
    }
}

/// An axis without a name is a stack of slices if it is the only one.
fn page_axes(axes: &[(Option<char>, usize)]) -> Result<Vec<(PageAxis, usize)>, Fault> {
    let unknown = || {
        let sizes: Vec<usize> = axes.iter().map(|axis| axis.1).collect();
        Fault::unsupported(format!(
            "which of the axes of sizes {sizes:?} are time, channels or slices is not told; write \
             it as OME-TIFF, or with \"axes\" made of T, C, Z, Y, X and S"
        ))
    };
    let mut found: Vec<(PageAxis, usize)> = Vec::new();
    for &(letter, size) in axes {
        let axis = match letter {
            Some('T') => PageAxis::Time,
            Some('C') => PageAxis::Channel,
            Some('Z') => PageAxis::Slice,
            None | Some('Q' | 'I') if axes.len() == 1 => PageAxis::Slice,
            _ => return Err(unknown()),
        };
        if found.iter().any(|known| known.0 == axis) {
            return Err(unknown());
        }
        found.push((axis, size));
    }
    Ok(found)
}

fn differs(json: &Value, page: &Page) -> Fault {
    Fault::malformed(format!(
        "the description says shape {}, but a page has {} rows and {} columns",
        json["shape"], page.rows, page.columns
    ))
}
