//! Patterns of addresses and the best match for an address.
//!
//! Owns a tree of tokens (the parts between `.` and `/`) in which `*` stands for one token and `#`
//! for any number of them, none included. A match prefers, from left to right, the literal token,
//! then `*`, then
//! `#` with as few tokens as will do. Decision: depth first with back-tracking, and each `#` notes
//! from which token on it has failed already: an address costs at most its tokens times the nodes
//! of the tree, whoever made it up. A clone shares its nodes, and a change copies those on the way
//! to it: a snapshot of four thousand patterns costs one level of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::limits::PATTERN_TOKENS;

/// The characters between tokens; both mean the same.
const SEPARATORS: [char; 2] = ['.', '/'];

/// One token, any.
const ONE: &str = "*";

/// Any number of tokens.
const MANY: &str = "#";

/// Why a pattern was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// It matches exactly what one in the tree matches.
    Exists,
    /// Nothing but separators.
    NoTokens,
    /// More tokens than `PATTERN_TOKENS`.
    TooManyTokens,
}

impl fmt::Display for PatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Exists => "Already exists",
            Self::NoTokens => "no tokens",
            Self::TooManyTokens => "too many tokens",
        })
    }
}

impl std::error::Error for PatternError {}

/// Values by pattern.
#[derive(Clone, Debug)]
pub struct PatternTree<T> {
    root: Node<T>,
    /// How many nodes for `#` there have been: the next one's number.
    numbers: u32,
}

#[derive(Clone, Debug)]
struct Node<T> {
    value: Option<T>,
    literal: BTreeMap<Box<str>, Arc<Self>>,
    one: Option<Arc<Self>>,
    many: Option<Arc<Self>>,
    /// Of a `#`: its name in the notes of a search.
    number: u32,
}

impl<T> Default for PatternTree<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> PatternTree<T> {
    /// A tree without patterns.
    #[must_use]
    pub fn new() -> Self {
        Self {
            root: Node::new(0),
            numbers: 0,
        }
    }

    /// The value of a pattern that matches the same as this one.
    #[must_use]
    pub fn get(&self, pattern: &str) -> Option<&T> {
        let mut node = &self.root;
        for token in normal_tokens(pattern).ok()? {
            node = match token {
                ONE => node.one.as_deref()?,
                MANY => node.many.as_deref()?,
                token => node.literal.get(token)?,
            };
        }
        node.value.as_ref()
    }

    /// The value of the pattern that fits an address best.
    #[must_use]
    pub fn best_match(&self, address: &str) -> Option<&T> {
        Search {
            address,
            failed: BTreeMap::new(),
        }
        .node(&self.root, first_token(address))
    }
}

impl<T: Clone> PatternTree<T> {
    /// Takes a value in for a pattern.
    pub fn insert(&mut self, pattern: &str, value: T) -> Result<(), PatternError> {
        let tokens = normal_tokens(pattern)?;
        let mut node = &mut self.root;
        for token in tokens {
            node = node.child(token, &mut self.numbers);
        }
        if node.value.is_some() {
            return Err(PatternError::Exists);
        }
        node.value = Some(value);
        Ok(())
    }

    /// Takes out the value of a pattern that matches the same as this one.
    pub fn remove(&mut self, pattern: &str) -> Option<T> {
        self.root.remove(&normal_tokens(pattern).ok()?)
    }
}

impl<T> Node<T> {
    fn new(number: u32) -> Self {
        Self {
            value: None,
            literal: BTreeMap::new(),
            one: None,
            many: None,
            number,
        }
    }

    /// Whether no pattern ends here or goes on from here.
    fn is_empty(&self) -> bool {
        self.value.is_none() && self.is_leaf()
    }

    /// Whether no pattern goes on from here.
    fn is_leaf(&self) -> bool {
        self.literal.is_empty() && self.one.is_none() && self.many.is_none()
    }
}

impl<T: Clone> Node<T> {
    /// The node of a further token, made if need be.
    fn child(&mut self, token: &str, numbers: &mut u32) -> &mut Self {
        let child = match token {
            ONE => self.one.get_or_insert_with(|| Arc::new(Self::new(0))),
            MANY => self.many.get_or_insert_with(|| {
                *numbers += 1;
                Arc::new(Self::new(*numbers))
            }),
            token => self
                .literal
                .entry(token.into())
                .or_insert_with(|| Arc::new(Self::new(0))),
        };
        Arc::make_mut(child)
    }

    /// Takes a value out and with it the nodes that led only there.
    fn remove(&mut self, tokens: &[&str]) -> Option<T> {
        let Some((&token, rest)) = tokens.split_first() else {
            return self.value.take();
        };
        match token {
            ONE => remove_below(&mut self.one, rest),
            MANY => remove_below(&mut self.many, rest),
            token => {
                let child = Arc::make_mut(self.literal.get_mut(token)?);
                let value = child.remove(rest);
                if child.is_empty() {
                    self.literal.remove(token);
                }
                value
            }
        }
    }
}

/// [`Node::remove`] below a wildcard.
fn remove_below<T: Clone>(child: &mut Option<Arc<Node<T>>>, rest: &[&str]) -> Option<T> {
    let value = Arc::make_mut(child.as_mut()?).remove(rest);
    if child.as_ref().is_some_and(|child| child.is_empty()) {
        *child = None;
    }
    value
}

/// A search for the best match of one address. Places in the address are byte offsets of tokens;
/// `None` is the end.
struct Search<'a> {
    address: &'a str,
    /// For each `#` that has failed, by number, the first place from which it did.
    failed: BTreeMap<u32, usize>,
}

impl<'a> Search<'a> {
    /// The best match below a node for the address from a place on.
    fn node<'t, T>(&mut self, node: &'t Node<T>, at: Option<usize>) -> Option<&'t T> {
        let Some(at) = at else {
            let many = node.many.as_ref().and_then(|many| many.value.as_ref());
            return node.value.as_ref().or(many);
        };
        self.token(node, at)
            .or_else(|| self.many(node.many.as_deref()?, at))
    }

    /// The best match that takes the token at a place by name or by `*`.
    fn token<'t, T>(&mut self, node: &'t Node<T>, at: usize) -> Option<&'t T> {
        if node.literal.is_empty() && node.one.is_none() {
            return None;
        }
        let (token, next) = token_at(self.address, at);
        let literal = node
            .literal
            .get(token)
            .and_then(|child| self.node(child, next));
        literal.or_else(|| self.node(node.one.as_deref()?, next))
    }

    /// The best match that takes any number of tokens from a place on by this `#`.
    fn many<'t, T>(&mut self, many: &'t Node<T>, at: usize) -> Option<&'t T> {
        if many.is_leaf() {
            return many.value.as_ref();
        }
        let failed = self.failed.get(&many.number).copied().unwrap_or(usize::MAX);
        let mut place = Some(at);
        while let Some(here) = place
            && here < failed
        {
            if let Some(value) = self.token(many, here) {
                return Some(value);
            }
            place = token_at(self.address, here).1;
        }
        if at < failed {
            self.failed.insert(many.number, at);
        }
        many.value.as_ref()
    }
}

/// The pattern without separators at its ends.
#[must_use]
pub fn trim_separators(pattern: &str) -> &str {
    pattern.trim_matches(SEPARATORS)
}

/// The tokens of a pattern, in a run of wildcards each `*` before one `#`: so patterns that match
/// the same are the same.
fn normal_tokens(pattern: &str) -> Result<Vec<&str>, PatternError> {
    let pattern = trim_separators(pattern);
    if pattern.is_empty() {
        return Err(PatternError::NoTokens);
    }
    let mut tokens: Vec<&str> = Vec::new();
    for token in pattern.split(SEPARATORS) {
        match (tokens.last(), token) {
            (Some(&MANY), MANY) => continue,
            (Some(&MANY), ONE) => tokens.insert(tokens.len() - 1, ONE),
            _ => tokens.push(token),
        }
        if tokens.len() > PATTERN_TOKENS {
            return Err(PatternError::TooManyTokens);
        }
    }
    Ok(tokens)
}

/// The place of the first token of an address: separators before it do not count.
fn first_token(address: &str) -> Option<usize> {
    address.find(|character| !SEPARATORS.contains(&character))
}

/// The token at a place and the place of the next one. A separator at the very end begins none.
fn token_at(address: &str, at: usize) -> (&str, Option<usize>) {
    let rest = &address[at..];
    let Some(length) = rest.find(SEPARATORS) else {
        return (rest, None);
    };
    let next = at + length + 1;
    (&rest[..length], (next < address.len()).then_some(next))
}

#[cfg(test)]
mod tests;
