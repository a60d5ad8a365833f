//! The log. One test, as there is one log.

use std::sync::{Arc, Mutex};

use peft::{disable_log, set_log_level, set_logger, LogLevel, MergeOptions};

use crate::common::model;

#[test]
fn lines_go_to_the_logger_that_is_set() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let model = model(&["german"]);
    let warn = || {
        // A load or set while something is merged logs a warning.
        model.merge_adapter(&["german"], &MergeOptions::new()).unwrap();
        model.set_adapter(&["german"]).unwrap();
    };
    let kept = Arc::clone(&lines);
    set_logger(move |level, line| {
        kept.lock().unwrap().push((level, line.to_owned()));
    });
    warn();
    let seen = std::mem::take(&mut *lines.lock().unwrap());
    assert!(
        seen.iter().any(|(level, line)| *level == LogLevel::Warning
            && line.contains("merge")),
        "{seen:?}"
    );

    set_log_level(LogLevel::None).unwrap();
    warn();
    assert!(lines.lock().unwrap().is_empty());
    set_log_level(LogLevel::Info).unwrap();
    assert!(set_log_level(LogLevel::Unknown(9)).is_err());

    let count = Arc::new(Mutex::new(0));
    let kept = Arc::clone(&count);
    set_logger(move |_, _| {
        *kept.lock().unwrap_or_else(|error| error.into_inner()) += 1;
        panic!("of the logger");
    });
    assert_eq!(Arc::strong_count(&lines), 1, "the first logger is dropped");
    warn();
    warn();
    let seen = *count.lock().unwrap_or_else(|error| error.into_inner());
    assert!(seen >= 2);

    disable_log();
    assert_eq!(Arc::strong_count(&count), 1);
    assert!(lines.lock().unwrap().is_empty());
}
