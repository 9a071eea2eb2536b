//! What a pickle holds.

use std::{fmt, sync::Arc};

/// A Python value. Cheap to clone: parts that the pickle shares stay shared.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// An integer of more than 64 bits: two's complement, little-endian.
    BigInt(Arc<[u8]>),
    /// A floating-point number.
    Float(f64),
    /// A string.
    Str(Arc<str>),
    /// Bytes, or a byte array.
    Bytes(Arc<[u8]>),
    /// A list.
    List(Arc<[Self]>),
    /// A tuple.
    Tuple(Arc<[Self]>),
    /// A set or frozen set.
    Set(Arc<[Self]>),
    /// A dictionary in its order. String keys are unique.
    Dict(Arc<[(Self, Self)]>),
    /// A class or function, by name.
    Global(Global),
    /// What calling a class or function would have made.
    Object(Arc<Object>),
    /// A reference to something kept outside the pickle.
    Persistent(Arc<Self>),
}

/// A class or function of Python, by name. It is never looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Global {
    /// The module, such as `collections`.
    pub module: Arc<str>,
    /// The name in the module, such as `OrderedDict`.
    pub name: Arc<str>,
}

/// A call that was not made, and what would have been done to its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What would have been called.
    pub global: Global,
    /// The arguments by position: usually a [`Value::Tuple`].
    pub arguments: Value,
    /// The arguments by name, if there are any: a [`Value::Dict`].
    pub keywords: Option<Value>,
    /// What `__setstate__` would have got, or the attributes.
    pub state: Option<Value>,
    /// What would have been appended or added.
    pub items: Vec<Value>,
    /// What would have been set by key. String keys are unique.
    pub entries: Vec<(Value, Value)>,
}

impl Value {
    /// The text, if this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// The number, if this is an integer of at most 64 bits.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// The number, if this is an integer that is not negative and fits.
    #[must_use]
    pub fn as_size(&self) -> Option<usize> {
        usize::try_from(self.as_int()?).ok()
    }

    /// The object, if this is one and calls `module.name`.
    #[must_use]
    pub fn as_call(&self, module: &str, name: &str) -> Option<&Object> {
        match self {
            Self::Object(object) if object.global.is(module, name) => Some(object),
            _ => None,
        }
    }

    /// The items of a list or tuple.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        if let Self::List(items) | Self::Tuple(items) = self { Some(items) } else { None }
    }

    /// The entries of a dictionary, or of an object that is filled like one, such as an
    /// `OrderedDict`.
    #[must_use]
    pub fn entries(&self) -> Option<&[(Self, Self)]> {
        match self {
            Self::Dict(entries) => Some(entries),
            Self::Object(object) => Some(&object.entries),
            _ => None,
        }
    }

    /// The value under a string key of a dictionary, or of an object that is filled like one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let (_, value) = self.entries()?.iter().find(|(found, _)| found.as_str() == Some(key))?;
        Some(value)
    }
}

/// A few words for an error message: the kind of value, and the value where it is short.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(number) => write!(f, "{number}"),
            Self::BigInt(bytes) => write!(f, "an integer of {} bytes", bytes.len()),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Str(text) if text.len() <= 60 => write!(f, "{text:?}"),
            Self::Str(text) => write!(f, "a string of {} bytes", text.len()),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Tuple(items) => write!(f, "a tuple of {}", items.len()),
            Self::Set(items) => write!(f, "a set of {}", items.len()),
            Self::Dict(entries) => write!(f, "a dictionary of {}", entries.len()),
            Self::Global(global) => write!(f, "{global}"),
            Self::Object(object) => write!(f, "{}(…)", object.global),
            Self::Persistent(_) => f.write_str("a reference to outside the pickle"),
        }
    }
}

impl Global {
    /// Whether this is `module.name`.
    #[must_use]
    pub fn is(&self, module: &str, name: &str) -> bool {
        *self.module == *module && *self.name == *name
    }
}

impl fmt::Display for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module.escape_debug(), self.name.escape_debug())
    }
}
