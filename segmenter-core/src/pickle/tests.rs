//! The `.pkl` files are written by Python; see `tests/fixtures/python/make_fixtures.py`.

use std::sync::Arc;

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/fixtures/python/", $name)).as_slice()
    };
}

const VALUES: [&[u8]; 4] = [
    fixture!("values_2.pkl"),
    fixture!("values_3.pkl"),
    fixture!("values_4.pkl"),
    fixture!("values_5.pkl"),
];

fn read(bytes: &[u8]) -> Result<Value, PickleError> {
    Reader::new(&[("collections", "OrderedDict")]).read(bytes)
}

/// The instructions after the protocol.
fn pickle(instructions: impl AsRef<[u8]>) -> Vec<u8> {
    [b"\x80\x02", instructions.as_ref()].concat()
}

fn ints(values: &[i64]) -> Vec<Value> {
    values.iter().copied().map(Value::Int).collect()
}

#[test]
fn every_protocol_gives_the_values_that_python_wrote() {
    for bytes in VALUES {
        let values = read(bytes).unwrap();
        let get = |key| values.get(key).unwrap();
        assert_eq!(*get("none"), Value::None);
        assert_eq!(get("bools").items().unwrap(), [Value::Bool(true), Value::Bool(false)]);
        let edges = [0, 255, 256, 65535, 65536, -1, 1 << 31, -(1 << 40), i64::MAX, i64::MIN];
        assert_eq!(get("ints").items().unwrap(), ints(&edges));
        // 2⁷⁰: bit 6 of byte 8.
        assert_eq!(*get("big"), Value::BigInt([0, 0, 0, 0, 0, 0, 0, 0, 64].into()));
        assert_eq!(get("floats").items().unwrap(), [Value::Float(1.5), Value::Float(-0.1)]);
        assert_eq!(get("text").as_str(), Some("0.29 µm"));
        let tuples = get("tuples").items().unwrap();
        for (length, tuple) in [0, 1, 2, 3, 4].into_iter().zip(tuples) {
            assert_eq!(tuple.items().unwrap(), &ints(&[1, 2, 3, 4])[..length]);
        }
    }
    for bytes in &VALUES[1..] {
        let expected = Value::Bytes([0, 255].into());
        assert_eq!(*read(bytes).unwrap().get("bytes").unwrap(), expected);
    }
}

#[test]
fn what_python_shares_stays_shared() {
    let values = read(VALUES[2]).unwrap();
    let (Some(Value::List(once)), Some(Value::List(again))) =
        (values.get("ints"), values.get("again"))
    else {
        panic!("both are lists");
    };
    assert!(Arc::ptr_eq(once, again));
}

#[test]
fn an_ordered_dict_is_a_call_with_entries_in_order() {
    let values = read(VALUES[0]).unwrap();
    let ordered = values.get("ordered").unwrap();
    let object = ordered.as_call("collections", "OrderedDict").unwrap();
    assert_eq!(object.arguments, Value::Tuple([].into()));
    let keys: Vec<_> = object.entries.iter().map(|(key, _)| key.as_str().unwrap()).collect();
    assert_eq!(keys, ["z", "a"]);
    assert_eq!(ordered.get("a").unwrap().as_size(), Some(2));
}

#[test]
fn sets_are_read() {
    let sets = read(fixture!("sets_4.pkl")).unwrap();
    let set = |item| Value::Set([Value::Int(item)].into());
    assert_eq!(sets.items().unwrap(), [set(7), set(8)]);
}

#[test]
fn the_state_and_the_items_of_a_call_are_kept() {
    // A list subclass with an attribute, as copyreg.__newobj__ writes it: new, append, build.
    let bytes = pickle(b"ca\nList\n)\x81K\x01aK\x02b.");
    let value = Reader::new(&[("a", "List")]).read(&bytes).unwrap();
    let object = value.as_call("a", "List").unwrap();
    assert_eq!(object.items, [Value::Int(1)]);
    assert_eq!(object.state, Some(Value::Int(2)));
}

#[test]
fn all_names_that_are_refused_are_told_at_once() {
    // A call within the arguments of a call, and one that is popped into a dictionary.
    let bytes =
        pickle(b"}X\x01\x00\x00\x00kcos\nsystem\n(cbuiltins\neval\nX\x01\x00\x00\x001\x85RtRs.");
    let error = read(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "refused, because it names os.system, builtins.eval, which no data of this kind needs; \
         nothing in the file was run"
    );
}

#[test]
fn a_name_made_on_the_stack_is_refused_too() {
    let bytes = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85R.";
    let error = read(bytes).unwrap_err();
    let expected = Global { module: "posix".into(), name: "system".into() };
    assert_eq!(error, PickleError::Refused { globals: vec![expected] });
}

#[test]
fn a_refused_name_is_told_even_if_the_pickle_is_cut_off_after_it() {
    let error = read(&pickle(b"cos\nsystem\n")).unwrap_err();
    assert!(matches!(error, PickleError::Refused { .. }), "{error}");
}

#[test]
fn an_unknown_name_is_kept_as_data_where_that_is_asked_for() {
    let bytes = fixture!("partial.pkl");
    assert!(matches!(read(bytes), Err(PickleError::Refused { .. })));
    let value = Reader::new(&[]).with_unknown(Unknown::Keep).read(bytes).unwrap();
    let partial = value.get("optimizer").unwrap().as_call("functools", "partial").unwrap();
    // functools.partial.__reduce__: the state is (function, arguments, keywords, attributes).
    let state = partial.state.as_ref().unwrap().items().unwrap();
    assert_eq!(state[1].items().unwrap(), [Value::Int(2)]);
    assert_eq!(state[2].get("mod"), Some(&Value::Int(7)));
}

#[test]
fn only_a_name_can_be_called() {
    let error = read(&pickle(b"K\x01)R.")).unwrap_err();
    assert!(matches!(error, PickleError::Malformed { offset: 5, .. }), "{error}");
}

#[test]
fn a_value_that_contains_itself_is_refused() {
    assert_eq!(read(fixture!("recursive.pkl")), Err(PickleError::Recursive));
}

#[test]
fn doubling_a_shared_value_sixty_times_exceeds_the_memory_limit() {
    let mut bytes = pickle(b"N");
    for slot in 0..60 {
        bytes.extend([b'q', slot, b'h', slot, 0x86]);
    }
    bytes.push(b'.');
    let error = read(&bytes).unwrap_err();
    assert!(matches!(error, PickleError::Limit { of: "memory", .. }), "{error}");
}

#[test]
fn a_long_string_shared_many_times_counts_as_often_as_it_is_used() {
    let mut bytes = pickle(b"(X\x10\x27\x00\x00");
    bytes.extend([b'a'; 10_000]);
    bytes.extend(b"q\x00");
    bytes.extend(b"h\x00".repeat(1000));
    bytes.extend(b"t.");
    let limits = |memory| Limits { memory, ..Limits::default() };
    let reader = Reader::new(&[]);
    assert!(reader.clone().with_limits(limits(11_000_000)).read(&bytes).is_ok());
    assert!(reader.with_limits(limits(10_000_000)).read(&bytes).is_err());
}

#[test]
fn a_million_nested_lists_exceed_the_depth_limit_without_recursion() {
    let nested = |depth| pickle([vec![b']'; depth], vec![b'a'; depth - 1], vec![b'.']].concat());
    let error = read(&nested(1_000_000)).unwrap_err();
    assert_eq!(error, PickleError::Limit { of: "depth", found: None, limit: 100 });
    assert!(read(&nested(101)).is_ok());
    assert!(read(&nested(102)).is_err());
}

#[test]
fn the_length_of_the_input_is_limited() {
    let limits = Limits { input: 3, ..Limits::default() };
    let error = Reader::new(&[]).with_limits(limits).read(&pickle(b"N.")).unwrap_err();
    assert_eq!(error, PickleError::Limit { of: "input", found: Some(4), limit: 3 });
}

#[test]
fn a_length_beyond_the_input_is_an_error_before_anything_is_allocated() {
    let error = read(b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff.").unwrap_err();
    let expected = PickleError::Truncated { offset: 11, needed: u64::MAX, left: 1 };
    assert_eq!(error, expected);
}

#[test]
fn a_key_that_occurs_twice_is_an_error() {
    let entry = b"X\x01\x00\x00\x00kNs";
    let error = read(&pickle([b"}", &entry[..], entry, b"."].concat())).unwrap_err();
    assert_eq!(error, PickleError::DuplicateKey { key: "k".to_owned() });
}

#[test]
fn other_protocols_and_instructions_are_named() {
    let found = b"I1".to_vec();
    assert_eq!(read(b"I1\n."), Err(PickleError::NotAPickle { found }));
    // PERSID of protocol 0.
    let opcode = b'P';
    assert_eq!(read(&pickle(b"Pid\n.")), Err(PickleError::Opcode { offset: 2, opcode }));
}

#[test]
fn bytes_after_the_end_are_an_error() {
    assert_eq!(read(&pickle(b"N.N")), Err(PickleError::Trailing { end: 4, extra: 1 }));
}

#[test]
fn a_mark_shields_what_is_below_it() {
    let error = read(&pickle(b"K\x01(\x85.")).unwrap_err();
    assert!(matches!(error, PickleError::Malformed { offset: 5, .. }), "{error}");
}

#[test]
fn a_pickle_cut_off_anywhere_is_an_error() {
    for bytes in VALUES {
        for length in 0..bytes.len() {
            let error = read(&bytes[..length]).unwrap_err();
            assert!(matches!(error, PickleError::Truncated { .. }), "{length}: {error}");
        }
    }
}

#[test]
fn flipped_bits_never_let_an_unknown_name_through() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..20_000 {
        let mut bytes = VALUES[round % 4].to_vec();
        for _ in 0..=round % 3 {
            // xorshift64 (Marsaglia 2003).
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let bit = usize::try_from(random % (8 * bytes.len() as u64)).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        if let Ok(value) = read(&bytes) {
            assert_known(&value);
        }
    }
}

fn assert_known(value: &Value) {
    match value {
        Value::Global(global) => assert!(global.is("collections", "OrderedDict")),
        Value::Object(object) => assert!(object.global.is("collections", "OrderedDict")),
        _ => {}
    }
    value.items().into_iter().flatten().for_each(assert_known);
    for (key, value) in value.entries().into_iter().flatten() {
        assert_known(key);
        assert_known(value);
    }
}
