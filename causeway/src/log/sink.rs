//! Writes lines to their outputs and remembers the newest ones.
//!
//! A line that cannot be written is lost and counted, and the next one that can be says how many
//! were: a full disk must not stop messages. (The incumbent ends the process.)

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::SystemTime;

use super::form::{Form, Line, object, printable, write_text};
use super::level::Level;
use super::module::Module;
use super::opener::Opened;
use super::output::Writer;
use super::settings::{Effective, LogSettings, Output};
use super::stamp::Stamper;

/// Lines that are remembered for management.
pub(super) const ROWS_MAX: usize = 1000;

/// Bytes of text in a line; longer ones are cut, and end in three dots.
pub(super) const TEXT_MAX: usize = 2048;

/// The end of a text that was cut.
const CUT: &str = "...";

/// A line as management shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who wrote it.
    pub module: Module,
    /// How severe it is.
    pub level: Level,
    /// What it says.
    pub text: String,
    /// The file of the source that wrote it.
    pub file: &'static str,
    /// The line there.
    pub line: u32,
    /// When, in seconds since 1970.
    pub time: u64,
}

/// The outputs and what goes where.
#[derive(Debug)]
pub(super) struct Sink {
    modules: Vec<Effective>,
    stamper: Stamper,
    form: Form,
    outputs: BTreeMap<Output, Writer>,
    buffer: String,
    lost: u64,
}

impl Sink {
    /// Writes to the outputs that the settings name, which are open.
    pub(super) fn new(settings: &LogSettings, opened: Opened) -> Self {
        let mut sink = Self {
            modules: Vec::new(),
            stamper: Stamper::new(settings.stamp.clone()),
            form: settings.form,
            outputs: BTreeMap::new(),
            buffer: String::new(),
            lost: 0,
        };
        sink.take(settings, opened);
        sink
    }

    /// Takes new settings, and the outputs they name that were not there.
    pub(super) fn take(&mut self, settings: &LogSettings, opened: Opened) {
        let modules = Module::ALL.into_iter();
        self.modules = modules.map(|module| settings.effective(module)).collect();
        self.stamper = Stamper::new(settings.stamp.clone());
        self.outputs.extend(opened);
        let modules = &self.modules;
        self.outputs
            .retain(|output, _| modules.iter().any(|used| used.output == *output));
    }

    /// Goes on in files that were opened anew by their names.
    pub(super) fn replace(&mut self, opened: Opened) {
        for (output, opened) in opened {
            if let Some(writer) = self.outputs.get_mut(&output) {
                self.lost += u64::from(writer.flush().is_err());
                *writer = opened;
            }
        }
    }

    /// Writes a line if its level is enabled; the row to be remembered, if it was.
    pub(super) fn write(&mut self, line: &Line<'_>) -> Option<Row> {
        let effective = &self.modules[line.module.index()];
        if !line.wanted && !effective.levels.contains(line.level) {
            return None;
        }
        let text = cut(line.text);
        let text = printable(&text);
        self.buffer.clear();
        match self.form {
            Form::Json => self.buffer.push_str(&object(line, &text, effective.source)),
            Form::Text => {
                if effective.timestamp && effective.output != Output::Syslog {
                    self.stamper.write(line.time, &mut self.buffer);
                    self.buffer.push(' ');
                }
                write_text(line, &text, effective.source, &mut self.buffer);
            }
        }
        self.buffer.push('\n');
        let writer = self.outputs.get_mut(&effective.output);
        let written = writer.is_some_and(|writer| writer.write(&self.buffer, line.level).is_ok());
        self.lost += u64::from(!written);
        Some(row(line, &text))
    }

    /// Makes sure that what was written can be read; how many lines were lost since the last time,
    /// if it can.
    pub(super) fn flush(&mut self) -> Option<u64> {
        let mut flushed = true;
        for writer in self.outputs.values_mut() {
            flushed &= writer.flush().is_ok();
        }
        if flushed && self.lost > 0 {
            Some(std::mem::take(&mut self.lost))
        } else {
            None
        }
    }
}

/// The outputs that settings name.
pub(super) fn outputs_of(settings: &LogSettings) -> BTreeSet<Output> {
    let modules = Module::ALL.into_iter();
    modules
        .map(|module| settings.effective(module).output)
        .collect()
}

/// Appends a row to the remembered ones; the oldest goes.
pub(super) fn remember(rows: &mut VecDeque<Row>, row: Row) {
    if rows.len() == ROWS_MAX {
        rows.pop_front();
    }
    rows.push_back(row);
}

fn row(line: &Line<'_>, text: &str) -> Row {
    let since = line
        .time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Row {
        module: line.module,
        level: line.level,
        text: text.to_owned(),
        file: line.source.file(),
        line: line.source.line(),
        time: since.as_secs(),
    }
}

fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= TEXT_MAX {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(TEXT_MAX - CUT.len());
    Cow::Owned(format!("{}{CUT}", &text[..end]))
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::log::level::Levels;

    fn line(module: Module, level: Level, text: &str) -> Line<'_> {
        Line {
            time: SystemTime::UNIX_EPOCH,
            module,
            level,
            wanted: false,
            text,
            source: Location::caller(),
        }
    }

    fn settings(path: &std::path::Path) -> LogSettings {
        let mut settings = LogSettings::default();
        let default = settings.module_mut(Module::Default);
        default.output = Some(Output::File(path.to_owned()));
        default.timestamp = Some(false);
        settings
    }

    fn sink(settings: &LogSettings) -> Sink {
        let open = |output: Output| (output.clone(), Writer::open(&output).unwrap());
        let opened = outputs_of(settings).into_iter().map(open);
        Sink::new(settings, opened.collect())
    }

    fn opened(path: &std::path::Path) -> Opened {
        let output = Output::File(path.to_owned());
        let writer = Writer::open(&output).unwrap();
        Opened::from([(output, writer)])
    }

    fn file(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("causeway-{}-{name}", std::process::id()));
        drop(std::fs::remove_file(&path));
        path
    }

    #[test]
    fn a_file_that_was_renamed_is_begun_anew() {
        let (path, old) = (file("rotated.log"), file("rotated.log.1"));
        let mut sink = sink(&settings(&path));
        sink.write(&line(Module::Server, Level::Info, "before"));
        std::fs::rename(&path, &old).unwrap();
        sink.write(&line(Module::Server, Level::Info, "between"));
        sink.replace(opened(&path));
        sink.write(&line(Module::Server, Level::Info, "after"));
        sink.flush();
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&old), "SERVER (info) before\nSERVER (info) between\n");
        assert_eq!(read(&path), "SERVER (info) after\n");
    }

    #[test]
    fn lines_of_enabled_levels_are_written_and_remembered() {
        let path = file("levels.log");
        let mut settings = settings(&path);
        settings.module_mut(Module::Agent).levels = Some(Levels::from(Level::Error));
        settings.module_mut(Module::Server).source = Some(true);
        let mut sink = sink(&settings);
        assert!(
            sink.write(&line(Module::Router, Level::Info, "one"))
                .is_some()
        );
        assert!(
            sink.write(&line(Module::Router, Level::Debug, "two"))
                .is_none()
        );
        assert!(
            sink.write(&line(Module::Agent, Level::Warning, "three"))
                .is_none()
        );
        let row = sink
            .write(&line(Module::Server, Level::Notice, "four"))
            .unwrap();
        assert_eq!(sink.flush(), None);
        let text = std::fs::read_to_string(&path).unwrap();
        let place = format!("({}:{})", row.file, row.line);
        assert_eq!(
            text,
            format!("ROUTER (info) one\nSERVER (notice) four {place}\n")
        );
        assert_eq!(
            (row.module, row.level, row.text.as_str()),
            (Module::Server, Level::Notice, "four")
        );
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "é".repeat(2000);
        let mut sink = sink(&settings(&file("long.log")));
        let row = sink
            .write(&line(Module::Router, Level::Info, &text))
            .unwrap();
        assert_eq!(row.text.len(), TEXT_MAX - 1);
        assert!(row.text.ends_with("é..."));
        let odd = format!("x{text}");
        let row = sink
            .write(&line(Module::Router, Level::Info, &odd))
            .unwrap();
        assert_eq!(row.text.len(), TEXT_MAX);
        std::fs::remove_file(file("long.log")).unwrap_or_default();
    }

    #[test]
    fn lost_lines_are_counted_until_writing_works_again() {
        let mut sink = sink(&settings("/dev/full".as_ref()));
        for _ in 0..10_000 {
            sink.write(&line(Module::Router, Level::Info, "lost"));
        }
        assert_eq!(sink.flush(), None);
        let path = file("found.log");
        sink.take(&settings(&path), opened(&path));
        assert!(sink.flush().is_some_and(|lost| lost > 9_000));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_newest_rows_are_remembered() {
        let mut rows = VecDeque::new();
        for number in 0..ROWS_MAX + 5 {
            let text = number.to_string();
            remember(
                &mut rows,
                row(&line(Module::Router, Level::Info, &text), &text),
            );
        }
        assert_eq!((rows.len(), rows[0].text.as_str()), (ROWS_MAX, "5"));
    }
}
