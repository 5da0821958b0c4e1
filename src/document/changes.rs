//! What differs between two profiles, for people.

use std::collections::BTreeSet;
use std::fmt;

use super::Profile;
use crate::policy::catalogue::Setting;
use crate::policy::value::Value;

/// A setting that differs. `Display` gives `sip.expires: 3600 → 600`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The setting.
    pub setting: Setting,
    /// Its values before; none when it had none.
    pub before: Vec<Value>,
    /// Its values now; none when it has none.
    pub after: Vec<Value>,
}

/// The settings that differ, in the order of the catalogue. An order that changed is a difference.
pub fn changes(old: &Profile, new: &Profile) -> Vec<Change> {
    let settings: BTreeSet<Setting> = old.iter().chain(new.iter()).map(|(setting, _)| setting).collect();
    settings
        .into_iter()
        .filter(|setting| old.values(*setting) != new.values(*setting))
        .map(|setting| Change { setting, before: old.values(setting).to_vec(), after: new.values(setting).to_vec() })
        .collect()
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {}", self.setting, Shown(&self.before), Shown(&self.after))
    }
}

struct Shown<'a>(&'a [Value]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("(none)");
        }
        for (index, value) in self.0.iter().enumerate() {
            write!(f, "{}{value}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(settings: &[(&str, &[&str])]) -> Profile {
        let parse = |(name, texts): &(&str, &[&str])| {
            let setting = Setting::named(name).unwrap();
            (setting, texts.iter().map(|text| setting.spec().kind.parse(text).unwrap()).collect())
        };
        Profile::new("sip:anna@corp.example".parse::<crate::model::Aor>().unwrap(), settings.iter().map(parse).collect::<Vec<_>>())
    }

    #[test]
    fn told_to_people() {
        let old = profile(&[
            ("sip.outbound-proxy", &["10 50 sips:ber1.corp.example"]),
            ("video.enabled", &["true"]),
            ("media.audio", &["opus", "PCMA"]),
            ("sip.expires", &["3600"]),
        ]);
        let new = profile(&[
            ("sip.outbound-proxy", &["10 50 sips:fra1.corp.example", "20 0 sips:fra2.corp.example"]),
            ("media.audio", &["PCMA", "opus"]),
            ("sip.expires", &["3600"]),
            ("forward.busy", &["tel:+4930"]),
        ]);
        let shown: Vec<String> = changes(&old, &new).iter().map(Change::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        sip.outbound-proxy: 10 50 sips:ber1.corp.example → 10 50 sips:fra1.corp.example, 20 0 sips:fra2.corp.example
        forward.busy: (none) → tel:+4930
        video.enabled: true → (none)
        media.audio: opus, PCMA → PCMA, opus
        ");
        assert_eq!(changes(&new, &new), []);
    }
}
