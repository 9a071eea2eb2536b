//! From OME-XML to the page of each plane.

use std::path::Path;

use super::{
    super::{fault::Fault, format::choose_scene},
    ome::{Block, Image, Ome},
    page::Page,
    series::{PageAxis, Series, count},
};

/// The planes of a scene, or of the only one.
pub(super) fn series(
    ome: &Ome,
    scene: Option<usize>,
    path: &Path,
    pages: &[Option<Page>],
) -> Result<Series, Fault> {
    if let Some(companion) = &ome.companion {
        return Err(Fault::OtherFile(companion.clone()));
    }
    let chosen = choose(ome, scene)?;
    let image = &ome.images[chosen];
    let files = Files { path, uuid: ome.uuid.as_deref() };
    image.blocks.iter().try_for_each(|block| files.check(block))?;
    let start =
        ome.images[..chosen].iter().map(|image| planes(image, pages)).sum::<Result<_, _>>()?;
    let mut series = in_order(image, pages)?;
    series.pages = assign(image, &series, start)?;
    series.spacing = image.spacing;
    series.channel_names = channel_names(image);
    check_size(image, &series, pages)?;
    if let [Some(_)] = pages
        && series.pages.len() > 1
    {
        series.continued = Some(0);
    }
    Ok(series)
}

fn choose(ome: &Ome, scene: Option<usize>) -> Result<usize, Fault> {
    if ome.images.is_empty() {
        return Err(Fault::malformed("the OME-XML describes no image"));
    }
    choose_scene(scene, ome.images.len())
}

/// The file that is being read, to tell whether pages are in another one.
struct Files<'a> {
    path: &'a Path,
    uuid: Option<&'a str>,
}

impl Files<'_> {
    /// A file that was renamed is told by its identity, one of a set by both.
    fn check(&self, block: &Block) -> Result<(), Fault> {
        let Some(file) = &block.file else { return Ok(()) };
        let same = block.uuid.is_some() && block.uuid.as_deref() == self.uuid;
        let name = self.path.file_name().map(|name| name.to_string_lossy());
        if same || name.is_some_and(|name| name == file.as_str()) {
            return Ok(());
        }
        Err(Fault::OtherFile(file.clone()))
    }
}

/// Number of planes of an image that has no blocks.
fn planes(image: &Image, pages: &[Option<Page>]) -> Result<usize, Fault> {
    Ok(in_order(image, pages)?.pages.len())
}

/// The planes in the order that the image names, from page 0 on.
fn in_order(image: &Image, pages: &[Option<Page>]) -> Result<Series, Fault> {
    let [time_points, _, slices, ..] = image.sizes;
    let channels = page_channels(image, pages)?;
    count([time_points, channels, slices])?;
    let unknown = || Fault::malformed(format!("the DimensionOrder is \"{}\"", image.order));
    let letters = image.order.strip_prefix("XY").ok_or_else(unknown)?;
    let axis = |letter| match letter {
        'Z' => Ok((PageAxis::Slice, slices)),
        'C' => Ok((PageAxis::Channel, channels)),
        'T' => Ok((PageAxis::Time, time_points)),
        _ => Err(unknown()),
    };
    let axes = letters.chars().map(axis).collect::<Result<Vec<_>, _>>()?;
    let complete = axes.len() == 3 && "ZCT".chars().all(|letter| letters.contains(letter));
    if complete { Series::in_order(&axes) } else { Err(unknown()) }
}

/// Channels that are pages of their own: samples of one page are channels too.
fn page_channels(image: &Image, pages: &[Option<Page>]) -> Result<usize, Fault> {
    let first = image.blocks.first().and_then(|block| block.page).unwrap_or(0);
    let page = pages.get(first).and_then(Option::as_ref);
    let samples = page.map_or(1, |page| page.samples).max(1);
    if image.sizes[1].is_multiple_of(samples) {
        return Ok(image.sizes[1] / samples);
    }
    Err(Fault::malformed(format!(
        "the OME-XML says {} channels, but a page holds {samples}",
        image.sizes[1]
    )))
}

/// The page of each plane. Without blocks pages follow each other, those of earlier images first.
fn assign(image: &Image, series: &Series, start: usize) -> Result<Vec<usize>, Fault> {
    if image.blocks.is_empty() {
        return Ok(series.pages.iter().map(|page| page + start).collect());
    }
    // `series.pages` tells where a plane comes in the image's order; its inverse, which plane comes
    // at a place.
    let mut plane_at = vec![0; series.pages.len()];
    for (plane, &place) in series.pages.iter().enumerate() {
        plane_at[place] = plane;
    }
    let mut pages = vec![None; series.pages.len()];
    for block in &image.blocks {
        let first = series.pages[index(block, series)?];
        let rest = series.pages.len() - first;
        let planes = block.planes.unwrap_or(if block.page.is_some() { 1 } else { rest });
        for (step, &plane) in plane_at[first..].iter().take(planes).enumerate() {
            pages[plane] = block.page.unwrap_or(0).checked_add(step);
        }
    }
    let missing = pages.iter().filter(|page| page.is_none()).count();
    pages.into_iter().collect::<Option<_>>().ok_or_else(|| {
        Fault::malformed(format!("the OME-XML does not say where {missing} planes are"))
    })
}

/// Where a block's first plane comes, time point by time point, channel by channel.
fn index(block: &Block, series: &Series) -> Result<usize, Fault> {
    let sizes = [series.time_points, series.channels, series.slices];
    let [time, channel, slice] = block.first;
    if block.first.iter().zip(sizes).all(|(&first, size)| first < size) {
        return Ok((time * series.channels + channel) * series.slices + slice);
    }
    Err(Fault::malformed(format!(
        "the OME-XML places a plane at time {time}, channel {channel}, slice {slice}, beyond the \
         {sizes:?} that it has",
    )))
}

/// One name for each channel, samples of a channel sharing the channel's.
fn channel_names(image: &Image) -> Vec<Option<String>> {
    let channels = image.channels.iter();
    let names = channels.flat_map(|channel| {
        std::iter::repeat_n(channel.name.clone(), channel.samples.min(image.sizes[1]))
    });
    names.take(image.sizes[1]).collect()
}

fn check_size(image: &Image, series: &Series, pages: &[Option<Page>]) -> Result<(), Fault> {
    let [.., rows, columns] = image.sizes;
    let page = series.pages.first().and_then(|&first| pages.get(first)?.as_ref());
    match page {
        Some(page) if [page.rows, page.columns] != [rows, columns] => {
            Err(Fault::malformed(format!(
                "the OME-XML says {rows} rows and {columns} columns, but a page has {} and {}",
                page.rows, page.columns
            )))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::fault::Fault, ome},
        *,
    };

    /// The pages of an image of two channels and three slices, channel by channel.
    fn pages(order: &str, blocks: &str) -> Result<Vec<usize>, Fault> {
        let image = format!(
            r#"<Image><Pixels DimensionOrder="{order}" SizeX="4" SizeY="3" SizeZ="3" SizeC="2"
            SizeT="1">{blocks}</Pixels></Image>"#
        );
        read(&format!("<OME>{image}</OME>"), None)
    }

    fn read(xml: &str, scene: Option<usize>) -> Result<Vec<usize>, Fault> {
        let ome = ome::parse(xml)?;
        Ok(series(&ome, scene, Path::new("folder/this.ome.tif"), &[])?.pages)
    }

    #[test]
    fn pages_follow_the_order_that_is_named_fastest_axis_first() {
        for order in ["XYZCT", "XYZTC", "XYTZC"] {
            assert_eq!(pages(order, "").unwrap(), [0, 1, 2, 3, 4, 5], "{order}");
        }
        for order in ["XYCZT", "XYCTZ", "XYTCZ"] {
            assert_eq!(pages(order, "").unwrap(), [0, 2, 4, 1, 3, 5], "{order}");
        }
        assert!(matches!(pages("XYZZT", ""), Err(Fault::Malformed(_))));
    }

    #[test]
    fn a_block_counts_on_from_its_first_page_and_plane() {
        let blocks = r#"<TiffData IFD="3" FirstC="0" PlaneCount="3"/>
            <TiffData IFD="0" FirstC="1" PlaneCount="3"/>"#;
        assert_eq!(pages("XYZCT", blocks).unwrap(), [3, 4, 5, 0, 1, 2]);
        assert_eq!(pages("XYZCT", "<TiffData/>").unwrap(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn planes_without_a_page_are_counted() {
        let Err(Fault::Malformed(reason)) = pages("XYZCT", r#"<TiffData IFD="0" PlaneCount="4"/>"#)
        else {
            panic!("two planes have no page");
        };
        assert_eq!(reason, "the OME-XML does not say where 2 planes are");
        let beyond = pages("XYZCT", r#"<TiffData IFD="0" FirstZ="3"/>"#);
        assert!(matches!(beyond, Err(Fault::Malformed(_))));
    }

    #[test]
    fn a_later_scene_begins_where_the_earlier_ones_end() {
        let image = r#"<Image><Pixels DimensionOrder="XYZCT" SizeX="4" SizeY="3" SizeZ="2" SizeC="1"
            SizeT="1"/></Image>"#;
        let xml = format!("<OME>{image}{image}</OME>");
        assert_eq!(read(&xml, Some(1)).unwrap(), [2, 3]);
        assert!(matches!(read(&xml, None), Err(Fault::ManyScenes(2))));
    }

    #[test]
    fn pages_in_another_file_are_told_and_not_followed() {
        let elsewhere =
            |name| format!(r#"<TiffData><UUID FileName="{name}">urn:uuid:2</UUID></TiffData>"#);
        assert!(pages("XYZCT", &elsewhere("this.ome.tif")).is_ok());
        let Err(Fault::OtherFile(other)) = pages("XYZCT", &elsewhere("next.ome.tif")) else {
            panic!("another file was taken for this one");
        };
        assert_eq!(other, "next.ome.tif");
        let companion = r#"<OME><BinaryOnly MetadataFile="set.companion.ome" UUID="a"/></OME>"#;
        let Err(Fault::OtherFile(other)) = read(companion, None) else {
            panic!("the metadata are in another file");
        };
        assert_eq!(other, "set.companion.ome");
    }
}
