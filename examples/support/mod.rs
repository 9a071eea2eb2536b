//! What the example programs share: arguments, progress bars, error messages.

#![allow(dead_code, reason = "each example uses a part of it")]
#![allow(clippy::print_stderr, reason = "programs print; the library does not")]

pub(crate) mod look;
pub(crate) mod phantom;
pub(crate) mod pictures;
pub(crate) mod rounds;
pub(crate) mod scores;
pub(crate) mod script;

use std::{
    error::Error,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
};

use indicatif::{ProgressBar, ProgressStyle};
use lexopt::Arg;
use segmenter::{Region, Space, curation::regions, io};

/// Any error, for the last line a program prints.
pub(crate) type AnyError = Box<dyn Error>;

/// A command line that can't be followed.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; see --help", self.0)
    }
}

impl Error for UsageError {}

/// The arguments of a program: `--name value` and words without a name.
#[derive(Debug, Default)]
pub(crate) struct Args {
    named: Vec<(String, OsString)>,
    words: Vec<OsString>,
}

/// What to do after reading the arguments.
pub(crate) enum Asked {
    /// Run with these.
    Run(Args),
    /// Show the help text.
    Help,
}

impl Args {
    /// Reads the command line. `options` take a value, `switches` don't.
    pub(crate) fn read(options: &[&str], switches: &[&str]) -> Result<Asked, AnyError> {
        let mut parser = lexopt::Parser::from_env();
        let mut args = Self::default();
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("help") | Arg::Short('h') => return Ok(Asked::Help),
                Arg::Long(name) if switches.contains(&name) => {
                    args.named.push((name.to_owned(), OsString::new()));
                }
                Arg::Long(name) if options.contains(&name) => {
                    let name = name.to_owned();
                    args.named.push((name, parser.value()?));
                }
                Arg::Value(word) => args.words.push(word),
                other => return Err(Box::new(UsageError(other.unexpected().to_string()))),
            }
        }
        Ok(Asked::Run(args))
    }

    /// The value of an option, if it was given.
    pub(crate) fn get(&self, name: &str) -> Option<&OsString> {
        self.named.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value)
    }

    /// All values of an option, in the order in which they were given.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &OsString> {
        self.named.iter().filter(move |(given, _)| given == name).map(|(_, value)| value)
    }

    /// Whether a switch was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The path of an option that has to be given.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf, UsageError> {
        self.get(name).map(PathBuf::from).ok_or_else(|| UsageError(format!("--{name} is missing")))
    }

    /// The value of an option as a number or another type, if it was given.
    pub(crate) fn parse<T: FromStr>(&self, name: &str) -> Result<Option<T>, UsageError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let parsed = value.to_str().and_then(|value| value.parse().ok());
        let wrong = || UsageError(format!("--{name} can't be {}", value.display()));
        parsed.map(Some).ok_or_else(wrong)
    }

    /// The value of an option as an extent such as `16,64,64`, if it was given. A plane may be given
    /// as one slice, `1,64,64`.
    pub(crate) fn extent<S: Space>(&self, name: &str) -> Result<Option<S::Extent>, UsageError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let wrong = || {
            let axes = S::AXES.chars().map(String::from).collect::<Vec<_>>().join(",");
            UsageError(format!("--{name} is {axes} in voxels here, found {}", value.display()))
        };
        let numbers = value.to_str().ok_or_else(wrong)?.split(',').map(str::parse::<usize>);
        let mut numbers: Vec<usize> = numbers.collect::<Result<_, _>>().map_err(|_| wrong())?;
        if S::RANK == 2 && matches!(numbers[..], [1, _, _]) {
            numbers.remove(0);
        }
        if numbers.len() != S::RANK {
            return Err(wrong());
        }
        Ok(Some(S::extent_from_fn(|axis| numbers[axis])))
    }

    /// The only word without a name.
    pub(crate) fn word(&self, what: &str) -> Result<PathBuf, UsageError> {
        match self.words.as_slice() {
            [word] => Ok(PathBuf::from(word)),
            [] => Err(UsageError(format!("{what} is missing"))),
            [_, more, ..] => Err(UsageError(format!("{} is one word too many", more.display()))),
        }
    }

    /// Refuses words without a name.
    pub(crate) fn no_words(&self) -> Result<(), UsageError> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(UsageError(format!("{} has no place here", word.display()))),
        }
    }
}

/// Runs a program and prints its error with all its causes: exit code 2 for a command line that
/// can't be followed, 1 for everything else.
pub(crate) fn exit(result: Result<(), AnyError>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("error: {}", with_causes(error.as_ref()));
    let usage = error.is::<UsageError>() || error.is::<lexopt::Error>();
    ExitCode::from(if usage { 2 } else { 1 })
}

/// An error and what led to it, on one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A progress bar on the terminal; nothing where the output is not a terminal.
pub(crate) fn bar(length: usize, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template(
        "{prefix:>10} {bar:32} {pos}/{len} {msg} [{elapsed}, {eta} left]",
    );
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(what.to_owned());
    bar
}

/// The regions of a file of any kind; what the file says beyond that is printed.
pub(crate) fn regions(path: &Path) -> Result<Vec<Region>, AnyError> {
    let found = regions::read(path)?;
    for ignored in &found.ignored {
        eprintln!("not kept of {}: {ignored}", path.display());
    }
    for (index, named) in found.regions.iter().enumerate() {
        for fault in named.region.faults() {
            eprintln!("region {index} is filled by the even-odd rule: {fault}");
        }
    }
    Ok(found.into_regions().collect())
}

/// A file's name without its folder and without `.ome.tif(f)`, `.tif(f)` or `.png`.
pub(crate) fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    io::image_stem(&name).unwrap_or(&name).to_owned()
}
