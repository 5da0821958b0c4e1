//! Configuration: raw (as written) to typed (checked), with every fault reported together.

mod directory;
mod load;
mod raw;
mod typed;

pub use directory::SAMPLE;
pub use load::Flags;
pub(crate) use typed::PASSWORD_ATTRIBUTE;
pub use typed::{AuthConfig, Config, GuardsConfig, LogConfig, LogFormat, load};

/// The JSON Schema of the configuration, as kept in `schemas/config.schema.json`.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(raw::Raw).into()
}

#[cfg(test)]
mod tests;
