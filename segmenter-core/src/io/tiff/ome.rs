//! OME-XML: the description of the first page of an OME-TIFF.
//!
//! Source: the OME schema 2016-06 and the OME-TIFF specification. Names are compared without their
//! namespace, so older schemas and prefixes read the same. No entity but XML's own five is expanded.

use std::{borrow::Cow, str::FromStr};

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use super::{
    super::{fault::Fault, layout::length},
    units,
};

/// The parts of OME-XML that say where pixels are and how large they are.
#[derive(Debug, Default)]
pub(super) struct Ome {
    /// The identity of this file among the files of a set.
    pub(super) uuid: Option<String>,
    /// The file that has the metadata, where this one has not.
    pub(super) companion: Option<String>,
    pub(super) images: Vec<Image>,
}

/// One image, also called a scene or a series.
#[derive(Debug, Default)]
pub(super) struct Image {
    /// Such as "XYZCT", fastest axis first.
    pub(super) order: String,
    /// Sizes along time, channels (samples included), slices, rows, columns.
    pub(super) sizes: [usize; 5],
    /// `[z, y, x]` in µm.
    pub(super) spacing: [Option<f64>; 3],
    pub(super) channels: Vec<Channel>,
    pub(super) blocks: Vec<Block>,
}

/// A channel, which is one page or one sample of a page, or several samples.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: Option<String>,
    pub(super) samples: usize,
}

/// Says which pages hold which planes.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) page: Option<usize>,
    /// The first plane: time, channel, slice.
    pub(super) first: [usize; 3],
    pub(super) planes: Option<usize>,
    /// The identity and the name of the file that has the pages, where they are told.
    pub(super) uuid: Option<String>,
    pub(super) file: Option<String>,
}

/// Whether a description is OME-XML.
pub(super) fn is(description: &str) -> bool {
    let start = description.trim_start_matches('\u{feff}').trim_start();
    let end = description.trim_end().trim_end_matches('\0').trim_end();
    start.starts_with('<') && end.ends_with("OME>")
        || start.starts_with("<OME") && end.ends_with("/>")
}

/// Reads OME-XML.
pub(super) fn parse(description: &str) -> Result<Ome, Fault> {
    let mut reader = Reader::from_str(description.trim_end_matches('\0'));
    let mut ome = Ome::default();
    let mut path: Vec<String> = Vec::new();
    // Nothing that is read lies deeper than a path may be, so that the rest is only counted.
    let mut deeper = 0_usize;
    loop {
        match reader.read_event().map_err(broken)? {
            Event::Start(_) if path.len() == UUID.len() => deeper += 1,
            Event::Start(element) => {
                path.push(element.local_name().as_ref().to_owned());
                ome.add(&path, &element)?;
            }
            Event::Empty(element) if path.len() < UUID.len() => {
                path.push(element.local_name().as_ref().to_owned());
                ome.add(&path, &element)?;
                path.pop();
            }
            Event::Text(text) if deeper == 0 && is_at(&path, UUID) => {
                if let Some(block) = ome.block() {
                    block.uuid = Some(text.xml10_content().trim().to_owned());
                }
            }
            Event::End(_) if deeper > 0 => deeper -= 1,
            Event::End(_) => {
                path.pop();
            }
            Event::Eof => return Ok(ome),
            _ => {}
        }
    }
}

/// Where the identity of a block's file is told.
const UUID: &[&str] = &["OME", "Image", "Pixels", "TiffData", "UUID"];

/// Whether an element is at this place. One of the same name elsewhere means something else: an
/// annotation may hold any XML, such as that of a microscope's maker.
fn is_at(path: &[String], place: &[&str]) -> bool {
    path.iter().map(String::as_str).eq(place.iter().copied())
}

impl Ome {
    fn add(&mut self, path: &[String], element: &BytesStart<'_>) -> Result<(), Fault> {
        match path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["OME"] => self.uuid = text(element, "UUID")?,
            ["OME", "BinaryOnly"] => {
                let companion = text(element, "MetadataFile")?;
                self.companion = Some(companion.unwrap_or_else(|| "a companion file".to_owned()));
            }
            ["OME", "Image"] => self.images.push(Image::default()),
            ["OME", "Image", "Pixels"] => {
                if let Some(image) = self.images.last_mut() {
                    image.read_pixels(element)?;
                }
            }
            ["OME", "Image", "Pixels", "Channel"] => {
                let (name, samples) = (text(element, "Name")?, number(element, "SamplesPerPixel")?);
                if let Some(image) = self.images.last_mut() {
                    image.channels.push(Channel { name, samples: samples.unwrap_or(1) });
                }
            }
            ["OME", "Image", "Pixels", "TiffData"] => {
                let block = Block::read(element)?;
                if let Some(image) = self.images.last_mut() {
                    image.blocks.push(block);
                }
            }
            _ if is_at(path, UUID) => {
                let file = text(element, "FileName")?;
                if let Some(block) = self.block() {
                    block.file = file;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The block that is being read.
    fn block(&mut self) -> Option<&mut Block> {
        self.images.last_mut()?.blocks.last_mut()
    }
}

impl Image {
    fn read_pixels(&mut self, element: &BytesStart<'_>) -> Result<(), Fault> {
        self.order = text(element, "DimensionOrder")?.unwrap_or_else(|| "XYZCT".to_owned());
        for (size, key) in self.sizes.iter_mut().zip(["SizeT", "SizeC", "SizeZ", "SizeY", "SizeX"])
        {
            let missing = || Fault::malformed(format!("the OME-XML has no {key}"));
            *size = number(element, key)?.ok_or_else(missing)?;
        }
        for (spacing, axis) in self.spacing.iter_mut().zip(['Z', 'Y', 'X']) {
            let size: Option<f64> = number(element, &format!("PhysicalSize{axis}"))?;
            let unit = text(element, &format!("PhysicalSize{axis}Unit"))?;
            let unit = unit.map_or(Some(1.0), |unit| units::micrometres(&unit));
            *spacing = size.zip(unit).and_then(|(size, unit)| length(size * unit));
        }
        Ok(())
    }
}

impl Block {
    fn read(element: &BytesStart<'_>) -> Result<Self, Fault> {
        let mut first = [0; 3];
        for (first, key) in first.iter_mut().zip(["FirstT", "FirstC", "FirstZ"]) {
            *first = number(element, key)?.unwrap_or(0);
        }
        let (page, planes) = (number(element, "IFD")?, number(element, "PlaneCount")?);
        Ok(Self { page, first, planes, uuid: None, file: None })
    }
}

fn text(element: &BytesStart<'_>, key: &str) -> Result<Option<String>, Fault> {
    for attribute in element.attributes() {
        let attribute = attribute.map_err(broken)?;
        if attribute.key.local_name().as_ref() == key {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(broken)?;
            return Ok(Some(Cow::into_owned(value)));
        }
    }
    Ok(None)
}

fn number<N: FromStr>(element: &BytesStart<'_>, key: &str) -> Result<Option<N>, Fault> {
    let Some(text) = text(element, key)?.filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let number = text.trim().parse().map_err(|_| {
        Fault::malformed(format!("the OME-XML says {key}=\"{text}\", which is out of range"))
    })?;
    Ok(Some(number))
}

fn broken(error: impl std::fmt::Display) -> Fault {
    Fault::malformed(format!("the OME-XML can't be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: &str = r#"<Image ID="Image:0"><Pixels DimensionOrder="XYCZT" SizeX="4" SizeY="3"
        SizeZ="2" SizeC="1" SizeT="1" PhysicalSizeX="108" PhysicalSizeXUnit="nm"
        PhysicalSizeY="1.08e-4" PhysicalSizeYUnit="mm" PhysicalSizeZ="0.29">
        <Channel Name="a &amp; &#181;"/></Pixels></Image>"#;

    fn wrapped(content: &str) -> String {
        format!(r#"<?xml version="1.0"?><OME:OME xmlns:OME="x" UUID="urn:a">{content}</OME:OME>"#)
    }

    #[test]
    fn lengths_are_in_micrometres_whatever_their_unit() {
        let ome = parse(&wrapped(PIXELS)).unwrap();
        let [z, y, x] = ome.images[0].spacing.map(Option::unwrap);
        approx::assert_relative_eq!(x, 0.108, max_relative = 1e-15);
        approx::assert_relative_eq!(y, 0.108, max_relative = 1e-15);
        assert_eq!(z, 0.29, "micrometres are the default");
        assert_eq!(ome.images[0].channels[0].name.as_deref(), Some("a & µ"));
    }

    #[test]
    fn entities_of_a_document_are_not_expanded() {
        let bomb = PIXELS.replace("a &amp; &#181;", "&lol;");
        let text = format!(r#"<!DOCTYPE x [<!ENTITY lol "lol">]>{}"#, wrapped(&bomb));
        let Err(Fault::Malformed(reason)) = parse(&text) else { panic!("an entity was expanded") };
        assert!(reason.contains("lol"), "{reason}");
    }

    #[test]
    fn a_size_that_is_no_number_is_told() {
        let text = wrapped(&PIXELS.replace(r#"SizeX="4""#, r#"SizeX="-4""#));
        let Err(Fault::Malformed(reason)) = parse(&text) else { panic!("-4 columns") };
        assert_eq!(reason, r#"the OME-XML says SizeX="-4", which is out of range"#);
    }
}
