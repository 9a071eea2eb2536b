//! The metadata of a new image.

use serde_json::{Value, json};

use super::{
    super::Compression,
    options::{ZarrOptions, ZarrVersion},
    plan::{Plan, PlannedLevel},
};
use crate::{ImageKind, PixelType};

/// The file in which Zarr describes an array, and what is in it.
pub(super) fn array(
    plan: &Plan,
    level: &PlannedLevel,
    options: &ZarrOptions,
) -> (&'static str, Value) {
    let shape = plan.by_axis(plan.channels, level.extent);
    let block = plan.by_axis(1, plan.block);
    match options.version {
        ZarrVersion::V04 => (".zarray", zarray(plan, &shape, &block, options)),
        ZarrVersion::V05 => {
            let json = json!({
                "zarr_format": 3,
                "node_type": "array",
                "shape": shape,
                "data_type": name(plan.pixel),
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": block}},
                "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
                "fill_value": fill(plan.pixel),
                "codecs": codecs(plan, options),
                "dimension_names": axis_names(plan),
                "attributes": {},
            });
            ("zarr.json", json)
        }
    }
}

fn zarray(plan: &Plan, shape: &[usize], chunks: &[usize], options: &ZarrOptions) -> Value {
    let compressor = match options.compression {
        Compression::None => Value::Null,
        Compression::Deflate => json!({"id": "gzip", "level": 6}),
        Compression::Zstd => json!({"id": "zstd", "level": 3}),
    };
    json!({
        "zarr_format": 2,
        "shape": shape,
        "chunks": chunks,
        "dtype": dtype(plan.pixel),
        "compressor": compressor,
        "fill_value": fill(plan.pixel),
        "order": "C",
        "filters": null,
        "dimension_separator": "/",
    })
}

fn codecs(plan: &Plan, options: &ZarrOptions) -> Value {
    let little_endian = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let mut codecs = vec![match plan.pixel.bytes() {
        1 => json!({"name": "bytes"}),
        _ => little_endian.clone(),
    }];
    match options.compression {
        Compression::None => {}
        Compression::Deflate => codecs.push(json!({"name": "gzip", "configuration": {"level": 6}})),
        Compression::Zstd => {
            codecs.push(json!({"name": "zstd", "configuration": {"level": 3, "checksum": false}}));
        }
    }
    let checksum = json!({"name": "crc32c"});
    if options.checksums {
        codecs.push(checksum.clone());
    }
    if !options.shards {
        return codecs.into();
    }
    json!([{"name": "sharding_indexed", "configuration": {
        "chunk_shape": plan.by_axis(1, plan.chunk),
        "codecs": codecs,
        "index_codecs": [little_endian, checksum],
        "index_location": "end",
    }}])
}

/// The files in which Zarr describes a group with these attributes of OME's, and what is in them.
pub(super) fn group(version: ZarrVersion, ome: Value) -> Vec<(&'static str, Value)> {
    match version {
        ZarrVersion::V04 => vec![(".zgroup", json!({"zarr_format": 2})), (".zattrs", ome)],
        ZarrVersion::V05 => {
            let mut ome = ome;
            ome["version"] = "0.5".into();
            let json = json!({"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}});
            vec![("zarr.json", json)]
        }
    }
}

/// OME's description of an image. `ranges` are the least and the largest value of each channel.
pub(super) fn image(plan: &Plan, options: &ZarrOptions, name: &str, ranges: &[[f64; 2]]) -> Value {
    let datasets: Vec<Value> = plan
        .levels
        .iter()
        .enumerate()
        .map(|(number, level)| dataset(plan, number, level))
        .collect();
    let mut multiscale = json!({"name": name, "axes": axes(plan), "datasets": datasets});
    if options.version == ZarrVersion::V04 {
        multiscale["version"] = "0.4".into();
    }
    if plan.levels.len() > 1 {
        let method = if plan.kind == ImageKind::Intensities { "mean" } else { "nearest" };
        multiscale["type"] = method.into();
    }
    let mut ome = json!({"multiscales": [multiscale]});
    if plan.axes.channel.is_some() && plan.kind == ImageKind::Intensities {
        ome["omero"] = json!({"channels": channels(plan, ranges)});
    }
    ome
}

/// What makes an image a label image of the one that it lies in.
pub(super) fn image_label(version: ZarrVersion) -> Value {
    let mut label = json!({"source": {"image": "../../"}});
    if version == ZarrVersion::V04 {
        label["version"] = "0.4".into();
    }
    label
}

fn dataset(plan: &Plan, number: usize, level: &PlannedLevel) -> Value {
    let mut steps = vec![json!({"type": "scale", "scale": plan.by_axis(1.0, level.scale)})];
    if level.translation != [0.0; 3] {
        let translation = plan.by_axis(0.0, level.translation);
        steps.push(json!({"type": "translation", "translation": translation}));
    }
    json!({"path": number.to_string(), "coordinateTransformations": steps})
}

fn axis_names(plan: &Plan) -> Vec<&'static str> {
    plan.by_axis("c", ["z", "y", "x"])
}

fn axes(plan: &Plan) -> Vec<Value> {
    let axis = |name: &str| match name {
        "c" => json!({"name": name, "type": "channel"}),
        _ if plan.physical => json!({"name": name, "type": "space", "unit": "micrometer"}),
        _ => json!({"name": name, "type": "space"}),
    };
    axis_names(plan).into_iter().map(axis).collect()
}

/// How channels are shown: each in a colour, between its least and its largest value.
fn channels(plan: &Plan, ranges: &[[f64; 2]]) -> Vec<Value> {
    const COLOURS: [&str; 6] = ["00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF"];
    let channel = |(number, [least, largest]): (usize, &[f64; 2])| {
        let colour = if plan.channels == 1 { "FFFFFF" } else { COLOURS[number % COLOURS.len()] };
        let mut json = json!({
            "color": colour,
            "active": true,
            "window": {"min": least, "start": least, "end": largest, "max": largest},
        });
        if let Some(name) = &plan.channel_names[number] {
            json["label"] = name.as_str().into();
        }
        json
    };
    ranges.iter().enumerate().map(channel).collect()
}

fn fill(pixel: PixelType) -> Value {
    match pixel {
        PixelType::Bool => false.into(),
        _ if pixel.is_float() => 0.0.into(),
        _ => 0.into(),
    }
}

fn name(pixel: PixelType) -> &'static str {
    match pixel {
        PixelType::Bool => "bool",
        PixelType::U8 => "uint8",
        PixelType::I8 => "int8",
        PixelType::U16 => "uint16",
        PixelType::I16 => "int16",
        PixelType::U32 => "uint32",
        PixelType::I32 => "int32",
        PixelType::U64 => "uint64",
        PixelType::I64 => "int64",
        PixelType::F16 => "float16",
        PixelType::F32 => "float32",
        PixelType::F64 => "float64",
    }
}

fn dtype(pixel: PixelType) -> &'static str {
    match pixel {
        PixelType::Bool => "|b1",
        PixelType::U8 => "|u1",
        PixelType::I8 => "|i1",
        PixelType::U16 => "<u2",
        PixelType::I16 => "<i2",
        PixelType::U32 => "<u4",
        PixelType::I32 => "<i4",
        PixelType::U64 => "<u8",
        PixelType::I64 => "<i8",
        PixelType::F16 => "<f2",
        PixelType::F32 => "<f4",
        PixelType::F64 => "<f8",
    }
}
