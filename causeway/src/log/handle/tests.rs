//! What is said, to whom it goes, and who waits for it.

use std::process::Command;

use router_core::ids::ConnectionId;

use super::super::settings::Output;
use super::*;

fn quiet() -> LogSettings {
    let mut settings = LogSettings::default();
    settings.module_mut(Module::Default).output = Some(Output::named("/dev/null"));
    settings
}

#[test]
fn lines_and_notices_are_remembered_in_order() {
    let log = Log::start(&quiet()).unwrap();
    log.line(Module::Server, Level::Notice, "first");
    let mut notices = vec![Notice::ConnectionClosed {
        connection: ConnectionId(7),
    }];
    log.notices(&mut notices);
    assert!(notices.is_empty());
    log.line(Module::Server, Level::Debug, "not enabled");
    log.flush();
    let texts: Vec<_> = log.recent(10).into_iter().map(|row| row.text).collect();
    assert_eq!(texts, ["first", "[C7] Connection Closed"]);
    assert_eq!(log.recent(1)[0].text, "[C7] Connection Closed");
}

#[test]
fn what_waits_is_bounded_in_bytes_and_what_is_lost_is_counted() {
    let (log, writer) = Log::with_writer(&quiet()).unwrap();
    let said = 100_000;
    let refused = |number| Notice::LinkRefused {
        connection: ConnectionId(number),
        name: "x".repeat(300),
        condition: "amqp:not-found",
        description: "Node not found",
    };
    let mut notices: Vec<_> = (1..=said).map(refused).collect();
    let each = notices[0].bytes();
    log.notices(&mut notices);
    writer.start().unwrap();
    log.flush();
    let text = log.recent(1).pop().unwrap().text;
    let lost = text.strip_suffix(" lines of the log were lost: the log could not keep up");
    let lost: u64 = lost.expect(&text).parse().unwrap();
    let kept = usize::try_from(said - lost).unwrap();
    assert!(kept > 0 && kept * each <= PENDING_BYTES, "{kept} of {each}");
    log.line(Module::Server, Level::Notice, "there is room again");
    log.flush();
    assert_eq!(log.recent(1)[0].text, "there is room again");
}

#[test]
fn what_no_level_asks_for_takes_no_room() {
    let (log, writer) = Log::with_writer(&quiet()).unwrap();
    let key = router_core::ids::AddressKey::from("Mq".repeat(100));
    let added = Notice::AddressAdded { key };
    log.notices(&mut vec![added; 200_000]);
    log.notices(&mut vec![Notice::ConnectionClosed {
        connection: ConnectionId(7),
    }]);
    writer.start().unwrap();
    log.flush();
    let texts: Vec<_> = log.recent(10).into_iter().map(|row| row.text).collect();
    assert_eq!(texts, ["[C7] Connection Closed"]);
}

#[test]
fn frames_are_written_whatever_the_level_is() {
    let log = Log::start(&quiet()).unwrap();
    let frame = Box::new(amqp_proto::Tapped {
        incoming: true,
        kind: amqp_proto::TapKind::Empty(0),
        performative: bytes::Bytes::new(),
        payload: bytes::Bytes::new(),
        payload_len: 0,
        lost: 0,
    });
    let connection = ConnectionId(1);
    log.notices(&mut vec![Notice::Frame { connection, frame }]);
    log.flush();
    assert_eq!(log.recent(1)[0].text, "[C1]:FRAME: 0 <- (EMPTY FRAME)");
}

#[test]
fn an_output_that_takes_for_ever_to_open_keeps_nobody_else_waiting() {
    let log = Log::start(&quiet()).unwrap();
    let path = std::env::temp_dir().join(format!("causeway-{}-pipe", std::process::id()));
    let mkfifo = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(mkfifo.success());
    let mut settings = quiet();
    settings.module_mut(Module::Agent).output = Some(Output::File(path.clone()));
    // Nobody reads from it.
    let text = log.configure(&settings).unwrap_err();
    assert!(text.contains("more than two seconds"), "{text}");
    log.line(Module::Agent, Level::Error, "said");
    log.flush();
    assert_eq!(log.recent(1)[0].text, "said");
    let text = log.configure(&settings).unwrap_err();
    assert!(text.contains("still being opened"), "{text}");
    let mut levels = quiet();
    levels.module_mut(Module::Agent).levels = Some(Levels::from(Level::Debug));
    log.configure(&levels).unwrap();
    log.line(Module::Agent, Level::Debug, "said in detail");
    log.flush();
    assert_eq!(log.recent(1)[0].text, "said in detail");
    // Nor is anything written to it when it can be.
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn new_settings_do_not_wait_for_what_is_still_to_be_written() {
    let (log, writer) = Log::with_writer(&quiet()).unwrap();
    let path = std::env::temp_dir().join(format!("causeway-{}-late.log", std::process::id()));
    log.line(Module::Agent, Level::Error, "before");
    let mut settings = quiet();
    settings.module_mut(Module::Agent).output = Some(Output::File(path.clone()));
    settings.module_mut(Module::Agent).timestamp = Some(false);
    log.configure(&settings).unwrap();
    log.line(Module::Agent, Level::Error, "after");
    writer.start().unwrap();
    log.flush();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "AGENT (error) after\n");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn who_reads_waits_for_what_was_said_before_but_once_only_for_a_log_that_is_behind() {
    let (log, writer) = Log::with_writer(&quiet()).unwrap();
    log.line(Module::Server, Level::Notice, "said");
    log.catch_up();
    assert!(log.recent(1).is_empty(), "nobody writes yet");
    let entries = writer.entries.try_iter().count();
    log.catch_up();
    assert_eq!((entries, writer.entries.try_iter().count()), (2, 0));
    writer.start().unwrap();
    log.flush();
    log.line(Module::Server, Level::Notice, "said again");
    log.catch_up();
    assert_eq!(log.recent(1)[0].text, "said again");
}

#[test]
fn new_settings_apply_to_what_is_said_afterwards() {
    let log = Log::start(&quiet()).unwrap();
    let mut settings = quiet();
    settings.module_mut(Module::Agent).levels = Some(Levels::from(Level::Debug));
    log.configure(&settings).unwrap();
    assert!(log.is_enabled(Module::Agent, Level::Debug));
    assert!(!log.is_enabled(Module::Server, Level::Debug));
    settings.module_mut(Module::Agent).output = Some(Output::named("/nonexistent/x"));
    assert!(
        log.configure(&settings)
            .unwrap_err()
            .contains("/nonexistent/x")
    );
    log.line(Module::Agent, Level::Debug, "said");
    log.flush();
    assert_eq!(log.recent(1)[0].text, "said");
}

/// A pipe that nobody reads.
fn pipe(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("causeway-{}-{name}", std::process::id()));
    let mkfifo = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(mkfifo.success());
    path
}

#[test]
fn files_are_opened_anew_beside_one_that_takes_for_ever() {
    let (hangs, rotates) = (pipe("hangs"), pipe("rotates.log"));
    std::fs::remove_file(&rotates).unwrap();
    // Somebody reads from the pipe while it is opened first.
    let reads = std::fs::File::options().read(true).write(true).open(&hangs);
    let mut settings = quiet();
    settings.module_mut(Module::Agent).output = Some(Output::File(hangs.clone()));
    settings.module_mut(Module::Server).output = Some(Output::File(rotates.clone()));
    settings.module_mut(Module::Server).timestamp = Some(false);
    let log = Log::start(&settings).unwrap();
    drop(reads);
    log.line(Module::Server, Level::Notice, "before");
    log.flush();
    let old = rotates.with_extension("1");
    std::fs::rename(&rotates, &old).unwrap();
    log.reopen();
    while !rotates.exists() {
        thread::yield_now();
    }
    log.reopen();
    let words = "still being opened; the file that was open is written to further";
    while !std::fs::read_to_string(&rotates).unwrap().contains(words) {
        log.flush();
    }
    // Nor does it stop the settings that lead away from it.
    settings.module_mut(Module::Agent).output = None;
    log.configure(&settings).unwrap();
    log.line(Module::Server, Level::Notice, "after");
    log.flush();
    let text = std::fs::read_to_string(&rotates).unwrap();
    assert!(text.ends_with("SERVER (notice) after\n"), "{text}");
    assert_eq!(
        std::fs::read_to_string(&old).unwrap(),
        "SERVER (notice) before\n"
    );
    for path in [hangs, rotates, old] {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn changes_of_outputs_that_nobody_takes_are_refused_before_they_are_many() {
    let (log, writer) = Log::with_writer(&quiet()).unwrap();
    for _ in 0..CHANGES_WAITING {
        log.configure(&quiet()).unwrap();
    }
    let text = log.configure(&quiet()).unwrap_err();
    assert!(text.contains("takes nothing"), "{text}");
    writer.start().unwrap();
    log.flush();
    log.configure(&quiet()).unwrap();
}
