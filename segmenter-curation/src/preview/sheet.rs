//! Pictures of a data set, side by side.

use segmenter_core::Stack2;

use super::{BETWEEN, GREEN, THUMBNAIL, VERMILLION, canvas::Canvas, font};
use crate::Decision;

/// Around and between pictures, in pixels.
const MARGIN: usize = 6;
/// From one line of text to the next.
const LINE: usize = font::HEIGHT + 3;
/// Two lines of text under each picture, and the bar between.
const CAPTION: usize = BAR + 3 + 2 * LINE;
/// Height of the bar in the colour of the decision.
const BAR: usize = 4;
const INK: [u8; 3] = [0; 3];
const UNDECIDED: [u8; 3] = [160; 3];

/// Pictures of a data set in rows of one length, each with its name and what was decided.
///
/// Under each picture is a bar, green for an image that is used, vermillion for one that is not, gray for
/// one that nobody has decided on; then its name and the decision in words. Text that is too long loses
/// its middle, because names of one data set often begin alike.
///
/// A sheet of thumbnails takes some 0.2 MB an image; make several sheets of a large data set.
///
/// ```
/// use ndarray::Array2;
/// use segmenter_core::Stack2;
/// use segmenter_curation::{Decision, preview::{ContactSheet, Preview}};
///
/// let raw = Stack2::new(Array2::from_shape_fn((40, 30), |(y, x)| (y + x) as u8));
/// let mut sheet = ContactSheet::new().with_columns(2);
/// for (name, decision) in [("cell_1", Decision::Use), ("cell_2", Decision::Undecided)] {
///     sheet.push(name, &decision, Preview::slice(&raw, 0).draw()?);
/// }
/// let folder = tempfile::tempdir()?;
/// sheet.draw().save(folder.path().join("sheet.png"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ContactSheet {
    tiles: Vec<Tile>,
    columns: Option<usize>,
    side: usize,
}

#[derive(Clone, Debug)]
struct Tile {
    picture: Stack2<u8>,
    name: String,
    decision: String,
    colour: [u8; 3],
}

impl Default for ContactSheet {
    fn default() -> Self {
        Self::new()
    }
}

impl ContactSheet {
    /// A sheet without pictures, with room for thumbnails.
    #[must_use]
    pub fn new() -> Self {
        Self { tiles: Vec::new(), columns: None, side: THUMBNAIL }
    }

    /// The same sheet with so many pictures in a row, at least 1. Otherwise the sheet is about as wide as
    /// it is high.
    #[must_use]
    pub fn with_columns(mut self, columns: usize) -> Self {
        self.columns = Some(columns.max(1));
        self
    }

    /// The same sheet with room for pictures of so many pixels along each side; of larger ones the upper
    /// left part is shown.
    #[must_use]
    pub fn with_side(mut self, pixels: usize) -> Self {
        self.side = pixels.max(1);
        self
    }

    /// Adds a picture of red, green and blue, such as [`Preview::draw`](super::Preview::draw) makes; one
    /// of other channels is shown by its first as gray.
    pub fn push(&mut self, name: impl Into<String>, decision: &Decision, picture: Stack2<u8>) {
        let (decision, colour) = match decision {
            Decision::Undecided => ("undecided".to_owned(), UNDECIDED),
            Decision::Use => ("use".to_owned(), GREEN),
            Decision::DontUse { reason } => (format!("don't use: {reason}"), VERMILLION),
        };
        self.tiles.push(Tile { picture, name: name.into(), decision, colour });
    }

    /// Draws the sheet: red, green and blue.
    #[must_use]
    pub fn draw(&self) -> Stack2<u8> {
        let count = self.tiles.len().max(1);
        let square = (1..=count).find(|columns| columns * columns >= count).unwrap_or(1);
        let columns = self.columns.unwrap_or(square).min(count);
        let rows = count.div_ceil(columns);
        let step = [self.side + CAPTION + MARGIN, self.side + MARGIN];
        let extent = [rows * step[0] + MARGIN, columns * step[1] + MARGIN];
        let mut canvas = Canvas::new(extent, BETWEEN);
        for (place, tile) in self.tiles.iter().enumerate() {
            let at = [place / columns * step[0], place % columns * step[1]].map(|at| at + MARGIN);
            tile.draw(&mut canvas, at, self.side);
        }
        canvas.into_picture()
    }
}

impl Tile {
    /// Draws the picture in the middle of its square, and what is written beneath.
    fn draw(&self, canvas: &mut Canvas, [top, left]: [usize; 2], side: usize) {
        let [rows, columns] = self.picture.extent().map(|size| side.saturating_sub(size) / 2);
        canvas.paste([top + rows, left + columns], &self.picture, [side; 2]);
        canvas.fill([top + side, left], [BAR, side], self.colour);
        for (line, text) in [&self.name, &self.decision].into_iter().enumerate() {
            let text = shortened(text, (side + 1) / font::ADVANCE);
            canvas.write([top + side + BAR + 3 + line * LINE, left], &text, INK);
        }
    }
}

/// A text that is no longer than so many characters.
fn shortened(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(2);
    let start = kept.div_ceil(2);
    let end = text.chars().skip(length - (kept - start));
    text.chars().take(start).chain("..".chars().take(most)).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_loses_its_middle() {
        assert_eq!(shortened("nuclei_000.tif", 14), "nuclei_000.tif");
        assert_eq!(shortened("nuclei_000.tif", 9), "nucl..tif");
        assert_eq!(shortened("nuclei", 1), ".");
    }
}
