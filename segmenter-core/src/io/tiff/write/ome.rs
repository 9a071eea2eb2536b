//! The description of an image as OME-XML.

use std::fmt::Write as _;

use crate::{NewImage, PixelType, Space};

/// The description, in the order of the elements that the schema 2016-06 demands, or why the image
/// has none.
pub(super) fn xml<S: Space, T>(image: &NewImage<S, T>, pixel: PixelType) -> Result<String, String> {
    refuse_names(image.channel_names())?;
    let kind = pixel_type(pixel)?;
    let [slices, rows, columns] = S::to_zyx(image.extent());
    let channels = image.channels();
    let mut xml = String::from(concat!(
        r#"<?xml version="1.0" encoding="UTF-8"?>"#,
        r#"<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06""#,
        r#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance""#,
        r#" xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06"#,
        r#" http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd">"#,
        r#"<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT""#,
    ));
    push(&mut xml, format_args!(r#" Type="{kind}""#));
    push(&mut xml, format_args!(r#" SizeX="{columns}" SizeY="{rows}" SizeZ="{slices}""#));
    push(&mut xml, format_args!(r#" SizeC="{channels}" SizeT="1""#));
    if let Some(size) = image.voxel_size() {
        for (size, axis) in size.micrometres().as_ref().iter().zip(S::AXES.chars()) {
            push(&mut xml, format_args!(r#" PhysicalSize{axis}="{size}""#));
            push(&mut xml, format_args!(r#" PhysicalSize{axis}Unit="&#181;m""#));
        }
    }
    xml.push('>');
    for (channel, name) in image.channel_names().iter().enumerate() {
        push(&mut xml, format_args!(r#"<Channel ID="Channel:0:{channel}""#));
        if let Some(name) = name {
            push(&mut xml, format_args!(r#" Name="{}""#, escaped(name)));
        }
        xml.push_str(r#" SamplesPerPixel="1"/>"#);
    }
    let planes = channels * slices;
    push(&mut xml, format_args!(r#"<TiffData IFD="0" PlaneCount="{planes}"/>"#));
    xml.push_str("</Pixels></Image></OME>");
    Ok(xml)
}

/// XML 1.0, section 2.2: what no document may hold, not even escaped.
fn refuse_names(names: &[Option<String>]) -> Result<(), String> {
    let forbidden = |character: char| {
        matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}')
            || matches!(character, '\u{fffe}' | '\u{ffff}')
    };
    match names.iter().flatten().find(|name| name.contains(forbidden)) {
        Some(name) => Err(format!(
            "the channel name {name:?} has a character that OME-XML can't hold; rename it"
        )),
        None => Ok(()),
    }
}

fn push(xml: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string never fails.
    let _ = xml.write_fmt(text);
}

/// `PixelType` of the schema.
fn pixel_type(pixel: PixelType) -> Result<&'static str, String> {
    Ok(match pixel {
        // Readers take the schema's "bit" for packed bits, and a byte each is what is stored.
        PixelType::Bool | PixelType::U8 => "uint8",
        PixelType::I8 => "int8",
        PixelType::U16 => "uint16",
        PixelType::I16 => "int16",
        PixelType::U32 => "uint32",
        PixelType::I32 => "int32",
        PixelType::F32 => "float",
        PixelType::F64 => "double",
        PixelType::F16 | PixelType::U64 | PixelType::I64 => {
            return Err(format!(
                "OME-TIFF has no pixels of type {pixel}; convert them to one that it has, such as \
                 u32 or f32, or save them as .npy"
            ));
        }
    })
}

/// An attribute's value in ASCII, as a TIFF description has to be.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' if !matches!(character, '<' | '>' | '&' | '"' | '\'') => {
                escaped.push(character);
            }
            other => push(&mut escaped, format_args!("&#{};", u32::from(other))),
        }
    }
    escaped
}
