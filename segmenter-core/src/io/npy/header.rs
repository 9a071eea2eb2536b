//! The first lines of a `.npy` file: what the bytes after them mean.

use std::path::Path;

use super::NpyError;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// NumPy's name of the number type, byte order first: `<f4`, `|O`.
    pub(super) descr: String,
    /// Whether the first axis is the fastest.
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
}

impl Header {
    /// The header of a file, and the bytes after it.
    pub(super) fn split<'a>(bytes: &'a [u8], path: &Path) -> Result<(Self, &'a [u8]), NpyError> {
        let fail =
            |reason: &str| NpyError::Header { path: path.to_owned(), reason: reason.to_owned() };
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(|| fail("its magic is missing"))?;
        let (length, rest) = split_length(rest)
            .ok_or_else(|| fail("its version is not 1, 2 or 3, or it is cut off"))?;
        let (text, rest) =
            rest.split_at_checked(length).ok_or_else(|| fail("its header is cut off"))?;
        let text = str::from_utf8(text).map_err(|_| fail("its header is not text"))?;
        let header = Literal(text).header().ok_or_else(|| {
            fail("its header is not {'descr': '…', 'fortran_order': …, 'shape': (…)}")
        })?;
        Ok((header, rest))
    }

    /// Number of values, if it fits.
    pub(super) fn count(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))
    }
}

/// The length of the header, in two bytes for version 1 and in four since, and what follows it.
fn split_length(versioned: &[u8]) -> Option<(usize, &[u8])> {
    match versioned {
        [1, _, a, b, rest @ ..] => Some((u16::from_le_bytes([*a, *b]).into(), rest)),
        [2 | 3, _, a, b, c, d, rest @ ..] => {
            Some((usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).ok()?, rest))
        }
        _ => None,
    }
}

/// What is left of a Python literal, of which only as much is understood as headers need.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn header(mut self) -> Option<Header> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.token("{")?;
        while self.token("}").is_none() {
            let key = self.string()?;
            self.token(":")?;
            let first = match key {
                "descr" => descr.replace(self.string()?.to_owned()).is_none(),
                "fortran_order" => fortran_order.replace(self.bool()?).is_none(),
                "shape" => shape.replace(self.sizes()?).is_none(),
                _ => return None,
            };
            if !first || (self.token(",").is_none() && !self.0.trim_start().starts_with('}')) {
                return None;
            }
        }
        let header = Header { descr: descr?, fortran_order: fortran_order?, shape: shape? };
        self.0.trim().is_empty().then_some(header)
    }

    fn token(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
        let (string, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        Some(string)
    }

    fn bool(&mut self) -> Option<bool> {
        match self.token("True") {
            Some(()) => Some(true),
            None => self.token("False").map(|()| false),
        }
    }

    fn sizes(&mut self) -> Option<Vec<usize>> {
        self.token("(")?;
        let (inside, rest) = self.0.split_once(')')?;
        self.0 = rest;
        let inside = inside.trim();
        let inside = inside.strip_suffix(',').unwrap_or(inside);
        if inside.is_empty() {
            return Some(Vec::new());
        }
        inside.split(',').map(|size| size.trim().parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Header> {
        Literal(text).header()
    }

    fn header(descr: &str, fortran_order: bool, shape: &[usize]) -> Header {
        Header { descr: descr.to_owned(), fortran_order, shape: shape.to_vec() }
    }

    #[test]
    fn headers_as_numpy_writes_them_are_read() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }      \n";
        assert_eq!(parse(text), Some(header("<f4", false, &[2, 3])));
        let text = "{'descr': '|O', 'fortran_order': True, 'shape': (2,), }\n";
        assert_eq!(parse(text), Some(header("|O", true, &[2])));
        let text = "{'shape': (), 'fortran_order': False, 'descr': \"|b1\"}";
        assert_eq!(parse(text), Some(header("|b1", false, &[])));
    }

    #[test]
    fn what_is_missing_or_twice_or_unknown_is_refused() {
        for text in [
            "",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': ()}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': 1}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': ()} more",
            "{'descr': '<f4' 'fortran_order': False, 'shape': ()}",
            "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': ()}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,,2)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
