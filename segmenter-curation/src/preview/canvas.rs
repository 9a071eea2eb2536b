//! Pixels to draw on.

use ndarray::Array3;
use segmenter_core::Stack2;

use super::font;

/// A picture in the making.
pub(super) struct Canvas {
    /// `[rgb, y, x]`.
    pixels: Array3<u8>,
}

impl Canvas {
    /// A picture of one colour.
    pub(super) fn new([rows, columns]: [usize; 2], colour: [u8; 3]) -> Self {
        Self { pixels: Array3::from_shape_fn((3, rows, columns), |(rgb, ..)| colour[rgb]) }
    }

    /// Colours a pixel, if there is such a pixel.
    pub(super) fn set(&mut self, [y, x]: [usize; 2], colour: [u8; 3]) {
        for (rgb, value) in colour.into_iter().enumerate() {
            if let Some(pixel) = self.pixels.get_mut([rgb, y, x]) {
                *pixel = value;
            }
        }
    }

    /// Colours a box.
    pub(super) fn fill(&mut self, at: [usize; 2], [rows, columns]: [usize; 2], colour: [u8; 3]) {
        for y in 0..rows {
            for x in 0..columns {
                self.set([at[0] + y, at[1] + x], colour);
            }
        }
    }

    /// Draws another picture, or as much of it as `most` rows and columns hold; one without colours in
    /// gray.
    pub(super) fn paste(&mut self, at: [usize; 2], picture: &Stack2<u8>, most: [usize; 2]) {
        let [rows, columns] = picture.extent();
        let pixels = picture.view();
        let channels = if picture.channels() == 3 { [0, 1, 2] } else { [0; 3] };
        for y in 0..rows.min(most[0]) {
            for x in 0..columns.min(most[1]) {
                let colour = channels.map(|rgb| pixels.get([rgb, y, x]).copied().unwrap_or(0));
                self.set([at[0] + y, at[1] + x], colour);
            }
        }
    }

    /// Writes a line of text whose upper left corner is at `at`.
    pub(super) fn write(&mut self, at: [usize; 2], text: &str, colour: [u8; 3]) {
        for (place, character) in text.chars().enumerate() {
            for (y, row) in font::glyph(character).into_iter().enumerate() {
                for x in (0..font::WIDTH).filter(|x| row >> (font::WIDTH - 1 - x) & 1 == 1) {
                    self.set([at[0] + y, at[1] + place * font::ADVANCE + x], colour);
                }
            }
        }
    }

    pub(super) fn into_picture(self) -> Stack2<u8> {
        Stack2::from_channels(self.pixels)
    }
}
