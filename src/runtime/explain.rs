//! `dialcast explain`: every value of a user, where it comes from, and what it beat.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;

use super::{Failed, answer, configuration, tokio_runtime};
use crate::config::Flags;
use crate::directory::{self, Source};
use crate::model::{Fault, Timestamp};
use crate::policy;
use crate::policy::catalogue::Setting;
use crate::store::{Snapshot, Store};

/// The directory, read once.
pub(super) struct ReadOnce {
    pub(super) snapshot: Snapshot,
    pub(super) faults: Vec<Fault>,
}

/// Reads the whole directory once.
pub(super) async fn read(source: &Source) -> Result<ReadOnce, Failed> {
    let (events, mut faults) = directory::read(source.clone()).await.map_err(|error| Failed::Faults(error.faults()))?;
    let mut store = Store::new();
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    for event in events {
        faults.extend(store.apply(event, Timestamp(now)).faults);
    }
    let snapshot = store.snapshot();
    if !snapshot.is_complete() {
        return Err(Failed::Faults(faults));
    }
    Ok(ReadOnce { snapshot, faults })
}

/// Explains one user, or one setting of the user, on standard output; for an endpoint at an address, if one is given.
///
/// # Errors
/// When the configuration has faults, the directory cannot be read, or there is no such user or setting.
pub fn run(flags: &Flags, user: &str, setting: Option<&str>, address: Option<IpAddr>, json: bool) -> Result<ExitCode, Failed> {
    let (config, _) = configuration(flags)?;
    let runtime = tokio_runtime()?;
    let source = super::serve::resolve_sample(&config)?;
    let read = runtime.block_on(read(&source))?;
    let id = policy::find_user(&read.snapshot, &config.policy, user).map_err(|error| Failed::Other(error.into()))?;
    let mut explanation = policy::explain(&read.snapshot, &config.policy, id, address)
        .with_context(|| format!("`{user}` is not a user"))
        .map_err(Failed::Other)?;
    if let Some(name) = setting {
        explanation = explanation.only(name);
        if explanation.settings.is_empty() && !Setting::all().any(|setting| setting.name().starts_with(&name.to_ascii_lowercase())) {
            let near = Setting::meant_by(name)
                .map_or_else(|| "docs/settings.md has them all".to_owned(), |near| format!("did you mean `{}`?", near.name()));
            return Err(Failed::Other(anyhow::anyhow!("there is no setting `{name}`; {near}")));
        }
    }
    if json {
        answer(&(serde_json::to_string(&explanation).map_err(|error| Failed::Other(error.into()))? + "\n"))?;
    } else {
        let nothing = match setting {
            Some(name) if explanation.settings.is_empty() => {
                format!("\n{name}\n  no value: neither the directory nor the configuration sets it\n")
            }
            _ => String::new(),
        };
        answer(&format!("{explanation}{nothing}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
