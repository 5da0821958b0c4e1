//! From files, environment and flags to one raw configuration.

use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat};

use super::raw::Raw;
use crate::model::{Fault, Place, Severity};

/// The prefix of environment variables; `DIALCAST_DIRECTORY__BIND_DN` is `directory.bind_dn`.
pub(crate) const ENVIRONMENT_PREFIX: &str = "DIALCAST_";

/// The variables whose values are lines: policy lines and DNs hold commas.
const LINES_VARIABLES: [&str; 2] = ["DIALCAST_POLICY__SETTINGS", "DIALCAST_GUARDS__CANARIES"];

/// Keys whose values are lists, separated by commas in a variable.
const COMMA_LISTS: &[&str] = &[
    "listen",
    "identity.aor",
    "identity.tel",
    "identity.display_name",
    "directory.failover",
    "directory.also",
    "directory.nameservers",
    "directory.server_domains",
];

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
    /// `--staging`.
    pub staging: bool,
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
    // The file alone first: what is wrong with it is then told of it, and not of the environment.
    let file = builder.build_cloned().and_then(config::Config::try_deserialize::<Raw>);
    file.map_err(|error| Box::new(whole(flags.config.as_deref(), &error)))?;
    // A policy line may hold commas and semicolons, a listener or an attribute's name none.
    for (separator, lists) in [("\n", ["policy.settings", "policy.networks", "guards.canaries"].as_slice()), (",", COMMA_LISTS)] {
        let is_of = |name: &str| LINES_VARIABLES.contains(&name) == (separator == "\n");
        let variables = environment.iter().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX) && is_of(name)).cloned().collect();
        // A variable that is set to nothing says nothing.
        let mut source = Environment::with_prefix(ENVIRONMENT_PREFIX.trim_end_matches('_'))
            .prefix_separator("_")
            .separator("__")
            .ignore_empty(true)
            .try_parsing(true)
            .list_separator(separator);
        for list in lists {
            source = source.with_list_parse_key(list);
        }
        builder = builder.add_source(source.source(Some(variables)));
    }
    builder = flag(builder, "directory.url", flags.directory.clone())?;
    builder = flag(builder, "listen", (!flags.listen.is_empty()).then(|| flags.listen.clone()))?;
    builder = flag(builder, "state_dir", flags.state.as_ref().map(|path| path.display().to_string()))?;
    builder = flag(builder, "staging", flags.staging.then_some(true))?;
    builder.build().and_then(config::Config::try_deserialize).map_err(|error| Box::new(whole(None, &error)))
}

type Builder = config::ConfigBuilder<config::builder::DefaultState>;

fn flag(builder: Builder, key: &str, value: Option<impl Into<config::Value>>) -> Result<Builder, Box<Fault>> {
    builder.set_override_option(key, value).map_err(|error| Box::new(whole(None, &error)))
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

/// What the crate says about a file, or about the variables, as a whole.
fn whole(path: Option<&Path>, error: &config::ConfigError) -> Fault {
    let text = error.to_string();
    let (line, column, what) = located(text.trim());
    let (place, remedy) = match path {
        Some(path) => {
            (Place::File { path: path.to_owned(), line, column }, "correct it as TOML 1.0; examples/dialcast.toml shows every key")
        }
        None => (
            Place::Config { key: "(environment)".to_owned() },
            "a variable names a table and a key with two underscores between, such as DIALCAST_DIRECTORY__URL",
        ),
    };
    Fault { severity: Severity::Error, code: "config.syntax", place, what, remedy: remedy.to_owned() }
}

/// The TOML parser's message without its picture of the line, which the fault draws itself: line, column, what.
fn located(message: &str) -> (usize, usize, String) {
    let number = |name: &str| {
        let (_, rest) = message.lines().next()?.split_once(name)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok()
    };
    match (number("at line "), number("column ")) {
        (Some(line), Some(column)) => {
            let is_picture = |line: &str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|');
            let what: Vec<&str> = message.lines().skip(1).filter(|line| !is_picture(line) && !line.trim().is_empty()).collect();
            (line, column, what.join("; "))
        }
        _ => (0, 0, message.to_owned()),
    }
}
