//! The hills of an image.

use std::collections::VecDeque;

use super::neighbours::Margin;

/// An image with a margin, whose voxels outside of a mask are minus infinity.
#[derive(Debug)]
pub(super) struct Hills<'a> {
    pub(super) heights: &'a [f64],
    pub(super) steps: &'a [usize],
    pub(super) margin: Margin,
}

impl Hills<'_> {
    /// The tops of all hills that rise by more than `h` above the pass to a higher one, each with all
    /// voxels that are reached from its highest without going down by more: the extended maxima of
    /// Soille, *Morphological Image Analysis* (2003), section 6.3.5, numbered from 1 on in the order of
    /// their first voxels. Every part of the mask has one at least.
    pub(super) fn extended_maxima(&self, h: f64) -> Vec<u32> {
        let lowered = self.heights.iter().map(|height| height - h).collect();
        let filled = self.reconstruct(lowered);
        Hills { heights: &filled, ..*self }.maxima().0
    }

    /// The plateaus that have no higher neighbour, numbered from 1 on in the order of their first voxels,
    /// and those voxels.
    pub(super) fn maxima(&self) -> (Vec<u32>, Vec<usize>) {
        let mut numbers = vec![0; self.heights.len()];
        let (mut seen, mut firsts) = (vec![false; self.heights.len()], Vec::new());
        let (mut plateau, mut count) = (Vec::new(), 0);
        for (first, &height) in self.heights.iter().enumerate() {
            if seen[first] || height == f64::NEG_INFINITY {
                continue;
            }
            if self.climb(first, &mut seen, &mut plateau) {
                count += 1;
                firsts.push(first);
                plateau.iter().for_each(|&voxel| numbers[voxel] = count);
            }
        }
        (numbers, firsts)
    }

    /// Collects the plateau that a voxel is on. Returns whether no neighbour of it is higher.
    fn climb(&self, first: usize, seen: &mut [bool], plateau: &mut Vec<usize>) -> bool {
        let (height, mut highest, mut at) = (self.heights[first], true, 0);
        plateau.clear();
        plateau.push(first);
        seen[first] = true;
        while let Some(&voxel) = plateau.get(at) {
            at += 1;
            for &step in self.steps {
                let next = voxel.wrapping_add(step);
                highest &= self.heights[next] <= height;
                if self.heights[next] == height && !seen[next] {
                    seen[next] = true;
                    plateau.push(next);
                }
            }
        }
        highest
    }

    /// Grayscale reconstruction by dilation: `lowered` grows from voxel to voxel as far as it stays below
    /// the image (Vincent 1993, <https://doi.org/10.1109/83.217222>, the hybrid algorithm).
    fn reconstruct(&self, mut lowered: Vec<f64>) -> Vec<f64> {
        let (before, after): (Vec<usize>, Vec<usize>) =
            self.steps.iter().partition(|&&step| step > usize::MAX / 2);
        let rows: Vec<_> = self.margin.rows().collect();
        let width = self.margin.width();
        for start in &rows {
            for voxel in *start..start + width {
                self.raise(&mut lowered, voxel, &before);
            }
        }
        let mut queue = VecDeque::new();
        for start in rows.iter().rev() {
            for voxel in (*start..start + width).rev() {
                self.raise(&mut lowered, voxel, &after);
                let mut next = after.iter().map(|&step| voxel.wrapping_add(step));
                let may_rise = |next: usize| {
                    lowered[next] < lowered[voxel] && lowered[next] < self.heights[next]
                };
                if next.any(may_rise) {
                    queue.push_back(voxel);
                }
            }
        }
        while let Some(voxel) = queue.pop_front() {
            for &step in self.steps {
                let next = voxel.wrapping_add(step);
                if lowered[next] < lowered[voxel] && lowered[next] < self.heights[next] {
                    lowered[next] = lowered[voxel].min(self.heights[next]);
                    queue.push_back(next);
                }
            }
        }
        lowered
    }

    fn raise(&self, lowered: &mut [f64], voxel: usize, steps: &[usize]) {
        let around = steps.iter().map(|&step| lowered[voxel.wrapping_add(step)]);
        lowered[voxel] = around.fold(lowered[voxel], f64::max).min(self.heights[voxel]);
    }
}
