//! Decisions as lines of text.

use std::{
    error::Error,
    fmt, fs,
    path::{Path, PathBuf},
};

use segmenter::curation::{Decision, MergeRule, Part, session::RegionId};

/// One line of a script.
#[derive(Debug)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: usize,
    /// The line as it stands.
    pub(crate) text: String,
    /// The image that it is about; empty where it is about none.
    pub(crate) image: String,
    /// What is done.
    pub(crate) step: Step,
}

/// What a line does.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    Decide(Decision),
    Exclude(PathBuf),
    Accept,
    Merge { from: usize, regions: PathBuf, rule: MergeRule },
    Erase(RegionId),
    Base(usize),
    Note(String),
    Assign(Part),
    Undo,
    Redo,
}

/// Everything that is wrong with a script.
#[derive(Debug)]
pub(crate) struct ScriptError {
    path: PathBuf,
    faults: Vec<String>,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.faults.join("; "))
    }
}

impl Error for ScriptError {}

/// Reads a script, or tells all that is wrong with it. Empty lines and those that begin with `#` are
/// passed over.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>, super::AnyError> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    for (at, text) in text.lines().map(str::trim).enumerate() {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match words(text).and_then(|words| step(&words)) {
            Ok((image, step)) => {
                lines.push(Line { number: at + 1, text: text.to_owned(), image, step });
            }
            Err(fault) => faults.push(format!("line {}: {fault}", at + 1)),
        }
    }
    if faults.is_empty() {
        return Ok(lines);
    }
    Err(ScriptError { path: path.to_owned(), faults }.into())
}

/// The words of a line. Blanks are part of a word inside `"`, and `""` there is a quote.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                word.get_or_insert_default().push('"');
            }
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            blank if blank.is_whitespace() && !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    if quoted { Err("a quote is not closed".to_owned()) } else { Ok(words) }
}

fn step(words: &[String]) -> Result<(String, Step), String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (image, step) = match words[..] {
        ["use", image] => (image, Step::Decide(Decision::Use)),
        ["dont-use", image, reason] => {
            (image, Step::Decide(Decision::DontUse { reason: reason.to_owned() }))
        }
        ["undecided", image] => (image, Step::Decide(Decision::Undecided)),
        ["exclude", image, regions] => (image, Step::Exclude(regions.into())),
        ["accept", image] => (image, Step::Accept),
        ["merge", image, from, regions] => (image, merge(from, regions, "replace")?),
        ["merge", image, from, regions, rule] => (image, merge(from, regions, rule)?),
        ["erase", image, region] => (image, Step::Erase(RegionId(region.to_owned()))),
        ["base", image, base] => (image, Step::Base(number(base)?)),
        ["note", image, text] => (image, Step::Note(text.to_owned())),
        ["assign", image, name] => (image, Step::Assign(part(name)?)),
        ["undo"] => ("", Step::Undo),
        ["redo"] => ("", Step::Redo),
        _ => return Err(format!("`{}` is no step; see --help", words.join(" "))),
    };
    Ok((image.to_owned(), step))
}

fn merge(from: &str, regions: &str, rule: &str) -> Result<Step, String> {
    let rule = match rule {
        "replace" => MergeRule::Replace,
        "union" => MergeRule::Union,
        "intersect" => MergeRule::Intersect,
        "subtract" => MergeRule::Subtract,
        other => return Err(format!("`{other}` is none of replace, union, intersect, subtract")),
    };
    Ok(Step::Merge { from: number(from)?, regions: regions.into(), rule })
}

fn number(word: &str) -> Result<usize, String> {
    word.parse().map_err(|_| format!("`{word}` is no number of a segmentation, from 0"))
}

fn part(name: &str) -> Result<Part, String> {
    match name {
        "train" => Ok(Part::Train),
        "validation" => Ok(Part::Validation),
        "test" => Ok(Part::Test),
        other => Err(format!("`{other}` is none of train, validation, test")),
    }
}
