//! What both databases have in common.

use rocksdb::{InfoLogger, LogLevel, Options};

/// Options of a database that is created where it is missing and speaks through `tracing`.
pub(crate) fn base_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, |level, message| {
        tracing::debug!(?level, message, "rocksdb");
    }));
    options
}
