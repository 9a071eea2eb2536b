//! The file behind a session: one line an event, each with a checksum.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use segmenter_core::io::{Existing, SaveError, write_whole};

use super::{Logged, SessionError};

/// Opens the checksum at the end of a line. What is before it is what is summed.
const CHECKSUM: &str = ",\"crc32\":\"";

/// A log that lines are appended to.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    length: u64,
    /// An append has failed, and what it may have left is not cut off yet.
    unsure: bool,
}

/// What a crash has left of an event that was being written: it was not acknowledged, and does not
/// count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where in the log it began, in bytes.
    pub byte: u64,
    /// The file beside the log that keeps it, or `None` if the log was only read.
    pub kept: Option<PathBuf>,
}

/// The events of a log, and the line that a crash has left unfinished, if there is one.
pub(super) struct Contents {
    pub(super) events: Vec<Logged>,
    /// Where the last whole line ends, in bytes.
    pub(super) end: u64,
    pub(super) torn: Option<Vec<u8>>,
}

impl Contents {
    pub(super) fn read(path: &Path) -> Result<Self, SessionError> {
        let bytes = fs::read(path).map_err(SessionError::io(path))?;
        Self::parse(&bytes).map_err(|(_, damage)| damage.at(path))
    }

    /// The events of a log, or those before the damage and where it is.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, (Self, Damage)> {
        let mut contents = Self { events: Vec::new(), end: 0, torn: None };
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
                contents.torn = Some(rest.to_vec());
                break;
            };
            match decode(&rest[..length], contents.events.len()) {
                Ok(event) => contents.events.push(event),
                Err(reason) => {
                    let (line, byte) = (contents.events.len() + 1, contents.end);
                    return Err((contents, Damage { line, byte, reason }));
                }
            }
            contents.end += length as u64 + 1;
            rest = &rest[length + 1..];
        }
        Ok(contents)
    }
}

/// Where a log is damaged, and how.
pub(super) struct Damage {
    pub(super) line: usize,
    pub(super) byte: u64,
    pub(super) reason: String,
}

impl Damage {
    pub(super) fn at(self, path: &Path) -> SessionError {
        let Self { line, byte, reason } = self;
        SessionError::Damaged { path: path.to_owned(), line, byte, reason }
    }
}

/// One line, without its end.
fn decode(line: &[u8], number: usize) -> Result<Logged, String> {
    let line = std::str::from_utf8(line).map_err(|_| "is not text".to_owned())?;
    let summed = line.rfind(CHECKSUM).map(|at| (&line[..at], &line[at + CHECKSUM.len()..]));
    let Some((summed, checksum)) = summed else { return Err("has no checksum".to_owned()) };
    let expected = format!("{}\"}}", checksum_of(summed));
    if checksum != expected {
        return Err("differs from its checksum".to_owned());
    }
    let event: Logged = serde_json::from_str(&format!("{summed}}}"))
        .map_err(|error| format!("is no event that this program knows: {error}"))?;
    if usize::try_from(event.number) != Ok(number) {
        return Err(format!("has number {}, but {number} comes next", event.number));
    }
    Ok(event)
}

pub(super) fn encode(event: &Logged) -> io::Result<String> {
    let mut line = serde_json::to_string(event)?;
    line.pop();
    let checksum = checksum_of(&line);
    Ok(format!("{line}{CHECKSUM}{checksum}\"}}\n"))
}

/// CRC-32 of ISO 3309, as in zip files, in hexadecimal.
fn checksum_of(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

impl LogFile {
    /// Opens a log for appending. What a crash has left of a last line is moved to a file beside it.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Logged>, Option<Torn>), SessionError> {
        let Contents { events, end, torn } = Contents::read(path)?;
        let file = OpenOptions::new().append(true).open(path).map_err(SessionError::io(path))?;
        let torn = torn.map(|torn| keep(path, end, &torn)).transpose()?;
        file.set_len(end).and_then(|()| file.sync_all()).map_err(SessionError::io(path))?;
        Ok((Self { path: path.to_owned(), file, length: end, unsure: false }, events, torn))
    }

    /// Appends an event. When this returns, the event is on disk; if it fails, the log is as before,
    /// or nothing more is appended until it is.
    pub(super) fn append(&mut self, event: &Logged) -> Result<(), SessionError> {
        let line = encode(event).map_err(SessionError::io(&self.path))?;
        self.check_end()?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            self.unsure = true;
            // If it can't be cut off now, it is before the next event.
            let _ = self.cut_off();
            return Err(SessionError::io(&self.path)(source));
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// The log ends where this writer has left it. A lock keeps out who asks for it, but not an
    /// editor, and not every network drive has locks.
    fn check_end(&mut self) -> Result<(), SessionError> {
        if self.unsure {
            self.cut_off().map_err(SessionError::io(&self.path))?;
        }
        let found = self.file.metadata().map_err(SessionError::io(&self.path))?.len();
        if found == self.length {
            return Ok(());
        }
        let (path, expected) = (self.path.clone(), self.length);
        Err(SessionError::Changed { path, expected, found })
    }

    /// Cuts off what a failed append may have left.
    fn cut_off(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.sync_all()?;
        self.unsure = false;
        Ok(())
    }
}

/// Puts half an event beside the log under a name that is not taken, on disk before it is cut off.
fn keep(path: &Path, byte: u64, torn: &[u8]) -> Result<Torn, SessionError> {
    let mut number = 0_u32;
    loop {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".torn-{number}"));
        let beside = path.with_file_name(name);
        match write_whole(&beside, Existing::Refuse, |file| file.write_all(torn)) {
            Ok(()) => return Ok(Torn { byte, kept: Some(beside) }),
            Err(SaveError::Exists { .. }) => number += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Event;

    fn note(number: u64, text: &str) -> Logged {
        let event = Event::Note { image: "a".into(), text: text.into() };
        let time = "2026-11-28T12:00:00.000Z".to_owned();
        Logged { number, time, who: "ana".into(), why: None, event }
    }

    fn log() -> String {
        [note(0, "one"), note(1, r#"two,"crc32":"0"}"#), note(2, "three\n")]
            .map(|event| encode(&event).unwrap())
            .concat()
    }

    #[test]
    fn a_line_is_json_with_the_crc_of_what_is_before_it() {
        let line = encode(&note(0, "one")).unwrap();
        // zlib.crc32 of Python 3.11 over the text before `,"crc32"`.
        assert_eq!(
            line,
            "{\"number\":0,\"time\":\"2026-11-28T12:00:00.000Z\",\"who\":\"ana\",\
             \"event\":{\"do\":\"note\",\"image\":\"a\",\"text\":\"one\"},\"crc32\":\"2437fe3b\"}\n"
        );
    }

    #[test]
    fn a_log_that_ends_anywhere_has_the_events_that_were_whole() {
        let log = log();
        let ends: Vec<usize> = log.match_indices('\n').map(|(at, _)| at + 1).collect();
        for length in 0..=log.len() {
            let Ok(contents) = Contents::parse(&log.as_bytes()[..length]) else {
                panic!("{length}")
            };
            let whole = ends.iter().filter(|&&end| end <= length).count();
            assert_eq!(contents.events.len(), whole, "cut at {length}");
            let end = if whole == 0 { 0 } else { ends[whole - 1] };
            assert_eq!(contents.torn.map_or(0, |torn| torn.len()), length - end);
        }
    }

    #[test]
    fn every_changed_byte_of_a_whole_line_is_noticed() {
        let log = log();
        for at in 0..log.len() {
            for bit in 0..8 {
                let mut bytes = log.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let told = match Contents::parse(&bytes) {
                    Ok(contents) => contents.torn.is_some(),
                    Err((contents, damage)) => {
                        assert_eq!(damage.line, contents.events.len() + 1);
                        true
                    }
                };
                assert!(told, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn what_a_failed_append_leaves_is_cut_off_before_the_next_event() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        fs::write(&path, encode(&note(0, "one")).unwrap()).unwrap();
        let (mut log, _, _) = LogFile::open(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        // Neither writing nor cutting off works, as on a disk that went read-only.
        let writable = std::mem::replace(&mut log.file, File::open(&path).unwrap());
        assert!(matches!(log.append(&note(1, "two")), Err(SessionError::Io { .. })));
        fs::write(&path, [&whole[..], b"{\"number\":1,\"ti"].concat()).unwrap();
        assert!(matches!(log.append(&note(1, "two")), Err(SessionError::Io { .. })));
        log.file = writable;
        log.append(&note(1, "three")).unwrap();
        let events = Contents::read(&path).unwrap().events;
        assert_eq!(events, [note(0, "one"), note(1, "three")]);
    }
}
