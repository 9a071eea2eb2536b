//! What is left of a damaged log.

use std::{fs, path::Path};

use super::{
    SessionError,
    log::{Contents, Damage},
    replay, write_log,
};

/// What was rescued of a log, and what was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Number of events rescued: all before the damage.
    pub events: usize,
    /// The line of the damage, from 1, where it begins in bytes, and what is wrong; `None` if nothing
    /// is.
    pub damage: Option<(usize, u64, String)>,
    /// The lines from the damage on, as far as they are text: for a person to look at.
    pub rest: Vec<String>,
}

/// Rescues the events before the damage into a log of their own, and tells what is lost. The damaged
/// log is left as it is.
///
/// # Errors
/// If a file can't be read or written, the other log is there already, or not even the beginning of
/// the session is left.
pub fn salvage(
    damaged: impl AsRef<Path>,
    root: impl AsRef<Path>,
    into: impl AsRef<Path>,
) -> Result<Salvaged, SessionError> {
    let (path, root) = (damaged.as_ref(), root.as_ref());
    let bytes = fs::read(path).map_err(SessionError::io(path))?;
    let (contents, damage) = match Contents::parse(&bytes) {
        Ok(contents) => (contents, None),
        Err((contents, damage)) => (contents, Some(damage)),
    };
    replay(contents.events.clone(), path, root)?;
    write_log(into.as_ref(), root, &contents.events)?;
    let rest = bytes.get(usize::try_from(contents.end).unwrap_or(usize::MAX)..).unwrap_or_default();
    Ok(Salvaged {
        events: contents.events.len(),
        damage: damage.map(|Damage { line, byte, reason }| (line, byte, reason)),
        rest: String::from_utf8_lossy(rest).lines().map(str::to_owned).collect(),
    })
}
