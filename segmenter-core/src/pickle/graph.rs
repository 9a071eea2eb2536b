//! The values of a pickle while it is being read, and the tree made of them at its end.
//!
//! A list or dictionary of a pickle is filled after it was put into the memo, and so after others
//! may refer to it. Therefore values are nodes that are named by number until all is known.

use std::{collections::HashSet, sync::Arc};

use super::{Global, Limits, Object, PickleError, Value};

/// The number of a node.
pub(super) type Id = usize;

#[derive(Debug)]
pub(super) enum Node {
    /// A value without parts.
    Leaf(Value),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Object(Call),
    Persistent(Id),
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) global: Global,
    pub(super) arguments: Id,
    pub(super) keywords: Option<Id>,
    pub(super) state: Option<Id>,
    pub(super) items: Vec<Id>,
    pub(super) entries: Vec<(Id, Id)>,
}

#[derive(Debug)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    memory: usize,
    limits: Limits,
}

impl Graph {
    pub(super) fn new(limits: Limits) -> Self {
        Self { nodes: Vec::new(), memory: 0, limits }
    }

    pub(super) fn add(&mut self, node: Node) -> Result<Id, PickleError> {
        self.charge(own_size(&node))?;
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// Counts memory that a node takes on after it was added.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), PickleError> {
        self.memory = self.memory.saturating_add(bytes);
        if self.memory > self.limits.memory { Err(self.too_much_memory()) } else { Ok(()) }
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    pub(super) fn node_mut(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id]
    }

    fn too_much_memory(&self) -> PickleError {
        PickleError::Limit { of: "memory", found: None, limit: self.limits.memory }
    }

    /// The tree under a node. Parts come before the whole, without recursion: how deep the nodes
    /// are nested is known only afterwards.
    pub(super) fn into_value(self, root: Id) -> Result<Value, PickleError> {
        let mut built: Vec<Built> = Vec::new();
        built.resize_with(self.nodes.len(), Built::default);
        let mut pending = vec![root];
        while let Some(&id) = pending.last() {
            match built[id].state {
                State::Untouched => {
                    built[id].state = State::Open;
                    for part in parts(&self.nodes[id]) {
                        match built[part].state {
                            State::Untouched => pending.push(part),
                            State::Open => return Err(PickleError::Recursive),
                            State::Done(_) => {}
                        }
                    }
                }
                State::Open => {
                    built[id] = self.build(id, &built)?;
                    pending.pop();
                }
                State::Done(_) => {
                    pending.pop();
                }
            }
        }
        built[root].value().cloned().ok_or(PickleError::Recursive)
    }

    /// The value of a node whose parts are done.
    fn build(&self, id: Id, built: &[Built]) -> Result<Built, PickleError> {
        let node = &self.nodes[id];
        let mut depth = 0;
        let mut memory = own_size(node);
        for part in parts(node) {
            depth = depth.max(built[part].depth + 1);
            memory = memory.saturating_add(built[part].memory);
        }
        if depth > self.limits.depth {
            return Err(PickleError::Limit { of: "depth", found: None, limit: self.limits.depth });
        }
        if memory > self.limits.memory {
            return Err(self.too_much_memory());
        }
        let value = assemble(node, built).ok_or(PickleError::Recursive)?;
        if let Some(entries) = value.entries() {
            check_keys(entries)?;
        }
        Ok(Built { state: State::Done(value), depth, memory })
    }
}

#[derive(Default)]
enum State {
    #[default]
    Untouched,
    Open,
    Done(Value),
}

/// What is known of a node: its value, how deep it is nested, and how much memory a copy takes.
#[derive(Default)]
struct Built {
    state: State,
    depth: usize,
    memory: usize,
}

impl Built {
    fn value(&self) -> Option<&Value> {
        if let State::Done(value) = &self.state { Some(value) } else { None }
    }
}

fn parts(node: &Node) -> Vec<Id> {
    let pairs = |entries: &[(Id, Id)]| -> Vec<Id> {
        entries.iter().flat_map(|&(key, value)| [key, value]).collect()
    };
    match node {
        Node::Leaf(_) => Vec::new(),
        Node::List(items) | Node::Tuple(items) | Node::Set(items) => items.clone(),
        Node::Dict(entries) => pairs(entries),
        Node::Persistent(id) => vec![*id],
        Node::Object(call) => {
            let mut parts = pairs(&call.entries);
            parts.push(call.arguments);
            parts.extend(call.keywords);
            parts.extend(call.state);
            parts.extend(&call.items);
            parts
        }
    }
}

/// The value of a node, if all its parts are done.
fn assemble(node: &Node, built: &[Built]) -> Option<Value> {
    let one = |id: Id| built[id].value().cloned();
    let maybe = |id: Option<Id>| id.map_or(Some(None), |id| one(id).map(Some));
    let many = |items: &[Id]| items.iter().map(|&id| one(id)).collect::<Option<Vec<_>>>();
    let pairs = |entries: &[(Id, Id)]| {
        let pair = |&(key, value): &(Id, Id)| Some((one(key)?, one(value)?));
        entries.iter().map(pair).collect::<Option<Vec<_>>>()
    };
    Some(match node {
        Node::Leaf(value) => value.clone(),
        Node::List(items) => Value::List(many(items)?.into()),
        Node::Tuple(items) => Value::Tuple(many(items)?.into()),
        Node::Set(items) => Value::Set(many(items)?.into()),
        Node::Dict(entries) => Value::Dict(pairs(entries)?.into()),
        Node::Persistent(id) => Value::Persistent(Arc::new(one(*id)?)),
        Node::Object(call) => Value::Object(Arc::new(Object {
            global: call.global.clone(),
            arguments: one(call.arguments)?,
            keywords: maybe(call.keywords)?,
            state: maybe(call.state)?,
            items: many(&call.items)?,
            entries: pairs(&call.entries)?,
        })),
    })
}

/// The bytes that a node takes without its parts.
fn own_size(node: &Node) -> usize {
    let text = match node {
        Node::Leaf(Value::Str(text)) => text.len(),
        Node::Leaf(Value::Bytes(bytes) | Value::BigInt(bytes)) => bytes.len(),
        Node::Leaf(Value::Global(global)) => global.module.len() + global.name.len(),
        _ => 0,
    };
    size_of::<Node>().saturating_add(text)
}

/// Python writes each key once. A file with two could mean one thing to us and another to Python.
fn check_keys(entries: &[(Value, Value)]) -> Result<(), PickleError> {
    let mut seen = HashSet::new();
    for key in entries.iter().filter_map(|(key, _)| key.as_str()) {
        if !seen.insert(key) {
            return Err(PickleError::DuplicateKey { key: key.to_owned() });
        }
    }
    Ok(())
}
