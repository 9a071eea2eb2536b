//! What is odd about a region that can be filled all the same.

use std::fmt;

use geo::{Validation, algorithm::validation::InvalidPolygon};

use super::{Region, Shape};

/// What makes a polygon invalid by the rules of the Open Geospatial Consortium, such as a boundary
/// that crosses itself.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionFault {
    /// Which outline of the region, counted from 0 in the order in which they were added.
    pub outline: usize,
    /// What is wrong.
    pub reason: InvalidPolygon,
}

impl fmt::Display for RegionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "outline {}: {}", self.outline, self.reason)
    }
}

impl Region {
    /// What is wrong with the polygons of this region, by [`geo::Validation`]. Such a region is filled
    /// all the same, by the even-odd rule; it may not be what was meant.
    ///
    /// ```
    /// use segmenter_core::Region;
    ///
    /// let bow_tie = Region::polygon([(0.0, 0.0), (4.0, 4.0), (4.0, 0.0), (0.0, 4.0)])?;
    /// let faults = bow_tie.faults();
    /// assert_eq!(faults[0].to_string(), "outline 0: exterior ring has a self-intersection");
    /// # Ok::<(), segmenter_core::InvalidRegion>(())
    /// ```
    #[must_use]
    pub fn faults(&self) -> Vec<RegionFault> {
        let (mut faults, mut outlines) = (Vec::new(), 0);
        self.collect_faults(&mut faults, &mut outlines);
        faults
    }

    fn collect_faults(&self, faults: &mut Vec<RegionFault>, outlines: &mut usize) {
        if let Shape::Parts(parts) = &self.shape {
            for part in parts {
                part.region().collect_faults(faults, outlines);
            }
            return;
        }
        if let Shape::Polygon(polygon) = &self.shape {
            let fault = |reason| RegionFault { outline: *outlines, reason };
            faults.extend(polygon.validation_errors().into_iter().map(fault));
        }
        *outlines += 1;
    }
}
