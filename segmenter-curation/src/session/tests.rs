use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::session::join::ConflictKind;

fn square(from: f64) -> Region {
    let to = from + 2.0;
    Region::polygon([(from, from), (to, from), (to, to), (from, to)]).unwrap()
}

fn record(root: &Path, name: &str) -> Record {
    Record::new(name, root.join(format!("raw/{name}.tif")), root.join(format!("a/{name}.tif")))
        .with_segmentation(root.join(format!("b/{name}.tif")))
}

/// A root, and a session over three images that need not be there.
fn session() -> (TempDir, Session) {
    let root = tempfile::tempdir().unwrap();
    let images = ["one", "two", "three"].map(|name| record(root.path(), name));
    let log = root.path().join("log.jsonl");
    let session = Session::create(log, root.path(), "ana", images).unwrap();
    (root, session)
}

fn open(root: &TempDir, who: &str) -> Result<Session, SessionError> {
    Session::open(root.path().join("log.jsonl"), root.path(), who)
}

#[test]
fn a_session_goes_on_where_it_was_left() {
    let (root, mut session) = session();
    session.decide("one", Decision::Use).unwrap();
    let id = session.because("debris").exclude("two", square(1.0)).unwrap();
    session.edit("two", &id, square(3.0)).unwrap();
    session.merge("two", 1, MergeRule::Union, square(5.0)).unwrap();
    session.note("two", "look again").unwrap();
    session.assign("three", Part::Test).unwrap();
    session.set_base("three", 1).unwrap();
    let (state, events) = (session.state().clone(), session.events().to_vec());
    drop(session);

    let session = open(&root, "ben").unwrap();
    assert_eq!((session.state(), session.events()), (&state, &events[..]));
    assert_eq!(session.current().unwrap().name(), "two");
    let two = session.state().image("two").unwrap();
    assert_eq!(two.record().exclude_regions(), [square(3.0)]);
    assert_eq!((two.exclude_ids(), two.notes()[0].text.as_str()), (&[id][..], "look again"));
    assert_eq!(session.history("two").next().unwrap().why.as_deref(), Some("debris"));
    assert_eq!(session.state().set().used().count(), 1);
}

#[test]
fn time_who_and_number_are_those_of_the_event() {
    let (_root, session) = session();
    let noon = SystemTime::UNIX_EPOCH + Duration::from_millis(1_796_040_000_123);
    let mut session = session.with_clock(move || noon);
    session.decide("one", Decision::Use).unwrap();
    let last = session.events().last().unwrap();
    // Python: datetime.fromtimestamp(1796040000.123, timezone.utc)
    assert_eq!(
        (last.time.as_str(), last.who.as_str(), last.number),
        ("2026-11-30T12:00:00.123Z", "ana", 1)
    );
}

#[test]
fn what_is_taken_back_can_be_brought_back_until_something_new_happens() {
    let (_root, mut session) = session();
    session.decide("one", Decision::Use).unwrap();
    session.exclude("one", square(1.0)).unwrap();
    let before = session.state().clone();
    assert_eq!(session.undo().unwrap().unwrap().number, 2);
    assert_eq!(session.undo().unwrap().unwrap().number, 1);
    assert!(session.undo().unwrap().is_none(), "the beginning stays");
    session.redo().unwrap();
    session.redo().unwrap();
    assert!(session.redo().unwrap().is_none());
    assert_eq!(*session.state(), before);
    session.undo().unwrap();
    session.note("two", "new").unwrap();
    assert!(session.redo().unwrap().is_none());
    assert_eq!(session.events().len(), 9, "all of it is in the log");
}

#[test]
fn what_contradicts_the_state_is_refused_and_not_written() {
    let (root, mut session) = session();
    let length = || fs::metadata(root.path().join("log.jsonl")).unwrap().len();
    let before = length();
    let nobody = RegionId("7".to_owned());
    let refused = |result: Result<(), SessionError>| match result.unwrap_err() {
        SessionError::Refused(refusal) => refusal.to_string(),
        other => panic!("{other}"),
    };
    assert_eq!(
        refused(session.decide("four", Decision::Use)),
        "there is no image `four` in the session"
    );
    assert_eq!(refused(session.erase("one", &nobody)), "image `one` has no region 7");
    assert_eq!(refused(session.edit("one", &nobody, square(0.0))), "image `one` has no region 7");
    assert!(refused(session.set_base("one", 2)).contains("no segmentation 2"));
    assert!(
        refused(session.merge("one", 0, MergeRule::Replace, square(0.0)).map(|_| ()))
            .contains("is its base")
    );
    let one = record(root.path(), "one");
    assert!(refused(session.add(one)).contains("already"));
    assert!(matches!(
        session.add(Record::new("x", "/else/x.tif", "/else/y.tif")),
        Err(SessionError::OutsideRoot { files, .. }) if files.len() == 2
    ));
    assert_eq!(length(), before);
}

#[test]
fn images_are_walked_both_ways_by_what_is_meant() {
    let (_root, mut session) = session();
    session.decide("two", Decision::Use).unwrap();
    assert_eq!(session.forward(&Filter::Undecided).unwrap().name(), "three");
    assert!(session.forward(&Filter::All).is_none());
    assert_eq!(session.back(&Filter::Used).unwrap().name(), "two");
    assert_eq!(session.jump("one").unwrap().name(), "one");
    assert!(session.jump("four").is_none());
    assert_eq!(session.current().unwrap().name(), "one");
    let expected = Progress { images: 3, used: 1, not_used: 0, undecided: 2 };
    assert_eq!(session.progress(), expected);
    let names = |filter: &Filter| -> Vec<String> {
        session.images(filter).map(|image| image.name().to_owned()).collect()
    };
    assert_eq!(names(&Filter::By("ana".to_owned())), ["two"]);
    assert_eq!(names(&Filter::By("ben".to_owned())), Vec::<String>::new());
}

#[test]
fn a_second_writer_is_told_who_is_first_and_readers_are_not_kept_out() {
    let (root, session) = session();
    let Err(SessionError::Locked { holder, .. }) = open(&root, "ben") else { panic!() };
    assert!(holder.starts_with("ana, process "), "{holder}");
    assert!(History::open(root.path().join("log.jsonl"), root.path()).is_ok());
    drop(session);
    assert!(open(&root, "ben").is_ok());
}

#[test]
fn a_log_is_not_begun_twice_nor_opened_where_there_is_none() {
    let (root, _session) = session();
    let log = root.path().join("log.jsonl");
    let again = Session::create(&log, root.path(), "ana", Vec::<Record>::new());
    assert!(matches!(again, Err(SessionError::Save(_))));
    let missing = Session::open(root.path().join("none.jsonl"), root.path(), "ana");
    assert!(matches!(missing, Err(SessionError::Io { .. })));
    assert!(!root.path().join("none.jsonl.lock").exists());
}

#[test]
fn what_is_no_log_or_a_later_one_is_refused_by_name() {
    let (root, session) = session();
    let begin = session.events()[0].clone();
    drop(session);
    let log = root.path().join("log.jsonl");
    let with = |event: Event| {
        fs::write(&log, log::encode(&Logged { event, ..begin.clone() }).unwrap()).unwrap();
        open(&root, "ana").unwrap_err()
    };
    let later = with(Event::Begin { version: 2, images: vec![] });
    assert!(matches!(later, SessionError::Version { found: 2, known: 1, .. }), "{later}");
    let other = with(Event::Undo { event: 0 });
    assert!(matches!(other, SessionError::NotASession { .. }), "{other}");
    fs::write(&log, "").unwrap();
    assert!(matches!(open(&root, "ana"), Err(SessionError::NotASession { .. })));
    let decided = Event::Decide { image: "four".to_owned(), decision: Decision::Use };
    let number = Logged { number: 1, event: decided, ..begin.clone() };
    let lines = [log::encode(&begin).unwrap(), log::encode(&number).unwrap()].concat();
    fs::write(&log, lines).unwrap();
    assert!(matches!(open(&root, "ana"), Err(SessionError::Contradiction { line: 2, .. })));
    let Event::Begin { images, .. } = &begin.event else { panic!() };
    let text = serde_json::to_string(&images[0]).unwrap().replace("raw/one", "../one");
    let outside =
        with(Event::Begin { version: 1, images: vec![serde_json::from_str(&text).unwrap()] });
    assert!(matches!(outside, SessionError::OutsideRoot { files, .. } if files.len() == 1));
}

#[test]
fn half_an_event_is_kept_aside_and_told() {
    let (root, mut session) = session();
    session.note("one", "whole").unwrap();
    drop(session);
    let log = root.path().join("log.jsonl");
    let whole = fs::read(&log).unwrap();
    for (count, half) in ["{\"number\":2,\"ti", "{"].into_iter().enumerate() {
        fs::write(&log, [&whole, half.as_bytes()].concat()).unwrap();
        let session = open(&root, "ana").unwrap();
        let torn = session.torn().unwrap();
        assert_eq!(torn.byte, whole.len() as u64);
        let kept = root.path().join(format!("log.jsonl.torn-{count}"));
        assert_eq!(torn.kept.as_ref(), Some(&kept));
        assert_eq!(fs::read_to_string(&kept).unwrap(), half);
        assert_eq!(fs::read(&log).unwrap(), whole);
        assert_eq!(session.events().len(), 2);
    }
    assert!(open(&root, "ana").unwrap().torn().is_none());
}

#[test]
fn what_is_before_damage_is_rescued_and_the_rest_is_told() {
    let (root, mut session) = session();
    for text in ["first", "second", "third"] {
        session.note("one", text).unwrap();
    }
    drop(session);
    let log = root.path().join("log.jsonl");
    let text = fs::read_to_string(&log).unwrap().replace("second", "secomd");
    fs::write(&log, text).unwrap();
    let Err(SessionError::Damaged { line: 3, reason, .. }) = open(&root, "ana") else { panic!() };
    assert_eq!(reason, "differs from its checksum");
    let rescued = root.path().join("rescued.jsonl");
    let salvaged = salvage(&log, root.path(), &rescued).unwrap();
    assert_eq!((salvaged.events, salvaged.rest.len()), (2, 2));
    assert!(salvaged.rest[1].contains("third"));
    assert_eq!(Session::open(&rescued, root.path(), "ana").unwrap().events().len(), 2);
}

/// Two copies of a session that began with one decision and one region, gone on by two people.
fn apart(
    first: impl FnOnce(&mut Session, &RegionId),
    second: impl FnOnce(&mut Session, &RegionId),
) -> TempDir {
    let (root, mut session) = session();
    session.decide("one", Decision::Use).unwrap();
    let id = session.exclude("one", square(1.0)).unwrap();
    drop(session);
    let log = root.path().join("log.jsonl");
    let go_on = |name: &str, who: &str, act: Box<dyn FnOnce(&mut Session) + '_>| {
        fs::copy(&log, root.path().join(name)).unwrap();
        act(&mut Session::open(root.path().join(name), root.path(), who).unwrap());
    };
    go_on("a.jsonl", "ana", Box::new(|session| first(session, &id)));
    go_on("b.jsonl", "ben", Box::new(|session| second(session, &id)));
    root
}

fn joined(root: &TempDir, resolution: Resolution) -> (Joined, History) {
    let [a, b] = ["a.jsonl", "b.jsonl"].map(|name| root.path().join(name));
    let into = root.path().join(format!("{resolution:?}.jsonl"));
    let joined = join(a, b, root.path(), &into, |_| resolution).unwrap();
    (joined, History::open(into, root.path()).unwrap())
}

#[test]
fn the_work_of_two_people_comes_together_under_their_names() {
    let root = apart(
        |ana, _| {
            ana.decide("two", Decision::Use).unwrap();
            ana.exclude("two", square(2.0)).unwrap();
        },
        |ben, _| {
            ben.decide("three", Decision::Use).unwrap();
            // The same number as ana's region, and another region.
            let own = ben.exclude("two", square(7.0)).unwrap();
            ben.edit("two", &own, square(8.0)).unwrap();
            ben.note("two", "gone again").unwrap();
            ben.undo().unwrap();
        },
    );
    let (joined, history) = joined(&root, Resolution::First);
    assert_eq!((joined.common, joined.conflicts), (3, vec![]));
    let two = history.state().image("two").unwrap();
    assert_eq!(two.record().exclude_regions(), [square(2.0), square(8.0)]);
    assert!(two.notes().is_empty());
    assert_eq!(history.state().set().used().count(), 3);
    let people: Vec<&str> =
        history.events()[3..].iter().map(|logged| logged.who.as_str()).collect();
    assert_eq!(people, ["ana", "ana", "ben", "ben", "ben"]);
}

#[test]
fn what_two_people_disagree_on_is_listed_and_decided() {
    let apart = || {
        apart(
            |ana, id| {
                ana.decide("two", Decision::Use).unwrap();
                ana.edit("one", id, square(4.0)).unwrap();
                ana.set_base("three", 1).unwrap();
            },
            |ben, id| {
                ben.decide("two", Decision::DontUse { reason: "blurred".to_owned() }).unwrap();
                ben.erase("one", id).unwrap();
                ben.set_base("three", 1).unwrap();
            },
        )
    };
    for resolution in [Resolution::First, Resolution::Second, Resolution::Open] {
        let (joined, history) = joined(&apart(), resolution);
        let kinds: Vec<_> = joined.conflicts.iter().map(|(conflict, _)| &conflict.kind).collect();
        assert_eq!(kinds, [&ConflictKind::Region(RegionId("2".into())), &ConflictKind::Decision]);
        let (one, two) = (history.state().image("one"), history.state().image("two"));
        let (one, two) = (one.unwrap(), two.unwrap());
        let regions = one.record().exclude_regions();
        let overruled =
            history.events().iter().filter(|l| matches!(l.event, Event::Overruled { .. })).count();
        match resolution {
            Resolution::First => {
                assert_eq!(
                    (regions, two.record().decision()),
                    (&[square(4.0)][..], &Decision::Use)
                );
                assert_eq!(overruled, 2);
            }
            Resolution::Second => {
                assert!(regions.is_empty());
                assert!(matches!(two.record().decision(), Decision::DontUse { .. }));
                assert_eq!(overruled, 0);
            }
            Resolution::Open => {
                assert_eq!(*two.record().decision(), Decision::Undecided);
                assert_eq!(two.notes()[0].text, "ana and ben disagree on whether to use the image");
                assert_eq!((regions, overruled), (&[square(4.0)][..], 2));
            }
        }
    }
}

#[test]
fn an_image_that_one_removes_while_the_other_works_on_it_is_a_conflict() {
    for resolution in [Resolution::First, Resolution::Second] {
        let root = apart(
            |ana, _| ana.remove("two").unwrap(),
            |ben, _| {
                ben.exclude("two", square(3.0)).unwrap();
            },
        );
        let (joined, history) = joined(&root, resolution);
        assert_eq!(joined.conflicts[0].0.kind, ConflictKind::Presence);
        let two = history.state().image("two");
        assert_eq!(two.is_some(), resolution == Resolution::Second);
        assert!(two.is_none_or(|two| two.record().exclude_regions() == [square(3.0)]));
    }
}

#[test]
fn what_is_taken_back_of_the_common_beginning_stays_taken_back() {
    let root = apart(
        |_, _| {},
        |ben, _| {
            ben.undo().unwrap();
            ben.undo().unwrap();
        },
    );
    let (joined, history) = joined(&root, Resolution::First);
    assert_eq!((joined.common, joined.conflicts), (3, vec![]));
    let one = history.state().image("one").unwrap();
    assert_eq!(*one.record().decision(), Decision::Undecided);
    assert!(one.record().exclude_regions().is_empty());
    assert!(history.events()[3..].iter().all(|logged| logged.who == "ben"));
}

#[test]
fn to_take_back_a_decision_that_the_other_changes_is_a_conflict() {
    for resolution in [Resolution::First, Resolution::Second] {
        let root = apart(
            |ana, _| {
                ana.undo().unwrap();
                ana.undo().unwrap();
            },
            |ben, _| ben.decide("one", Decision::DontUse { reason: "dim".to_owned() }).unwrap(),
        );
        let (joined, history) = joined(&root, resolution);
        let kinds: Vec<_> = joined.conflicts.iter().map(|(conflict, _)| &conflict.kind).collect();
        assert_eq!(kinds, [&ConflictKind::Decision]);
        let one = history.state().image("one").unwrap();
        let open = *one.record().decision() == Decision::Undecided;
        assert_eq!(open, resolution == Resolution::First);
    }
}

#[test]
fn what_something_else_writes_to_an_open_log_stops_the_session() {
    let (root, mut session) = session();
    let log = root.path().join("log.jsonl");
    let edited = [fs::read(&log).unwrap(), b"# mine\n".to_vec()].concat();
    fs::write(&log, &edited).unwrap();
    let before = session.state().clone();
    assert!(matches!(
        session.decide("one", Decision::Use),
        Err(SessionError::Changed { expected, found, .. }) if found == expected + 7
    ));
    assert_eq!((session.state(), fs::read(&log).unwrap()), (&before, edited));
}

#[cfg(unix)]
#[test]
fn a_second_writer_is_kept_out_whatever_link_they_come_by() {
    let (root, _session) = session();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link.jsonl");
    std::os::unix::fs::symlink(root.path().join("log.jsonl"), &link).unwrap();
    let second = Session::open(&link, root.path(), "ben");
    assert!(matches!(second, Err(SessionError::Locked { .. })));
}

#[test]
fn logs_of_different_sessions_are_not_joined() {
    let (a, _a) = session();
    let b = tempfile::tempdir().unwrap();
    let log = b.path().join("log.jsonl");
    Session::create(log, b.path(), "ana", [record(b.path(), "one")]).unwrap();
    let into = a.path().join("joined.jsonl");
    let logs = [&a, &b].map(|root| root.path().join("log.jsonl"));
    let error = join(&logs[0], &logs[1], a.path(), into, |_| Resolution::First).unwrap_err();
    assert!(matches!(error, SessionError::Unrelated { .. }), "{error}");
}

#[test]
fn two_people_agree_by_what_they_decided_and_excluded() {
    let root = apart(
        |ana, _| {
            ana.decide("two", Decision::Use).unwrap();
            ana.exclude("two", square(0.0)).unwrap();
        },
        |ben, _| {
            ben.decide("two", Decision::DontUse { reason: String::new() }).unwrap();
            ben.exclude("two", square(1.0)).unwrap();
        },
    );
    let states = ["a.jsonl", "b.jsonl"]
        .map(|name| History::open(root.path().join(name), root.path()).unwrap().state().clone());
    let extent = |_: &ImageState| Ok::<_, std::convert::Infallible>(vec![16, 16]);
    let Ok(agreement) = agreement(&states[0], &states[1], extent);
    let two = &agreement.images[1];
    assert_eq!((two.decision, two.excluded), (Some(false), Some(8.0 / 18.0)));
    assert_eq!(agreement.images[0].excluded, Some(1.0));
    // Of two images ana uses both and ben one: p_o = p_e = 1/2.
    assert_eq!(agreement.kappa, Some(0.0));
}

#[derive(Clone, Debug)]
enum Act {
    Decide(usize, bool),
    Exclude(usize),
    Merge(usize),
    Base(usize, usize),
    Erase(usize),
    Edit(usize),
    Remove(usize),
    Undo,
    Redo,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..3_usize, any::<bool>()).prop_map(|(image, used)| Act::Decide(image, used)),
        (0..3_usize).prop_map(Act::Exclude),
        (0..3_usize).prop_map(Act::Merge),
        (0..3_usize, 0..2_usize).prop_map(|(image, base)| Act::Base(image, base)),
        (0..3_usize).prop_map(Act::Erase),
        (0..3_usize).prop_map(Act::Edit),
        (0..3_usize).prop_map(Act::Remove),
        Just(Act::Undo),
        Just(Act::Undo),
        Just(Act::Redo),
    ];
    prop::collection::vec(act, 0..30)
}

fn act(session: &mut Session, act: &Act) -> Result<(), SessionError> {
    let name = |image: &usize| ["one", "two", "three"][*image];
    let some_region = |session: &Session, image| {
        let image = session.state().image(name(image))?;
        image.exclude_ids().first().or(image.merge_ids().first()).cloned()
    };
    match act {
        Act::Decide(image, true) => session.decide(name(image), Decision::Use),
        Act::Decide(image, false) => {
            session.decide(name(image), Decision::DontUse { reason: "no".to_owned() })
        }
        Act::Exclude(image) => session.exclude(name(image), square(1.0)).map(|_| ()),
        Act::Merge(image) => {
            let base = session.state().image(name(image)).map_or(0, |image| image.record().base());
            session.merge(name(image), 1 - base, MergeRule::Replace, square(2.0)).map(|_| ())
        }
        Act::Base(image, base) => session.set_base(name(image), *base),
        Act::Erase(image) => match some_region(session, image) {
            Some(id) => session.erase(name(image), &id),
            None => Ok(()),
        },
        Act::Edit(image) => match some_region(session, image) {
            Some(id) => session.edit(name(image), &id, square(9.0)),
            None => Ok(()),
        },
        Act::Remove(image) => session.remove(name(image)),
        Act::Undo => session.undo().map(|_| ()),
        Act::Redo => session.redo().map(|_| ()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn undo_then_redo_changes_nothing_and_every_log_is_read_back_to_the_same_state(acts in acts()) {
        let (root, mut session) = session();
        for each in &acts {
            match act(&mut session, each) {
                Ok(()) | Err(SessionError::Refused(Refusal::NoImage { .. })) => {}
                Err(error) => panic!("{error}"),
            }
            let before = session.state().clone();
            if session.undo().unwrap().is_some() {
                session.redo().unwrap();
            }
            prop_assert_eq!(session.state(), &before);
        }
        let state = session.state().clone();
        for length in 1..=session.events().len() {
            let prefix = session.events()[..length].to_vec();
            prop_assert!(replay(prefix, Path::new("log.jsonl"), root.path()).is_ok());
        }
        drop(session);
        let again = open(&root, "ana").unwrap();
        prop_assert_eq!(again.state(), &state);
    }
}

/// Names the log that a child process writes to.
const CHILD: &str = "SESSION_CHILD";

/// Says how often the writer is killed; two hundred times unless told.
const KILLS: &str = "SESSION_KILLS";

/// Not a test by itself: the process that [`no_acknowledged_event_is_lost_when_the_writer_is_killed`]
/// kills. It says which event is on disk.
#[test]
#[allow(clippy::print_stdout, reason = "the parent reads it")]
fn child_that_writes_until_it_is_killed() {
    let Ok(root) = std::env::var(CHILD) else { return };
    let mut session = Session::open(Path::new(&root).join("log.jsonl"), &root, "child").unwrap();
    loop {
        session.note("one", "a remark of some length, so that a line can be cut").unwrap();
        println!("acknowledged {}", session.events().len());
    }
}

#[test]
fn no_acknowledged_event_is_lost_when_the_writer_is_killed() {
    let (root, session) = session();
    drop(session);
    let kills: u64 = std::env::var(KILLS).map_or(200, |kills| kills.parse().unwrap());
    let mut torn = 0;
    for round in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "session::tests::child_that_writes_until_it_is_killed",
                "--nocapture",
            ])
            .env(CHILD, root.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<usize>().ok())
                .last()
                .unwrap_or(0)
        });
        std::thread::sleep(Duration::from_micros(5_000 + (round * 7_919) % 40_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = reader.join().unwrap();
        let session = open(&root, "parent").unwrap();
        torn += usize::from(session.torn().is_some());
        assert!(session.events().len() >= acknowledged, "round {round}");
    }
    let events = open(&root, "parent").unwrap().events().len();
    println!("{kills} kills, {events} events, {torn} torn lines");
    assert!(events > 1, "the child has written nothing");
}
