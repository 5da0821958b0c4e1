//! `docs/settings.md`: made from the catalogue.

use std::fmt::Write;

use dialcast::policy::catalogue::{Scope, Setting};
use dialcast::policy::value::ValueKind;

use super::support::same_as_file;

#[test]
fn is_made_from_the_catalogue() {
    same_as_file("docs/settings.md", &page(), "UPDATE_DOCS");
}

const HEAD: &str = "<!-- Made from src/policy/catalogue.rs; rewrite it by UPDATE_DOCS=1 cargo test. -->
# Settings

Every setting that a policy line may name, in the order in which documents hold them. A line is

```
setting operator value
```

with `=` (replace), `+=` (append), `-=` (remove), `!` (enforced replace) or `unset`. Where a line stands in the directory decides for whom it
holds. A list takes one value per line; values of the types marked † may also stand in one line, separated by commas. `-=` may name a
server by its URI alone, and a dial rule by its pattern alone.

- **Default**: what holds when no line says otherwise; without one the setting is absent from the document.
- **Network**: belongs to the place of the endpoint rather than to the person.
- Emergency settings are never dropped by `block`.
";

fn page() -> String {
    let mut out = HEAD.to_owned();
    for scope in Scope::ALL {
        write!(out, "\n## {}\n\n| Setting | Type | Default | What it does |\n|---|---|---|---|\n", title(scope)).unwrap();
        for setting in Setting::of(scope) {
            let spec = setting.spec();
            let kind = type_of(spec.kind);
            let many = if spec.many { "list of " } else { "" };
            let default = if spec.default.is_empty() { String::new() } else { format!("`{}`", spec.default.join(", ")) };
            let network = if spec.network { " *Network.*" } else { "" };
            writeln!(out, "| `{setting}` | {many}{kind} | {default} | {}{network} |", escape(spec.doc)).unwrap();
        }
    }
    out.push_str("\n## Types\n\n| Type | What it takes | Example | In a document |\n|---|---|---|---|\n");
    let mut seen: Vec<&str> = Vec::new();
    for setting in Setting::all() {
        let kind = setting.spec().kind;
        if seen.contains(&kind.name()) {
            continue;
        }
        seen.push(kind.name());
        let comma = if splits(kind) { " †" } else { "" };
        let canonical = kind.parse(kind.example()).unwrap().to_string();
        let expected = match kind {
            ValueKind::Choice(_) => "one of the words that the setting lists".to_owned(),
            ValueKind::Seconds { .. } => "seconds, or with units: `90s`, `30m`, `1h30m`, `2d`".to_owned(),
            kind => kind.expected(),
        };
        writeln!(out, "| {}{comma} | {} | `{}` | `{}` |", kind.name(), escape(&expected), escape(kind.example()), escape(&canonical))
            .unwrap();
    }
    out
}

/// Whether commas separate values of this type: asked of the parser itself.
fn splits(kind: ValueKind) -> bool {
    kind.elements(&format!("{0},{0}", kind.example())).len() == 2
}

fn type_of(kind: ValueKind) -> String {
    match kind {
        ValueKind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        ValueKind::Server(schemes) => format!("server ({})", schemes.join(", ")),
        kind => kind.name().to_owned(),
    }
}

const fn title(scope: Scope) -> &'static str {
    match scope {
        Scope::Account => "Account",
        Scope::Telephony => "Internet telephony",
        Scope::Video => "Video and conferences",
        Scope::Presence => "Presence and messages",
        Scope::Media => "Media",
        Scope::Network => "Network",
        Scope::Emergency => "Emergency calls",
        Scope::Device => "Device",
        Scope::Provider => "Provider",
        Scope::Access => "Access",
    }
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}
