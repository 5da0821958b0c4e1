//! From files, environment and flags to one raw configuration.

use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat};

use super::raw::Raw;
use crate::model::{Fault, Place, Severity};

/// The prefix of environment variables; `DIALCAST_DIRECTORY__BIND_DN` is `directory.bind_dn`.
pub(crate) const ENVIRONMENT_PREFIX: &str = "DIALCAST_";

/// What the command line says; it beats the environment, which beats the file.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// `--directory URL`.
    pub directory: Option<String>,
    /// `--listen TRANSPORT:IP:PORT`, any number.
    pub listen: Vec<String>,
    /// `--state DIR`.
    pub state: Option<PathBuf>,
}

/// A configuration larger than this is not one: a mistaken path, not a list of settings.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Lays the layers over each other.
///
/// # Errors
/// One fault when the file cannot be read or is not TOML: nothing else can be said before that is repaired.
pub(crate) fn read(flags: &Flags, environment: &[(String, String)]) -> Result<Raw, Box<Fault>> {
    let mut builder = config::Config::builder();
    if let Some(path) = &flags.config {
        builder = builder.add_source(File::from_str(&text(path)?, FileFormat::Toml));
    }
    let variables = environment.iter().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)).cloned().collect();
    let mut source = Environment::with_prefix(ENVIRONMENT_PREFIX.trim_end_matches('_'))
        .prefix_separator("_")
        .separator("__")
        .try_parsing(true)
        .list_separator(",");
    for list in ["listen", "policy.settings", "identity.aor", "identity.tel", "identity.display_name"] {
        source = source.with_list_parse_key(list);
    }
    builder = builder.add_source(source.source(Some(variables)));
    builder = flag(builder, "directory.url", flags.directory.clone())?;
    builder = flag(builder, "listen", (!flags.listen.is_empty()).then(|| flags.listen.clone()))?;
    builder = flag(builder, "state_dir", flags.state.as_ref().map(|path| path.display().to_string()))?;
    let built = builder.build().map_err(|error| whole(flags.config.as_deref(), &error))?;
    built.try_deserialize().map_err(|error| whole(flags.config.as_deref(), &error))
}

type Builder = config::ConfigBuilder<config::builder::DefaultState>;

fn flag(builder: Builder, key: &str, value: Option<impl Into<config::Value>>) -> Result<Builder, Box<Fault>> {
    builder.set_override_option(key, value).map_err(|error| whole(None, &error))
}

fn text(path: &Path) -> Result<String, Box<Fault>> {
    let fault = |what: String, remedy: &str| {
        let place = Place::File { path: path.to_owned(), line: 0, column: 0 };
        Box::new(Fault { severity: Severity::Error, code: "config.file", place, what, remedy: remedy.to_owned() })
    };
    let length =
        std::fs::metadata(path).map_err(|error| fault(error.to_string(), "give the path of a readable TOML file to --config"))?.len();
    if length > FILE_BYTES_MAX {
        return Err(fault(
            format!("it has {length} octets, more than {FILE_BYTES_MAX}"),
            "give the path of a configuration in TOML to --config",
        ));
    }
    std::fs::read_to_string(path).map_err(|error| fault(error.to_string(), "give the path of a readable TOML file (UTF-8) to --config"))
}

/// What the crate says about a file or its tables as a whole.
fn whole(path: Option<&Path>, error: &config::ConfigError) -> Box<Fault> {
    let place = match path {
        Some(path) => Place::File { path: path.to_owned(), line: line_of(&error.to_string()), column: 0 },
        None => Place::Config { key: "(environment)".to_owned() },
    };
    Box::new(Fault {
        severity: Severity::Error,
        code: "config.syntax",
        place,
        what: error.to_string().trim().to_owned(),
        remedy: "correct it as TOML 1.0; examples/dialcast.toml shows every key".to_owned(),
    })
}

/// The line that the TOML parser names in its message.
fn line_of(message: &str) -> usize {
    message
        .split_once("line ")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}
