//! What MONAI calls the parameters of a DynUNet.
//!
//! MONAI keeps a second path to each block, through `skip_layers`, from which its forward pass
//! recurses: each `next_layer` goes one level down, then `downsample`, `upsample` or `super_head` is
//! that level's block; at the lowest level it is the bottleneck. A state dictionary has both.

/// Where the second paths begin.
const ALIAS: &str = "skip_layers.";

/// A parameter of every DynUNet, by which the network is found among other modules.
const FIRST: &str = "input_block.conv1.conv.weight";

/// The name of the network in a state dictionary, with the dot after it: `backbone.` in CytoDL's,
/// nothing in that of a network alone.
pub(super) fn prefix<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let prefixes = names.into_iter().filter_map(|name| name.strip_suffix(FIRST));
    prefixes.min_by_key(|prefix| prefix.len())
}

pub(super) fn is_alias(name: &str) -> bool {
    name.starts_with(ALIAS)
}

/// The parameter that a path through `skip_layers` leads to in a network of so many levels.
pub(super) fn aliased(alias: &str, levels: usize) -> Option<String> {
    let mut rest = alias.strip_prefix(ALIAS)?;
    let mut level = 0;
    while let Some(below) = rest.strip_prefix("next_layer.") {
        rest = below;
        level += 1;
    }
    let lowest = levels - 1;
    if level >= lowest {
        return (level == lowest).then(|| format!("bottleneck.{rest}"));
    }
    let (block, rest) = rest.split_once('.')?;
    let name = match (block, level) {
        ("downsample", 0) => "input_block".to_owned(),
        ("downsample", _) => format!("downsamples.{}", level - 1),
        ("upsample", _) => format!("upsamples.{}", lowest - 1 - level),
        ("super_head", 1..) => format!("deep_supervision_heads.{}", level - 1),
        _ => return None,
    };
    Some(format!("{name}.{rest}"))
}

/// The path through `skip_layers` to a parameter, if there is one: only the last block has none.
pub(super) fn alias_of(name: &str, levels: usize) -> Option<String> {
    let (block, mut rest) = name.split_once('.')?;
    let mut index = || -> Option<usize> {
        let (index, after) = rest.split_once('.')?;
        rest = after;
        index.parse().ok()
    };
    let (level, step) = match block {
        "input_block" => (0, "downsample."),
        "downsamples" => (index()? + 1, "downsample."),
        "bottleneck" => (levels - 1, ""),
        "upsamples" => ((levels - 2).checked_sub(index()?)?, "upsample."),
        "deep_supervision_heads" => (index()? + 1, "super_head."),
        _ => return None,
    };
    Some(format!("{ALIAS}{}{step}{rest}", "next_layer.".repeat(level)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The alias map of MONAI 1.4 for three levels.
    const MAP: [(&str, &str); 6] = [
        ("skip_layers.downsample.conv1", "input_block.conv1"),
        ("skip_layers.next_layer.downsample.conv1", "downsamples.0.conv1"),
        ("skip_layers.next_layer.next_layer.conv1", "bottleneck.conv1"),
        ("skip_layers.next_layer.upsample.conv1", "upsamples.0.conv1"),
        ("skip_layers.upsample.conv1", "upsamples.1.conv1"),
        ("skip_layers.next_layer.super_head.conv", "deep_supervision_heads.0.conv"),
    ];

    #[test]
    fn skip_layers_lead_where_monais_do_and_back() {
        for (alias, name) in MAP {
            assert_eq!(aliased(alias, 3).as_deref(), Some(name));
            assert_eq!(alias_of(name, 3).as_deref(), Some(alias));
        }
        for alias in ["skip_layers.sideways.conv1", "skip_layers.super_head.conv", "skip_layers."] {
            assert_eq!(aliased(alias, 3), None);
        }
        assert_eq!(alias_of("output_block.conv.conv.weight", 3), None);
        assert_eq!(alias_of("upsamples.7.conv1", 3), None);
    }

    #[test]
    fn the_network_is_found_among_other_modules() {
        let names = ["metrics.total", "backbone.input_block.conv1.conv.weight"];
        assert_eq!(prefix(names), Some("backbone."));
        assert_eq!(prefix([FIRST, "output_block.conv.conv.bias"]), Some(""));
        assert_eq!(prefix(["encoder.weight"]), None);
    }
}
