//! Where the blocks of an image are: tiles or strips of its levels.

use super::{
    super::super::picture::Blocks,
    directory::{Width, bytes},
};

/// A level below this number of rows and columns is not halved again.
pub(super) const SMALLEST: usize = 256;

/// Bytes of a strip before packing that are aimed at, as tifffile does.
const STRIP: usize = 1 << 18;

/// One resolution of the planes of an image, and how it is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Rows and columns of a block. Rows are an even number, and so are columns if there is more
    /// than one block beside another, so that four blocks make one of the next level.
    pub(super) block: [usize; 2],
    pub(super) blocks: Blocks,
}

/// A block of a level: its plane, and its place among the blocks of the plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) plane: usize,
    pub(super) down: usize,
    pub(super) across: usize,
}

impl Level {
    fn new(rows: usize, columns: usize, size: usize, blocks: Blocks) -> Self {
        let block = match blocks {
            // TIFF 6.0, section 15: multiples of 16. A small plane needs no large tile.
            Blocks::Tiles => [rows, columns].map(|size| size.next_multiple_of(16).min(256)),
            Blocks::Strips => {
                let rows_per_strip = STRIP / (columns * size).max(1);
                [rows_per_strip.next_multiple_of(2).clamp(2, rows.next_multiple_of(2)), columns]
            }
        };
        Self { rows, columns, block, blocks }
    }

    /// The levels of planes of so many rows and columns, from the largest on: all of a pyramid, or
    /// the first alone.
    pub(super) fn all(
        [rows, columns]: [usize; 2],
        size: usize,
        blocks: Blocks,
        pyramid: bool,
    ) -> Vec<Self> {
        let mut levels = vec![Self::new(rows, columns, size, blocks)];
        while let Some(last) = levels.last()
            && pyramid
            && last.rows.max(last.columns) > SMALLEST
        {
            let next = last.halved();
            levels.push(next);
        }
        levels
    }

    fn halved(&self) -> Self {
        let columns = self.columns.div_ceil(2);
        let block = match self.blocks {
            Blocks::Tiles => self.block,
            Blocks::Strips => [self.block[0], columns],
        };
        Self { rows: self.rows.div_ceil(2), columns, block, blocks: self.blocks }
    }

    /// Number of blocks of a plane, down and across.
    pub(super) fn counts(&self) -> [usize; 2] {
        [self.rows.div_ceil(self.block[0]), self.columns.div_ceil(self.block[1])]
    }

    /// Number of blocks of a plane.
    pub(super) fn count(&self) -> usize {
        self.counts().iter().product()
    }

    /// The number of a block among all blocks of the level.
    pub(super) fn index(&self, place: Place) -> usize {
        let [down, across] = self.counts();
        (place.plane * down + place.down) * across + place.across
    }

    /// The block of this number.
    pub(super) fn place(&self, index: usize) -> Place {
        let [down, across] = self.counts();
        Place { plane: index / across / down, down: index / across % down, across: index % across }
    }

    /// First row and column of a block, and how many of each the image has there.
    pub(super) fn part(&self, place: Place) -> [[usize; 2]; 2] {
        let start = [place.down * self.block[0], place.across * self.block[1]];
        let left = [self.rows - start[0], self.columns - start[1]];
        [start, [0, 1].map(|axis| left[axis].min(self.block[axis]))]
    }

    /// Rows and columns of a block as it is stored: tiles are full, the last strip is cut off.
    pub(super) fn stored(&self, place: Place) -> [usize; 2] {
        match self.blocks {
            Blocks::Tiles => self.block,
            Blocks::Strips => self.part(place)[1],
        }
    }
}

/// Whether offsets may need more than 32 bits. How far packing gets is not known yet, and it can
/// make noise a little larger.
pub(super) fn width(levels: &[Level], planes: usize, size: usize) -> Width {
    let mut total = 0_u64;
    for level in levels {
        let pixels = level.block.iter().fold(bytes(size), |n, &edge| n.saturating_mul(bytes(edge)));
        let block = pixels.saturating_add(pixels / 64).saturating_add(32);
        let plane = block.saturating_mul(bytes(level.count())).saturating_add(4096);
        total = total.saturating_add(plane.saturating_mul(bytes(planes)));
    }
    if u32::try_from(total).is_ok() { Width::Classic } else { Width::Big }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_64_bits_are_taken_only_where_they_may_be_needed() {
        let width_of = |edge| width(&Level::all([edge, edge], 1, Blocks::Tiles, false), 2, 1);
        assert_eq!(width_of(3), Width::Classic);
        assert_eq!(width_of(45_000), Width::Classic, "3.83 GiB in whole tiles and 60 MiB to spare");
        assert_eq!(width_of(46_341), Width::Big, "4 GiB less 60 kB, and tags");
        let pyramid = Level::all([45_000, 45_000], 1, Blocks::Tiles, true);
        assert_eq!(width(&pyramid, 2, 1), Width::Big, "a third more");
    }

    #[test]
    fn a_pyramid_ends_where_a_plane_has_at_most_256_rows_and_columns() {
        let sizes = |rows, columns| -> Vec<[usize; 2]> {
            let levels = Level::all([rows, columns], 2, Blocks::Tiles, true);
            levels.iter().map(|level| [level.rows, level.columns]).collect()
        };
        assert_eq!(sizes(256, 256), [[256, 256]]);
        assert_eq!(sizes(1, 1025), [[1, 1025], [1, 513], [1, 257], [1, 129]]);
    }

    #[test]
    fn blocks_are_numbered_row_by_row_and_cut_off_at_the_edge() {
        let level = Level::all([300, 513], 2, Blocks::Tiles, false)[0];
        assert_eq!(level.counts(), [2, 3]);
        let last = Place { plane: 1, down: 1, across: 2 };
        assert_eq!(level.index(last), 11);
        assert_eq!(level.place(11), last);
        assert_eq!(level.part(last), [[256, 512], [44, 1]]);
        assert_eq!(level.stored(last), [256, 256]);
    }
}
