//! Pixels of a plane as runs along rows.

use std::ops::Range;

/// Runs in the order of their rows and columns; they neither touch nor overlap, and none is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs(Vec<Run>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) row: usize,
    pub(crate) start: usize,
    /// The column after the last.
    pub(crate) end: usize,
}

impl Runs {
    /// The pixels of a plane that are set, given row by row.
    pub(crate) fn of_pixels(pixels: &[bool], columns: usize) -> Self {
        let mut runs = Self::default();
        for (row, line) in pixels.chunks_exact(columns.max(1)).enumerate() {
            let mut start = 0;
            for same in line.chunk_by(|a, b| a == b) {
                if same[0] {
                    runs.push(row, start..start + same.len());
                }
                start += same.len();
            }
        }
        runs
    }

    /// Every pixel of a part of a plane.
    pub(crate) fn whole(rows: Range<usize>, columns: &Range<usize>) -> Self {
        let mut runs = Self::default();
        for row in rows {
            runs.push(row, columns.clone());
        }
        runs
    }

    /// Runs in any order, which may overlap.
    pub(crate) fn unordered(mut runs: Vec<Run>) -> Self {
        runs.sort_unstable();
        let mut ordered = Self::default();
        for run in runs {
            ordered.push(run.row, run.start..run.end);
        }
        ordered
    }

    /// Runs as a row and the first and the last column, in any order; or which of them is none.
    pub(crate) fn from_inclusive(runs: &[[usize; 3]]) -> Result<Self, usize> {
        let run = |(index, &[row, start, last]): (usize, &[usize; 3])| {
            let end = last.checked_add(1).filter(|&end| start < end).ok_or(index)?;
            Ok(Run { row, start, end })
        };
        runs.iter().enumerate().map(run).collect::<Result<_, _>>().map(Self::unordered)
    }

    pub(crate) fn to_inclusive(&self) -> Vec<[usize; 3]> {
        self.0.iter().map(|run| [run.row, run.start, run.end - 1]).collect()
    }

    /// Adds a run that begins no earlier than the last one.
    pub(crate) fn push(&mut self, row: usize, columns: Range<usize>) {
        match self.0.last_mut() {
            _ if columns.is_empty() => {}
            Some(last) if last.row == row && last.end >= columns.start => {
                last.end = last.end.max(columns.end);
            }
            _ => self.0.push(Run { row, start: columns.start, end: columns.end }),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Run> {
        self.0.iter().copied()
    }

    /// Those in a part of the plane.
    pub(crate) fn clipped(&self, rows: &Range<usize>, columns: &Range<usize>) -> Self {
        let from = self.0.partition_point(|run| run.row < rows.start);
        let mut clipped = Self::default();
        for run in self.0[from..].iter().take_while(|run| run.row < rows.end) {
            clipped.push(run.row, run.start.max(columns.start)..run.end.min(columns.end));
        }
        clipped
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        self.combined(other, |a, b| a || b)
    }

    pub(crate) fn difference(&self, other: &Self) -> Self {
        self.combined(other, |a, b| a && !b)
    }

    pub(crate) fn symmetric_difference(&self, other: &Self) -> Self {
        self.combined(other, |a, b| a != b)
    }

    /// What a rule keeps of being in one and in the other. It keeps nothing that is in neither.
    fn combined(&self, other: &Self, keep: impl Fn(bool, bool) -> bool) -> Self {
        let (mut a, mut b) = (self.ends().peekable(), other.ends().peekable());
        let (mut in_a, mut in_b, mut start) = (false, false, None);
        let mut combined = Self::default();
        while let Some(at) = a.peek().into_iter().chain(b.peek()).min().copied() {
            while a.next_if_eq(&at).is_some() {
                in_a = !in_a;
            }
            while b.next_if_eq(&at).is_some() {
                in_b = !in_b;
            }
            match (start, keep(in_a, in_b)) {
                (None, true) => start = Some(at),
                (Some((row, column)), false) => {
                    combined.push(row, column..at.1);
                    start = None;
                }
                _ => {}
            }
        }
        combined
    }

    /// Where runs begin and end, as (row, column).
    fn ends(&self) -> impl Iterator<Item = (usize, usize)> {
        self.0.iter().flat_map(|run| [(run.row, run.start), (run.row, run.end)])
    }
}
