//! The router's log: what was noticed, in words, by module and level, to files, streams or the
//! system's log, from a thread of its own.

mod form;
mod handle;
mod level;
mod module;
mod opener;
mod output;
mod settings;
mod sink;
mod stamp;
mod words;

pub use form::Form;
pub use handle::Log;
pub use level::{Level, Levels};
pub use module::Module;
pub use settings::{LogSettings, ModuleSettings, Output};
pub use sink::Row;
pub use stamp::Stamp;
