//! Predicted documents as files, octet by octet what phones would get.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::Predicted;
use crate::model::Resource;
use crate::runtime::Failed;

/// The longest name that is written out, in octets: file systems take 255.
const NAME_MAX: usize = 200;

/// A folder of documents.
pub(super) struct Written {
    dir: PathBuf,
}

impl Written {
    /// Makes the folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn begin(dir: &Path) -> Result<Self, Failed> {
        std::fs::create_dir_all(dir).with_context(|| format!("make the folder {} for documents", dir.display())).map_err(Failed::Other)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Writes what a user would get where no site or subnet makes a difference: `user@domain.xml`. Gives its name, if there is a document.
    pub(super) fn user(&self, predicted: &Predicted) -> Result<Option<String>, Failed> {
        self.write(predicted, format!("{}.xml", name(&predicted.resource)))
    }

    /// Writes what would be pushed at a place: `place-1/user/user@domain.xml`, `place-1/device/mac:001565f4f9e1.xml`,
    /// `place-1/local-network.xml`; `index` counts what one place has several of.
    pub(super) fn at(&self, number: usize, index: usize, predicted: &Predicted) -> Result<Option<String>, Failed> {
        let folder = match predicted.resource {
            Resource::User(_) => "user/",
            Resource::Device(_) => "device/",
            Resource::LocalNetwork => "",
        };
        let again = if index > 1 { format!("-{index}") } else { String::new() };
        self.write(predicted, format!("place-{number}/{folder}{}{again}.xml", name(&predicted.resource)))
    }

    fn write(&self, predicted: &Predicted, name: String) -> Result<Option<String>, Failed> {
        let Some(document) = &predicted.document else { return Ok(None) };
        let path = self.dir.join(&name);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let written = made.and_then(|()| std::fs::write(&path, &document.body));
        written.with_context(|| format!("write the document {}", path.display())).map_err(Failed::Other)?;
        Ok(Some(name))
    }
}

/// A file's name without its ending, another one for each resource.
fn name(resource: &Resource) -> String {
    let text = match resource {
        Resource::User(aor) => aor.key().to_owned(),
        Resource::Device(id) => id.to_string(),
        Resource::LocalNetwork => return "local-network".to_owned(),
    };
    let name = text.replace('%', "%25").replace('/', "%2F");
    if name.len() <= NAME_MAX {
        return name;
    }
    // The hash of all of it behind the beginning; no other name has a lone percent sign.
    let mut short: String = name.chars().take(NAME_MAX / 8).collect();
    short.push_str("%~");
    for byte in Sha256::digest(name.as_bytes()) {
        let _ = write!(short, "{byte:02x}");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeviceId;

    #[test]
    fn names_are_of_one_resource_each() {
        let user = |text: &str| name(&Resource::User(text.parse().unwrap()));
        assert_eq!(user("sip:anna@corp.example"), "anna@corp.example");
        assert_ne!(user("sip:a/b@x"), user("sip:a%252Fb@x"));
        let long = format!("urn:x-phone:{}", "a".repeat(230));
        let device = |text: &str| name(&Resource::Device(DeviceId::parse(text).unwrap()));
        let (one, other) = (device(&long), device(&format!("{long}b")));
        assert!(one != other && one.len() < 255, "{one} {other}");
    }
}
