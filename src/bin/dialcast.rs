//! `dialcast`: arguments in, exit code out.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use dialcast::config::Flags;
use dialcast::runtime::{
    self,
    plan::{Telling, What},
    schema::SchemaArgs,
    subscribe::SubscribeArgs,
};

/// Keeps every phone configured from the layout of the directory.
#[derive(Debug, Parser)]
#[command(name = "dialcast", version, max_term_width = 110, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Answer in JSON: one object, or one per line where the answer goes on.
    #[arg(long, global = true)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dialcast serve                                         the sample organisation, on 127.0.0.1:5060
  dialcast serve --directory ldap://127.0.0.1/dc=corp,dc=example
  dialcast subscribe sip:anna@corp.example --server sip:127.0.0.1:5060
  dialcast explain anna sip.outbound-proxy
  dialcast check --config /etc/dialcast/dialcast.toml

Exit codes: 0 done or nothing to do, 1 failed, 2 the command line is wrong, or something would change (plan) or is held (holds).";

#[derive(Debug, Subcommand)]
enum Command {
    /// The daemon: watch the directory, answer subscriptions, send what changes.
    ///
    /// Without a configuration it watches the sample organisation (examples/corp.ldif) and listens on 127.0.0.1:5060.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve {
        #[command(flatten)]
        source: SourceArgs,
        /// Listen here: udp:IP:PORT or tcp:IP:PORT; may be given several times [default: both on 127.0.0.1:5060]
        #[arg(long, value_name = "udp:IP:PORT")]
        listen: Vec<String>,
        /// Keep the last good state in this folder, and serve it after a restart
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        /// Resolve and render everything and show it, but send nothing: SUBSCRIBEs are answered 503
        #[arg(long)]
        staging: bool,
    },
    Subscribe(Box<SubscribeArgs>),
    /// Every setting of a user: its value, where it comes from, what it beat, and why.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain {
        /// The user: a uid, an address (sip:anna@corp.example, anna@corp.example), a name (cn), or a DN
        user: String,
        /// Only this setting, or those that begin so (`sip.`)
        setting: Option<String>,
        /// For a phone at this address: with the policies of its site and subnet
        #[arg(long, value_name = "IP")]
        address: Option<IpAddr>,
        #[command(flatten)]
        source: SourceArgs,
    },
    /// What to run first: DNS, TLS, clock, login, the account's rights and its too many, of every server, with remedies.
    ///
    /// Nothing is written to the directory, not even to see whether it could be.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor {
        #[command(flatten)]
        source: SourceArgs,
    },
    Schema(SchemaArgs),
    /// Faults of the configuration and the directory, with their places and remedies.
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        #[command(flatten)]
        source: SourceArgs,
        /// Fail on warnings too
        #[arg(long)]
        strict: bool,
    },
    /// What a change of the directory would push, and to whom, byte for byte. Nothing is changed, and nothing is sent.
    #[command(after_help = PLAN_EXAMPLES)]
    Plan {
        #[command(subcommand)]
        change: Option<PlanChange>,
        /// Change records as `ldapmodify` reads them (RFC 2849)
        #[arg(short, long, value_name = "LDIF")]
        file: Option<PathBuf>,
        #[command(flatten)]
        args: PlanArgs,
    },
    /// What the guards hold: deletions and losses that the daemon does not believe without being asked.
    #[command(after_help = HOLDS_EXAMPLES)]
    Holds {
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// Lets go what is held: it is meant, and goes out to the phones.
    #[command(after_help = RELEASE_EXAMPLES)]
    Release {
        /// The hold, as `dialcast holds` names it
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// Everything that is held
        #[arg(long, conflicts_with = "id")]
        all: bool,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// The live feed: what changes in the directory, for which users, and how their phones take it, with milliseconds.
    #[command(after_help = WATCH_EXAMPLES)]
    Watch {
        /// End after so many events
        #[arg(long, value_name = "N")]
        count: Option<usize>,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
}

/// A change that needs no file.
#[derive(Debug, Subcommand)]
enum PlanChange {
    /// An entry stands elsewhere, with all below it
    Move {
        /// The entry
        dn: String,
        /// What it is to stand in
        #[arg(long, value_name = "DN")]
        to: String,
    },
    /// An entry goes, with all below it
    Delete {
        /// The entry
        dn: String,
    },
}

/// They may stand before and after `move` and `delete`.
#[derive(Debug, Args)]
struct PlanArgs {
    /// The configuration, a TOML file; examples/dialcast.toml shows every key
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The directory: `ldif:PATH`, `ldap://HOST[:PORT][/BASE-DN]` or `ldaps://…` [default: the sample organisation]
    #[arg(long, value_name = "URL", global = true)]
    directory: Option<String>,
    /// Start from the state in this folder, which a daemon may be keeping, instead of reading the directory
    #[arg(long, value_name = "DIR", global = true)]
    state: Option<PathBuf>,
    /// Write each document that would be pushed into this folder, its exact octets
    #[arg(long, value_name = "DIR", global = true)]
    documents: Option<PathBuf>,
    /// Tell only of what phones subscribe to now, as the running daemon of this --config or --state says
    #[arg(long, global = true)]
    subscribed: bool,
}

const PLAN_EXAMPLES: &str = "\
Examples:
  dialcast plan move ou=Sales,ou=Berlin,dc=corp,dc=example --to ou=Lisbon,dc=corp,dc=example
  dialcast plan delete uid=anna,ou=Sales,ou=Berlin,dc=corp,dc=example --json
  dialcast plan -f change.ldif --config /etc/dialcast/dialcast.toml --documents /tmp/predicted
  dialcast plan -f change.ldif --config /etc/dialcast/dialcast.toml --subscribed

Where a daemon of this configuration runs, it is asked who subscribes now, from where, and phones are counted.

Exit codes: 0 no phone would be told anything, 2 some would, or it would be held, 1 failed (the server would refuse the change, for one).";
const WATCH_EXAMPLES: &str = "\
Examples:
  dialcast watch --state /var/lib/dialcast
  dialcast watch --config /etc/dialcast/dialcast.toml --json | jq 'select(.event == \"held\")'

Exit codes: 0 so many events were shown, 1 no daemon answers, or it has ended.";
const HOLDS_EXAMPLES: &str = "\
Examples:
  dialcast holds --state /var/lib/dialcast
  dialcast holds --config /etc/dialcast/dialcast.toml --json

Exit codes: 0 nothing is held, 2 something is, 1 no daemon answers.";
const RELEASE_EXAMPLES: &str = "\
Examples:
  dialcast release h1 --state /var/lib/dialcast
  dialcast release --all --config /etc/dialcast/dialcast.toml

Exit codes: 0 released, 1 there is no such hold, or no daemon answers.";

/// How to find the daemon.
#[derive(Debug, Args)]
struct DaemonArgs {
    /// The daemon's configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The daemon's state folder
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl DaemonArgs {
    fn flags(self) -> Flags {
        Flags { config: self.config, state: self.state, ..Flags::default() }
    }
}

const SERVE_EXAMPLES: &str = "\
Examples:
  dialcast serve
  dialcast serve --directory ldif:/srv/corp.ldif --listen udp:127.0.0.1:5070
  dialcast serve --config /etc/dialcast/dialcast.toml --state /var/lib/dialcast

Stops at SIGINT or SIGTERM with exit code 0; 1: it could not start (standard error says why).";
const EXPLAIN_EXAMPLES: &str = "\
Examples:
  dialcast explain anna
  dialcast explain sip:anna@corp.example sip.outbound-proxy
  dialcast explain anna sip. --directory ldif:/srv/corp.ldif --json
  dialcast explain anna net. --address 10.1.2.3

Exit codes: 0 explained, 1 no such user or setting, or the directory cannot be read.";
const CHECK_EXAMPLES: &str = "\
Examples:
  dialcast check
  dialcast check --config /etc/dialcast/dialcast.toml --json

Exit codes: 0 no errors (warnings and notes may be shown), 1 errors, or with --strict warnings.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  dialcast doctor --config /etc/dialcast/dialcast.toml
  dialcast doctor --directory ldaps:///dc=corp,dc=example
  dialcast doctor --config /etc/dialcast/dialcast.toml --json

Exit codes: 0 nothing failed (there may be warnings), 1 something failed.";

#[derive(Debug, Args)]
struct SourceArgs {
    /// The configuration, a TOML file; examples/dialcast.toml shows every key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory: `ldif:PATH`, `ldap://HOST[:PORT][/BASE-DN]` or `ldaps://…` [default: the sample organisation]
    #[arg(long, value_name = "URL")]
    directory: Option<String>,
}

impl SourceArgs {
    fn flags(self) -> Flags {
        Flags { config: self.config, directory: self.directory, ..Flags::default() }
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and the version are answers; what is wrong with a command line is told as its reader wants it.
        Err(error) if error.use_stderr() && std::env::args().any(|argument| argument == "--json") => {
            return runtime::misused(&error.to_string());
        }
        Err(error) => error.exit(),
    };
    let json = cli.json;
    let outcome = match cli.command {
        Command::Serve { source, listen, state, staging } => runtime::serve::run(&Flags { listen, state, staging, ..source.flags() }, json),
        Command::Subscribe(args) => runtime::subscribe::run(&args, json),
        Command::Explain { user, setting, address, source } => {
            runtime::explain::run(&source.flags(), &user, setting.as_deref(), address, json)
        }
        Command::Doctor { source } => runtime::doctor::run(&source.flags(), json),
        Command::Schema(args) => runtime::schema::run(&args, json),
        Command::Check { source, strict } => runtime::check::run(&source.flags(), strict, json),
        Command::Plan { change, file, args } => plan(change, file, args, json),
        Command::Holds { daemon } => runtime::hold_commands::holds(&daemon.flags(), json),
        Command::Watch { count, daemon } => runtime::watch::run(&daemon.flags(), count, json),
        Command::Release { id, all: _, daemon } => runtime::hold_commands::release(&daemon.flags(), id.as_deref(), json),
    };
    runtime::exit(outcome, json)
}

fn plan(change: Option<PlanChange>, file: Option<PathBuf>, args: PlanArgs, json: bool) -> Result<ExitCode, runtime::Failed> {
    let misused = |kind, what: &str| -> ! { Cli::command().error(kind, what).exit() };
    let what = match (change, file) {
        (Some(_), Some(_)) => misused(clap::error::ErrorKind::ArgumentConflict, "give one change: `move`, `delete`, or `-f LDIF`"),
        (Some(PlanChange::Move { dn, to }), None) => What::Move { dn, to },
        (Some(PlanChange::Delete { dn }), None) => What::Delete { dn },
        (None, Some(file)) => What::File(file),
        (None, None) => {
            misused(clap::error::ErrorKind::MissingRequiredArgument, "give a change: `move DN --to DN`, `delete DN`, or `-f LDIF`")
        }
    };
    let PlanArgs { config, directory, state, documents, subscribed } = args;
    let telling = Telling { documents: documents.as_deref(), subscribed, json };
    runtime::plan::run(&Flags { config, directory, state, ..Flags::default() }, &what, telling)
}
