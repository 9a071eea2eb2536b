//! The stack machine: one method for each kind of instruction.

use std::{collections::HashMap, str};

use super::{
    Global, PickleError, Reader, Value,
    cursor::Cursor,
    graph::{Call, Graph, Id, Node},
    op,
};

#[derive(Debug)]
pub(super) struct Machine<'a> {
    reader: &'a Reader<'a>,
    input: Cursor<'a>,
    graph: Graph,
    stack: Vec<Id>,
    /// Heights of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    refused: Vec<Global>,
    /// Where the current instruction begins.
    start: usize,
}

impl<'a> Machine<'a> {
    pub(super) fn new(reader: &'a Reader<'a>, bytes: &'a [u8]) -> Self {
        Self {
            reader,
            input: Cursor::new(bytes),
            graph: Graph::new(reader.limits),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            refused: Vec::new(),
            start: 0,
        }
    }

    /// Reads to the end. That a name is refused is said only there, with all others that are, and
    /// rather than any other fault.
    pub(super) fn run(mut self) -> Result<Value, PickleError> {
        let root = self.run_to_stop();
        if !self.refused.is_empty() {
            return Err(PickleError::Refused { globals: self.refused });
        }
        self.graph.into_value(root?)
    }

    fn run_to_stop(&mut self) -> Result<Id, PickleError> {
        self.protocol()?;
        loop {
            self.start = self.input.offset();
            let opcode = self.input.u8()?;
            if opcode == op::STOP {
                return self.stop();
            }
            self.step(opcode)?;
        }
    }

    /// Every pickle of protocol 2 and later begins by naming its protocol.
    fn protocol(&mut self) -> Result<(), PickleError> {
        match self.input.array() {
            Ok([op::PROTO, 2..=5]) => Ok(()),
            Ok(found) => Err(PickleError::NotAPickle { found: found.to_vec() }),
            Err(error) => Err(error),
        }
    }

    fn stop(&mut self) -> Result<Id, PickleError> {
        let extra = self.input.left();
        if extra > 0 {
            return Err(PickleError::Trailing { end: self.input.offset(), extra });
        }
        let root = self.pop()?;
        if !self.stack.is_empty() || !self.marks.is_empty() {
            return Err(self.malformed("values are left over at the end"));
        }
        Ok(root)
    }

    fn step(&mut self, opcode: u8) -> Result<(), PickleError> {
        match opcode {
            op::NONE => self.leaf(Value::None),
            op::NEWTRUE => self.leaf(Value::Bool(true)),
            op::NEWFALSE => self.leaf(Value::Bool(false)),
            op::BININT | op::BININT1 | op::BININT2 | op::LONG1 | op::LONG4 => self.integer(opcode),
            op::BINFLOAT => {
                // The one number in a pickle that is big-endian.
                let number = f64::from_be_bytes(self.input.array()?);
                self.leaf(Value::Float(number))
            }
            op::SHORT_BINUNICODE | op::BINUNICODE | op::BINUNICODE8 => self.text(opcode),
            op::SHORT_BINBYTES | op::BINBYTES | op::BINBYTES8 | op::BYTEARRAY8 => {
                self.bytes(opcode)
            }
            op::EMPTY_TUPLE => self.push(Node::Tuple(Vec::new())),
            op::EMPTY_LIST => self.push(Node::List(Vec::new())),
            op::EMPTY_DICT => self.push(Node::Dict(Vec::new())),
            op::EMPTY_SET => self.push(Node::Set(Vec::new())),
            op::TUPLE1 => self.tuple_of(1),
            op::TUPLE2 => self.tuple_of(2),
            op::TUPLE3 => self.tuple_of(3),
            op::TUPLE => self.collect(Node::Tuple),
            op::FROZENSET => self.collect(Node::Set),
            op::MARK => self.mark(),
            op::APPEND => self.append(),
            op::APPENDS => self.appends(),
            op::ADDITEMS => self.add_items(),
            op::SETITEM => self.set_item(),
            op::SETITEMS => self.set_items(),
            op::GLOBAL => self.global(),
            op::STACK_GLOBAL => self.stack_global(),
            op::REDUCE | op::NEWOBJ => self.call(),
            op::NEWOBJ_EX => self.call_with_keywords(),
            op::BUILD => self.build(),
            op::BINPERSID => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))
            }
            op::BINPUT => self.input.u8().and_then(|slot| self.put(slot.into())),
            op::LONG_BINPUT => self.input.u32().and_then(|slot| self.put(slot)),
            op::MEMOIZE => self.memoize(),
            op::BINGET => self.input.u8().and_then(|slot| self.get(slot.into())),
            op::LONG_BINGET => self.input.u32().and_then(|slot| self.get(slot)),
            // Frames only say how much to read ahead.
            op::FRAME => self.input.u64().map(drop),
            _ => Err(PickleError::Opcode { offset: self.start, opcode }),
        }
    }
}

/// Values without parts.
impl<'a> Machine<'a> {
    fn integer(&mut self, opcode: u8) -> Result<(), PickleError> {
        let number = match opcode {
            op::BININT => i32::from_le_bytes(self.input.array()?).into(),
            op::BININT1 => self.input.u8()?.into(),
            op::BININT2 => self.input.u16()?.into(),
            _ => return self.long(opcode),
        };
        self.leaf(Value::Int(number))
    }

    fn long(&mut self, opcode: u8) -> Result<(), PickleError> {
        let length =
            if opcode == op::LONG1 { self.input.u8()?.into() } else { self.input.u32()? };
        let bytes = self.input.take(length.into())?;
        if bytes.len() > 8 {
            return self.leaf(Value::BigInt(bytes.into()));
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut extended = if negative { [0xff; 8] } else { [0; 8] };
        extended[..bytes.len()].copy_from_slice(bytes);
        self.leaf(Value::Int(i64::from_le_bytes(extended)))
    }

    fn text(&mut self, opcode: u8) -> Result<(), PickleError> {
        let bytes = self.counted(opcode)?;
        let text = str::from_utf8(bytes).map_err(|_| self.malformed("a string is not UTF-8"))?;
        self.leaf(Value::Str(text.into()))
    }

    fn bytes(&mut self, opcode: u8) -> Result<(), PickleError> {
        let bytes = self.counted(opcode)?;
        self.leaf(Value::Bytes(bytes.into()))
    }

    /// Bytes with their number before them, in a width that depends on the instruction.
    fn counted(&mut self, opcode: u8) -> Result<&'a [u8], PickleError> {
        let length = match opcode {
            op::SHORT_BINUNICODE | op::SHORT_BINBYTES => self.input.u8()?.into(),
            op::BINUNICODE | op::BINBYTES => self.input.u32()?.into(),
            _ => self.input.u64()?,
        };
        self.input.take(length)
    }

    fn leaf(&mut self, value: Value) -> Result<(), PickleError> {
        self.push(Node::Leaf(value))
    }
}

/// Containers.
impl Machine<'_> {
    fn mark(&mut self) -> Result<(), PickleError> {
        self.graph.charge(size_of::<usize>())?;
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn tuple_of(&mut self, length: usize) -> Result<(), PickleError> {
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push_filled(Node::Tuple(items), length)
    }

    fn collect(&mut self, node: fn(Vec<Id>) -> Node) -> Result<(), PickleError> {
        let items = self.pop_mark()?;
        let length = items.len();
        self.push_filled(node(items), length)
    }

    fn append(&mut self) -> Result<(), PickleError> {
        let item = self.pop()?;
        self.extend_list(vec![item])
    }

    fn appends(&mut self) -> Result<(), PickleError> {
        let items = self.pop_mark()?;
        self.extend_list(items)
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Result<(), PickleError> {
        self.graph.charge(items.len() * size_of::<Id>())?;
        match self.target()? {
            Node::List(list) => list.extend(items),
            Node::Object(call) => call.items.extend(items),
            _ => return Err(self.malformed("it appends to something that is no list")),
        }
        Ok(())
    }

    fn add_items(&mut self) -> Result<(), PickleError> {
        let items = self.pop_mark()?;
        self.graph.charge(items.len() * size_of::<Id>())?;
        match self.target()? {
            Node::Set(set) => set.extend(items),
            Node::Object(call) => call.items.extend(items),
            _ => return Err(self.malformed("it adds to something that is no set")),
        }
        Ok(())
    }

    fn set_item(&mut self) -> Result<(), PickleError> {
        let value = self.pop()?;
        let key = self.pop()?;
        self.extend_dict(&[key, value])
    }

    fn set_items(&mut self) -> Result<(), PickleError> {
        let items = self.pop_mark()?;
        self.extend_dict(&items)
    }

    fn extend_dict(&mut self, items: &[Id]) -> Result<(), PickleError> {
        self.graph.charge(size_of_val(items))?;
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(self.malformed("a key has no value"));
        };
        let pairs = pairs.iter().map(|&[key, value]| (key, value));
        match self.target()? {
            Node::Dict(entries) => entries.extend(pairs),
            Node::Object(call) => call.entries.extend(pairs),
            _ => return Err(self.malformed("it sets a key in something that is no dictionary")),
        }
        Ok(())
    }
}

/// Names, and calls that are not made.
impl Machine<'_> {
    fn global(&mut self) -> Result<(), PickleError> {
        let (module, name) = (self.input.line()?, self.input.line()?);
        let (Ok(module), Ok(name)) = (str::from_utf8(module), str::from_utf8(name)) else {
            return Err(self.malformed("a name is not UTF-8"));
        };
        self.push_global(Global { module: module.into(), name: name.into() })
    }

    fn stack_global(&mut self) -> Result<(), PickleError> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (Node::Leaf(Value::Str(module)), Node::Leaf(Value::Str(name))) =
            (self.graph.node(module), self.graph.node(name))
        else {
            return Err(self.malformed("a name is no string"));
        };
        self.push_global(Global { module: module.clone(), name: name.clone() })
    }

    /// A name that is refused is noted and read on, so that all of them can be told.
    fn push_global(&mut self, global: Global) -> Result<(), PickleError> {
        const TOLD: usize = 50;
        if !self.reader.knows(&global)
            && self.refused.len() < TOLD
            && !self.refused.contains(&global)
        {
            self.refused.push(global.clone());
        }
        self.leaf(Value::Global(global))
    }

    /// `callable(*arguments)`, or `class.__new__(class, *arguments)`: nobody runs either, and what
    /// the arguments are for is the same.
    fn call(&mut self) -> Result<(), PickleError> {
        let arguments = self.pop()?;
        self.push_call(arguments, None)
    }

    fn call_with_keywords(&mut self) -> Result<(), PickleError> {
        let (keywords, arguments) = (self.pop()?, self.pop()?);
        self.push_call(arguments, Some(keywords))
    }

    fn push_call(&mut self, arguments: Id, keywords: Option<Id>) -> Result<(), PickleError> {
        let callable = self.pop()?;
        let Node::Leaf(Value::Global(global)) = self.graph.node(callable) else {
            return Err(self.malformed("it calls something that is no named class or function"));
        };
        self.push(Node::Object(Call {
            global: global.clone(),
            arguments,
            keywords,
            state: None,
            items: Vec::new(),
            entries: Vec::new(),
        }))
    }

    fn build(&mut self) -> Result<(), PickleError> {
        let state = self.pop()?;
        match self.target()? {
            Node::Object(call) if call.state.is_none() => call.state = Some(state),
            Node::Object(_) => return Err(self.malformed("an object gets its state twice")),
            _ => return Err(self.malformed("a state is given to something that is no object")),
        }
        Ok(())
    }
}

/// The stack and the memo.
impl Machine<'_> {
    fn push(&mut self, node: Node) -> Result<(), PickleError> {
        let id = self.graph.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    fn push_filled(&mut self, node: Node, parts: usize) -> Result<(), PickleError> {
        self.graph.charge(parts * size_of::<Id>())?;
        self.push(node)
    }

    /// The top of the stack, above the last mark.
    fn top(&self) -> Result<Id, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack[floor..].last() {
            Some(&id) => Ok(id),
            None => Err(self.malformed("it takes a value from an empty stack")),
        }
    }

    fn pop(&mut self) -> Result<Id, PickleError> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        let mark = self.marks.pop().ok_or_else(|| self.malformed("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    /// The node on top of the stack, to be changed.
    fn target(&mut self) -> Result<&mut Node, PickleError> {
        let id = self.top()?;
        Ok(self.graph.node_mut(id))
    }

    fn put(&mut self, slot: u32) -> Result<(), PickleError> {
        self.graph.charge(size_of::<(u32, Id)>())?;
        let id = self.top()?;
        self.memo.insert(slot, id);
        Ok(())
    }

    fn memoize(&mut self) -> Result<(), PickleError> {
        let slot = u32::try_from(self.memo.len())
            .map_err(|_| self.malformed("the memo has more than 2^32 entries"))?;
        self.put(slot)
    }

    fn get(&mut self, slot: u32) -> Result<(), PickleError> {
        self.graph.charge(size_of::<Id>())?;
        let found = self.memo.get(&slot).copied();
        let id = found.ok_or_else(|| self.malformed("it recalls a value that was never stored"))?;
        self.stack.push(id);
        Ok(())
    }

    fn malformed(&self, reason: &'static str) -> PickleError {
        PickleError::Malformed { offset: self.start, reason }
    }
}
