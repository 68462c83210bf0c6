//! What a person may type while a mesh runs.
//!
//! Owns the words, their reading and their doing; it prints nothing.

use crate::cli::quantity::parse_duration;
use crate::cluster::{Cluster, LinkState};

/// All commands, for the screen.
pub(super) const HELP: &str = "kill B   start B   cut A-B   heal A-B   freeze A-B   \
    delay A-B 50ms   add D A B   quit";

/// Something to do to the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Nothing was typed.
    Nothing,
    /// Say what there is.
    Help,
    /// End.
    Quit,
    /// A router dies.
    Kill(String),
    /// It comes back.
    Start(String),
    /// A router that was not there is linked to these, at these costs.
    Add(String, Vec<(String, u32)>),
    /// A link becomes so.
    Link(String, String, LinkState),
}

impl Command {
    /// Reads a line; names of routers are in capitals, whatever was typed, where there is no other.
    pub(super) fn read(line: &str, names: &[String]) -> Result<Self, String> {
        let name = |word: &str| {
            let capitals = word.to_ascii_uppercase();
            let is_known = |name: &str| names.iter().any(|known| known == name);
            if is_known(&capitals) && !is_known(word) {
                capitals
            } else {
                word.to_owned()
            }
        };
        let ends = |word: &str| match word.split_once('-') {
            Some((one, other)) => Ok((name(one), name(other))),
            None => Err(format!("`{word}` is no link: write A-B")),
        };
        let link = |word: &str, state| {
            let (one, other) = ends(word)?;
            Ok(Self::Link(one, other, state))
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => Ok(Self::Nothing),
            ["help" | "?"] => Ok(Self::Help),
            ["quit" | "exit" | "q"] => Ok(Self::Quit),
            ["kill", router] => Ok(Self::Kill(name(router))),
            ["start" | "restart", router] => Ok(Self::Start(name(router))),
            ["cut", at] => link(at, LinkState::Cut),
            ["heal", at] => link(at, LinkState::Up),
            ["freeze", at] => link(at, LinkState::Frozen),
            ["delay", at, time] => link(at, LinkState::Delayed(parse_duration(time)?)),
            ["add", router, peers @ ..] => {
                let peer = |word: &&str| match word.split_once(':') {
                    None => Ok((name(word), 1)),
                    Some((peer, cost)) => match cost.parse() {
                        Ok(cost) => Ok((name(peer), cost)),
                        Err(_) => Err(format!("`{cost}` is no cost: write B:5")),
                    },
                };
                let peers: Result<_, _> = peers.iter().map(peer).collect();
                Ok(Self::Add((*router).to_owned(), peers?))
            }
            _ => Err(format!(
                "`{}` is no command; there are: {HELP}",
                line.trim()
            )),
        }
    }

    /// Does it; what there is to say of it.
    pub(super) fn run(&self, cluster: &mut Cluster) -> Result<String, String> {
        let done = match self {
            Self::Nothing | Self::Quit => return Ok(String::new()),
            Self::Help => return Ok(HELP.to_owned()),
            Self::Kill(router) => cluster.kill(router).map(|()| format!("killed {router}")),
            Self::Start(router) => cluster
                .restart(router)
                .map(|()| format!("started {router}")),
            Self::Add(router, peers) => {
                let peers: Vec<(&str, u32)> = peers
                    .iter()
                    .map(|(peer, cost)| (peer.as_str(), *cost))
                    .collect();
                cluster
                    .add(router, &peers)
                    .map(|()| format!("added {router}"))
            }
            Self::Link(one, other, state) => {
                let said = match state {
                    LinkState::Up => "healed".to_owned(),
                    state => state.to_string(),
                };
                let set = cluster.set_link(one, other, *state);
                set.map(|()| format!("{one}-{other}: {said}"))
            }
        };
        done.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(line: &str) -> Result<Command, String> {
        Command::read(line, &["A".to_owned(), "B".to_owned(), "x".to_owned()])
    }

    #[test]
    fn lines_become_commands() {
        let (a, b) = ("A".to_owned(), "B".to_owned());
        assert_eq!(read("  kill b "), Ok(Command::Kill(b.clone())));
        assert_eq!(read("start x"), Ok(Command::Start("x".to_owned())));
        let cut = Command::Link(a.clone(), b.clone(), LinkState::Cut);
        assert_eq!(read("cut a-B"), Ok(cut));
        let late = LinkState::Delayed(Duration::from_millis(50));
        assert_eq!(
            read("delay A-B 50ms"),
            Ok(Command::Link(a.clone(), b.clone(), late))
        );
        let add = Command::Add("d".to_owned(), vec![(a, 1), (b, 5)]);
        assert_eq!(read("add d a B:5"), Ok(add));
        assert_eq!(read(""), Ok(Command::Nothing));
        assert_eq!(read("q"), Ok(Command::Quit));
    }

    #[test]
    fn what_is_no_command_is_told_with_what_is() {
        assert_eq!(read("cut A").unwrap_err(), "`A` is no link: write A-B");
        assert_eq!(read("add d a:x").unwrap_err(), "`x` is no cost: write B:5");
        assert!(read("delay A-B soon").is_err());
        for line in ["jump", "kill", "kill A B"] {
            assert!(
                read(line)
                    .unwrap_err()
                    .contains("is no command; there are: kill B")
            );
        }
    }
}
