//! Which page is which plane: the part of a dialect that differs between writers.

use super::super::{fault::Fault, layout::Layout};

/// Time points, channels and slices of an image, and the page of each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) time_points: usize,
    /// Channels that are pages of their own; a page may hold several samples beyond that.
    pub(super) channels: usize,
    pub(super) slices: usize,
    /// The page of each plane, time point by time point, channel by channel, slice by slice.
    pub(super) pages: Vec<usize>,
    pub(super) spacing: [Option<f64>; 3],
    pub(super) channel_names: Vec<Option<String>>,
    /// The only page of the file, where the pixels of all others lie behind its own.
    pub(super) continued: Option<usize>,
}

/// An axis along which pages follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageAxis {
    Time,
    Channel,
    Slice,
}

impl Series {
    /// Pages in this order, fastest axis first. An axis that is missing has size 1.
    pub(super) fn in_order(axes: &[(PageAxis, usize)]) -> Result<Self, Fault> {
        let size = |wanted| axes.iter().find(|(axis, _)| *axis == wanted).map_or(1, |axis| axis.1);
        let [time_points, channels, slices] =
            [PageAxis::Time, PageAxis::Channel, PageAxis::Slice].map(size);
        let total = count([time_points, channels, slices])?;
        let mut pages = Vec::with_capacity(total);
        for time in 0..time_points {
            for channel in 0..channels {
                for slice in 0..slices {
                    pages.push(page_of(axes, [time, channel, slice]));
                }
            }
        }
        let spacing = [None; 3];
        let channel_names = Vec::new();
        let continued = None;
        Ok(Self { time_points, channels, slices, pages, spacing, channel_names, continued })
    }

    /// The layout of an image of such pages.
    pub(super) fn layout(&self, page: &super::page::Page) -> Result<Layout, Fault> {
        let channels = count([self.channels, page.samples, 1])?;
        let mut channel_names = self.channel_names.clone();
        channel_names.resize(channels, None);
        Ok(Layout {
            time_points: self.time_points,
            channels,
            extent: [self.slices, page.rows, page.columns],
            scenes: 1,
            levels: vec![[self.slices, page.rows, page.columns]],
            pixel: page.pixel,
            spacing: self.spacing,
            channel_names,
        })
    }
}

/// More planes than this are a damaged file: 16 million pages have a gigabyte of tags alone.
const MOST_PLANES: usize = 1 << 24;

pub(super) fn count(sizes: [usize; 3]) -> Result<usize, Fault> {
    let planes = sizes.into_iter().try_fold(1_usize, usize::checked_mul);
    match planes {
        Some(planes @ 1..=MOST_PLANES) => Ok(planes),
        _ => Err(Fault::malformed(format!(
            "claims {} time points, {} channels and {} slices",
            sizes[0], sizes[1], sizes[2]
        ))),
    }
}

fn page_of(axes: &[(PageAxis, usize)], [time, channel, slice]: [usize; 3]) -> usize {
    let position = |axis| match axis {
        PageAxis::Time => time,
        PageAxis::Channel => channel,
        PageAxis::Slice => slice,
    };
    axes.iter().rev().fold(0, |page, &(axis, size)| page * size + position(axis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_imagej_has_channels_fastest_and_time_slowest() {
        use PageAxis::{Channel, Slice, Time};
        let series = Series::in_order(&[(Channel, 2), (Slice, 3), (Time, 1)]).unwrap();
        assert_eq!(series.pages, [0, 2, 4, 1, 3, 5], "channel 0, then channel 1");
    }

    #[test]
    fn absurd_sizes_are_refused_before_memory_is_taken() {
        let axes = [(PageAxis::Slice, usize::MAX), (PageAxis::Channel, 2)];
        assert!(matches!(Series::in_order(&axes), Err(Fault::Malformed(_))));
        assert!(Series::in_order(&[(PageAxis::Slice, 0)]).is_err());
    }
}
