//! A terminal that is drawn over again and again, with a line to type in, or keys to press.
//!
//! Owns the mode of the terminal and gives it back, whatever happens. It needs no library for
//! that: the few sequences used here are those that every terminal has understood for decades.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::cli::client::interrupt::Interrupt;
use crate::cli::failure::Failure;

/// Another screen, no wrapping.
const BEGIN: &str = "\x1b[?1049h\x1b[?7l";
/// Wrapping, the screen that was there before.
const END: &str = "\x1b[?7h\x1b[?1049l";
/// To the far corner and back, telling on the way how far it is.
const HOW_LARGE: &str = "\x1b7\x1b[999;999H\x1b[6n\x1b8";

/// How long the answer to the last question may be on its way.
const LAST_ANSWER: Duration = Duration::from_millis(50);

/// Lines of a terminal that does not tell.
const HEIGHT: usize = 24;

/// Characters of a line that are taken.
const TYPED_MAX: usize = 200;

/// Bytes read from standard input at once.
const READ: usize = 1024;

/// The terminal while it is ours.
pub(super) struct Terminal {
    before: Termios,
    typing: Typing,
}

impl Terminal {
    /// Takes the terminal: what is typed comes at once and is not echoed.
    ///
    /// # Errors
    ///
    /// It is no terminal.
    pub(super) fn take() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd())?;
        let mut ours = before.clone();
        ours.local_flags &= !(LocalFlags::ICANON | LocalFlags::ECHO);
        // Who leaves for a moment would come back to a terminal that echoes.
        ours.control_chars[SpecialCharacterIndices::VSUSP as usize] = 0;
        // Who ends by it would leave one that does not.
        ours.control_chars[SpecialCharacterIndices::VQUIT as usize] = 0;
        tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &ours)?;
        let terminal = Self {
            before,
            typing: Typing::default(),
        };
        write(BEGIN)?;
        Ok(terminal)
    }

    /// How many lines there is room for above the last one.
    pub(super) fn room(&self) -> usize {
        self.typing.height.saturating_sub(1)
    }

    /// Takes what was pressed; the characters, without what the terminal tells.
    pub(super) fn pressed(&mut self, bytes: &[u8]) -> Vec<char> {
        let keys = bytes.iter().filter_map(|byte| self.typing.key(*byte));
        let mut keys: Vec<char> = keys.collect();
        keys.extend(self.typing.lone_escape());
        keys
    }

    /// Takes what was typed; the lines that it completes.
    pub(super) fn typed(&mut self, bytes: &[u8]) -> Vec<Line> {
        let lines = bytes.iter().filter_map(|byte| self.typing.take(*byte));
        lines.collect()
    }

    /// Draws these lines, as many as there is room for, and the one that is being typed.
    ///
    /// # Errors
    ///
    /// The terminal has gone.
    pub(super) fn draw(&self, lines: &[String]) -> io::Result<()> {
        self.draw_above(lines, &format!("> {}", self.typing.line))
    }

    /// Draws these lines, as many as there is room for, and the last one.
    ///
    /// # Errors
    ///
    /// The terminal has gone.
    pub(super) fn draw_above(&self, lines: &[String], last: &str) -> io::Result<()> {
        let mut text = String::from("\x1b[H");
        for line in lines.iter().take(self.room()) {
            text.push_str(line);
            text.push_str("\x1b[K\n");
        }
        text.push_str("\x1b[J");
        text.push_str(last);
        write(&text)
    }

    /// Asks how large it is; the answer comes among what is typed.
    ///
    /// # Errors
    ///
    /// The terminal has gone.
    pub(super) fn measure(&self) -> io::Result<()> {
        write(HOW_LARGE)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let stdin = io::stdin();
        // Nobody is left to be told.
        drop(write(END));
        // Its last answer is not for the shell.
        thread::sleep(LAST_ANSWER);
        tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &self.before).unwrap_or_default();
    }
}

/// The wish to stop of who draws on the terminal: the first signal asks for an orderly end, the
/// second gives the terminal back and ends the process.
///
/// # Errors
///
/// There is no terminal, or the operating system refuses the signal handlers.
pub(super) fn interrupt() -> Result<Interrupt, Failure> {
    let failed = |error: io::Error| Failure::new(format!("cannot watch for signals: {error}"));
    let before = tcgetattr(io::stdin().as_fd()).map_err(|error| failed(error.into()))?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT]).map_err(failed)?;
    let raised = Arc::new(AtomicBool::new(false));
    let interrupt = Interrupt::by(Arc::clone(&raised));
    let work = move || {
        for signal in &mut signals {
            if raised.swap(true, Ordering::Relaxed) {
                drop(write(END));
                tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &before).unwrap_or_default();
                emulate_default_handler(signal).unwrap_or_default();
            }
        }
    };
    let started = thread::Builder::new()
        .name("signals".to_owned())
        .spawn(work);
    started.map(|_| interrupt).map_err(failed)
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Reads standard input on a thread of its own, which ends with it or with the process.
///
/// # Errors
///
/// There can be no such thread.
pub(super) fn read_input() -> Result<Receiver<Vec<u8>>, Failure> {
    let (typed, input) = mpsc::channel();
    let work = move || {
        let mut buffer = [0; READ];
        while let Ok(count @ 1..) = io::stdin().read(&mut buffer) {
            let read = buffer.get(..count).unwrap_or_default();
            if typed.send(read.to_vec()).is_err() {
                break;
            }
        }
    };
    let name = "typing".to_owned();
    let started = thread::Builder::new().name(name).spawn(work);
    let failed = |error| Failure::new(format!("cannot read what is typed: {error}"));
    started.map(|_| input).map_err(failed)
}

/// A line that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// This one.
    Text(String),
    /// The end of all typing.
    End,
}

/// What has been typed so far, and what the terminal has told in between.
#[derive(Debug)]
struct Typing {
    line: String,
    last: String,
    sequence: Option<String>,
    height: usize,
}

impl Default for Typing {
    fn default() -> Self {
        Self {
            line: String::new(),
            last: String::new(),
            sequence: None,
            height: HEIGHT,
        }
    }
}

impl Typing {
    /// A key that stands for itself.
    fn key(&mut self, byte: u8) -> Option<char> {
        (!self.is_told(byte) && byte.is_ascii()).then(|| char::from(byte))
    }

    /// Takes what is part of a sequence, which nobody has typed as it is.
    fn is_told(&mut self, byte: u8) -> bool {
        if byte == 0x1b {
            self.sequence = Some(String::new());
            return true;
        }
        let Some(mut sequence) = self.sequence.take() else {
            return false;
        };
        sequence.push(char::from(byte));
        self.go_on(sequence);
        true
    }

    /// The key Esc, if what was read ends with it: what a terminal tells comes in one piece.
    fn lone_escape(&mut self) -> Option<char> {
        self.sequence.take_if(|sequence| sequence.is_empty())?;
        Some('\x1b')
    }

    fn take(&mut self, byte: u8) -> Option<Line> {
        if self.is_told(byte) {
            return None;
        }
        match byte {
            b'\r' | b'\n' => {
                let line = std::mem::take(&mut self.line);
                self.last.clone_from(&line);
                return Some(Line::Text(line));
            }
            0x04 if self.line.is_empty() => return Some(Line::End),
            0x08 | 0x7f => drop(self.line.pop()),
            0x15 => self.line.clear(),
            b' '..=b'~' if self.line.len() < TYPED_MAX => self.line.push(char::from(byte)),
            _ => {}
        }
        None
    }

    /// Goes on with a sequence: `[`, parameters, a letter that says what it is.
    fn go_on(&mut self, sequence: String) {
        let Some(parameters) = sequence.strip_prefix('[') else {
            return;
        };
        match parameters.chars().last() {
            Some('R') => {
                let row = parameters
                    .split(';')
                    .next()
                    .and_then(|row| row.parse().ok());
                self.height = row.unwrap_or(self.height);
            }
            // Up: the last line again.
            Some('A') => self.line.clone_from(&self.last),
            Some('@'..='~') => {}
            _ if sequence.len() < TYPED_MAX => self.sequence = Some(sequence),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(typing: &mut Typing, text: &str) -> Vec<Line> {
        text.bytes().filter_map(|byte| typing.take(byte)).collect()
    }

    fn line(text: &str) -> Line {
        Line::Text(text.to_owned())
    }

    #[test]
    fn lines_can_be_typed_and_mended() {
        let mut typing = Typing::default();
        assert_eq!(type_in(&mut typing, "kill A\x7fB\n"), [line("kill B")]);
        assert_eq!(type_in(&mut typing, "oh no\x15quit\r"), [line("quit")]);
        assert_eq!(type_in(&mut typing, "\x1b[A\n"), [line("quit")]);
        assert_eq!(type_in(&mut typing, "x\x04\x08\x04"), [Line::End]);
    }

    #[test]
    fn what_the_terminal_tells_is_not_typing() {
        let mut typing = Typing::default();
        assert_eq!(
            type_in(&mut typing, "cut\x1b[50;132R A-B\n"),
            [line("cut A-B")]
        );
        assert_eq!(typing.height, 50);
        let keys: String = b"s\x1b[24;80R/q"
            .iter()
            .filter_map(|byte| typing.key(*byte))
            .collect();
        assert_eq!((keys.as_str(), typing.height), ("s/q", 24));
        assert_eq!(type_in(&mut typing, "\x1b[1;5C\x1bxa\n"), [line("a")]);
        // One sequence ends another that was not whole.
        assert_eq!(type_in(&mut typing, "\x1b[1\x1b[30;80Ra\n"), [line("a")]);
        assert_eq!(typing.height, 30);
    }

    #[test]
    fn escape_alone_is_a_key() {
        let mut typing = Typing::default();
        assert_eq!(typing.key(0x1b), None);
        assert_eq!(typing.lone_escape(), Some('\x1b'));
        assert_eq!((typing.key(b'q'), typing.lone_escape()), (Some('q'), None));
    }
}
