//! The order of names that people expect: `im_2` before `im_10`.

use std::cmp::Ordering;

/// Compares names with runs of digits as numbers. Names that differ only in leading zeros compare as
/// text, so that no two different names are equal.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while !left.is_empty() && !right.is_empty() {
        let ((part, rest), (other, other_rest)) = (next(left), next(right));
        let order = match (number(part), number(other)) {
            (Some(number), Some(other)) => {
                number.len().cmp(&other.len()).then_with(|| number.cmp(other))
            }
            _ => part.cmp(other),
        };
        if order.is_ne() {
            return order;
        }
        (left, right) = (rest, other_rest);
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The first run of digits or the first other character, and what follows.
fn next(name: &str) -> (&str, &str) {
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    let first = name.chars().next().map_or(0, char::len_utf8);
    name.split_at(digits.max(first))
}

/// Digits without leading zeros.
fn number(part: &str) -> Option<&str> {
    part.starts_with(|c: char| c.is_ascii_digit()).then(|| part.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_compared_as_numbers() {
        let sorted =
            ["", "a", "a0", "a00", "a1", "a01", "a2b", "a2b3", "a10", "a10b", "b", "ä1", "ä02"];
        for (at, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                let expected = at.cmp(&other);
                let zeros = [("a0", "a00"), ("a1", "a01")];
                if !zeros.contains(&(a, b)) && !zeros.contains(&(b, a)) {
                    assert_eq!(compare(a, b), expected, "{a} and {b}");
                } else {
                    assert_eq!(compare(a, b), compare(b, a).reverse(), "{a} and {b}");
                    assert!(compare(a, b).is_ne());
                }
            }
        }
    }
}
