//! What can be wrong with a pickle.

use super::Global;

/// Why a pickle was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleError {
    /// It names classes or functions that the reader does not know.
    #[error(
        "refused, because it names {}, which no data of this kind needs; \
         nothing in the file was run",
        list(.globals)
    )]
    Refused {
        /// Each of them once, in the order of their first use; 50 at most.
        globals: Vec<Global>,
    },
    /// It does not begin as a pickle of protocol 2 to 5.
    #[error("not a pickle of protocol 2 to 5: it begins with the bytes {found:02x?}")]
    NotAPickle {
        /// The first bytes, two at most.
        found: Vec<u8>,
    },
    /// It ends in the middle.
    #[error("the pickle is cut off: {needed} bytes are needed at byte {offset}, {left} are left")]
    Truncated {
        /// Where the missing bytes would begin.
        offset: usize,
        /// How many are needed there.
        needed: u64,
        /// How many there are.
        left: usize,
    },
    /// It goes on after its end.
    #[error("the pickle ends at byte {end}, but {extra} more bytes follow")]
    Trailing {
        /// Its end.
        end: usize,
        /// The number of bytes after it.
        extra: usize,
    },
    /// It uses an instruction that is not read.
    #[error(
        "the pickle instruction {opcode:#04x} at byte {offset} is not supported; \
         save the object again with a current Python 3 and protocol 2 to 5"
    )]
    Opcode {
        /// Where.
        offset: usize,
        /// Which.
        opcode: u8,
    },
    /// Its instructions do not fit together.
    #[error("the pickle is damaged at byte {offset}: {reason}")]
    Malformed {
        /// The instruction at fault.
        offset: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A key occurs twice in one dictionary.
    #[error("a dictionary in the pickle has the key {key:?} twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A value contains itself.
    #[error("a value in the pickle contains itself; only trees are read")]
    Recursive,
    /// It asks for more than the [`Limits`](super::Limits).
    #[error(
        "the pickle exceeds the limit for its {of}, {limit}{}; see `pickle::Limits`",
        .found.map_or_else(String::new, |found| format!(" (it is {found})"))
    )]
    Limit {
        /// Of what: the field of [`Limits`](super::Limits).
        of: &'static str,
        /// How much was found, where it is known.
        found: Option<usize>,
        /// The limit.
        limit: usize,
    },
}

fn list(globals: &[Global]) -> String {
    globals.iter().map(Global::to_string).collect::<Vec<_>>().join(", ")
}
