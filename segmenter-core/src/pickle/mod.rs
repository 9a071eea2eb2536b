//! Reading the data in Python's pickle files, and running nothing.
//!
//! A pickle is a program for a small stack machine, and two of its instructions call any Python
//! function that the file names. That is how loading a downloaded model can run its author's code.
//! This reader executes the instructions that build data and turns a call into an [`Object`]: the
//! name of what would have been called, and with which arguments. What that means is up to whoever
//! asked for the file, and names that they did not ask for are refused, all in one error.
//!
//! A file cannot exhaust memory or the call stack either: its size, the memory of what it builds,
//! also when shared parts are counted once for each use, and the nesting are limited ([`Limits`]).
//! So code that walks a [`Value`] may recurse.
//!
//! Read are the instructions that Python 3 writes for data in protocols 2 to 5, as defined in
//! Python's `Lib/pickletools.py`. Recursive structures and out-of-band buffers are refused.
//!
//! ```
//! use segmenter_core::pickle::{PickleError, Reader};
//!
//! // pickle.dumps({"epoch": 3}, protocol=2)
//! let value = Reader::new(&[]).read(b"\x80\x02}q\x00X\x05\x00\x00\x00epochq\x01K\x03s.")?;
//! assert_eq!(value.get("epoch").and_then(|epoch| epoch.as_int()), Some(3));
//!
//! // A pickle that would run a command.
//! let error = Reader::new(&[]).read(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.").unwrap_err();
//! assert!(matches!(error, PickleError::Refused { .. }));
//! assert!(error.to_string().contains("os.system"));
//! # Ok::<(), PickleError>(())
//! ```

mod cursor;
mod error;
mod graph;
mod machine;
mod op;
#[cfg(test)]
mod tests;
mod value;

pub use error::PickleError;
pub use value::{Global, Object, Value};

use machine::Machine;

/// Reads pickles that may name some of Python's classes and functions.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    known: &'a [(&'a str, &'a str)],
    unknown: Unknown,
    limits: Limits,
}

/// What to do with a class or function that the reader does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// Fail with [`PickleError::Refused`].
    #[default]
    Refuse,
    /// Keep its name as data. Nothing is run in this case either; the caller meets [`Object`]s that
    /// it has no meaning for.
    Keep,
}

/// How much a pickle may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of the pickle in bytes; 256 MiB by default.
    pub input: usize,
    /// Memory of the values in bytes, roughly; 1 GiB by default. A value that is used
    /// in several places counts once for each, so this also limits what a copy of it would take.
    pub memory: usize,
    /// How deep values may be nested; 100 by default.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { input: 256 << 20, memory: 1 << 30, depth: 100 }
    }
}

impl<'a> Reader<'a> {
    /// A reader that knows these classes and functions, each as module and name, and refuses every
    /// other.
    #[must_use]
    pub fn new(known: &'a [(&'a str, &'a str)]) -> Self {
        Self { known, unknown: Unknown::Refuse, limits: Limits::default() }
    }

    /// The same reader with another rule for what it does not know.
    #[must_use]
    pub fn with_unknown(mut self, unknown: Unknown) -> Self {
        self.unknown = unknown;
        self
    }

    /// The same reader with these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads one pickle that fills the whole slice.
    ///
    /// # Errors
    /// If the bytes are no pickle of protocol 2 to 5, end too early or go on, name something that
    /// is refused, or ask for more than the limits.
    pub fn read(&self, bytes: &[u8]) -> Result<Value, PickleError> {
        if bytes.len() > self.limits.input {
            let found = Some(bytes.len());
            return Err(PickleError::Limit { of: "input", found, limit: self.limits.input });
        }
        Machine::new(self, bytes).run()
    }

    fn knows(&self, global: &Global) -> bool {
        self.unknown == Unknown::Keep
            || self.known.iter().any(|&(module, name)| global.is(module, name))
    }
}
