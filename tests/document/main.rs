//! Documents as those outside see them: the bytes, the schema, the catalogue's page.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod profile;
mod schema;
mod schema_text;
mod settings_page;
mod support;
