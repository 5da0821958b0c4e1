//! The last good documents of users whom the directory or a policy would leave without: served on, also after a restart.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::credentials;
use crate::document::{Document, Renderer, profile};
use crate::model::{Aor, ObjectId, Resource, Secret, Spot};
use crate::policy::{Answer, Guard, Had, Loss, Resolved};

/// What is kept of one address.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) user: ObjectId,
    pub(super) last: Last,
    /// And for the spots that somebody asked for.
    pub(super) at: Vec<(Spot, LastAt)>,
    /// How its phones log in.
    pub(super) names: Vec<String>,
    pub(super) password: Option<Secret>,
}

/// What was published last.
#[derive(Debug, Clone)]
pub(super) enum Last {
    /// In this run: settings, of which the same documents can be made again.
    Settings(Arc<Resolved>),
    /// In another run.
    Documents(Vec<Document>),
}

/// What was published last for a spot.
#[derive(Debug, Clone)]
pub(super) enum LastAt {
    Settings(Resource, Answer),
    Document(Document),
}

impl LastAt {
    fn document(&self, renderer: &mut Renderer) -> Document {
        match self {
            Self::Settings(resource, answer) => renderer.answer(resource, answer),
            Self::Document(document) => document.clone(),
        }
    }
}

impl Kept {
    /// Of a user of this run, with what is told for spots.
    pub(super) fn of(settings: &Arc<Resolved>, answers: Vec<(Resource, Spot, Answer)>, password: Option<Secret>) -> Self {
        let at = answers.into_iter().map(|(resource, spot, answer)| (spot, LastAt::Settings(resource, answer))).collect();
        Self { user: settings.user, last: Last::Settings(Arc::clone(settings)), at, names: credentials::names(settings), password }
    }

    /// The document for a spot, if there was one.
    pub(super) fn document_at(&self, renderer: &mut Renderer, spot: Spot) -> Option<Document> {
        self.at.iter().find(|(held, _)| *held == spot).map(|(_, last)| last.document(renderer))
    }

    /// All documents of the user.
    pub(super) fn documents(&self, renderer: &mut Renderer) -> Vec<Document> {
        match &self.last {
            Last::Settings(settings) => documents(renderer, settings),
            Last::Documents(documents) => documents.clone(),
        }
    }
}

/// All documents that a user's settings make.
pub(super) fn documents(renderer: &mut Renderer, settings: &Resolved) -> Vec<Document> {
    vec![renderer.profile(settings)]
}

/// One address on disk.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedUser {
    aor: String,
    user: String,
    /// What would be lost; nothing where the document is only withheld.
    detained: Option<SavedLoss>,
    documents: Vec<SavedDocument>,
    names: Vec<String>,
    password: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedLoss {
    loss: String,
    number: bool,
    enabled: bool,
    held: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedDocument {
    content_type: String,
    /// For which spot; none: without regard to any.
    #[serde(default)]
    spot: Option<SavedSpot>,
    /// Indexes of [`SavedDocuments::pieces`].
    pieces: Vec<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedSpot {
    site: Option<String>,
    subnet: Option<String>,
    container: Option<String>,
}

impl SavedSpot {
    fn of(spot: Spot) -> Self {
        let text = |id: Option<ObjectId>| id.map(|id| id.to_string());
        Self { site: text(spot.site), subnet: text(spot.subnet), container: text(spot.container) }
    }

    fn restore(&self) -> Spot {
        let id = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        Spot { site: id(&self.site), subnet: id(&self.subnet), container: id(&self.container) }
    }
}

/// All addresses on disk. What documents have in common is there once: of ten thousand users of one OU, most.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct SavedDocuments {
    pieces: Vec<String>,
    users: Vec<SavedUser>,
}

/// What is to be written, of one moment.
#[derive(Debug)]
pub(super) struct KeptUsers(pub(super) Vec<KeptUser>);

/// One address, with what it would lose, what there was, and whether that is held; nothing of that where it is only withheld.
pub(super) type KeptUser = (Aor, Kept, Option<(Loss, Had, bool)>);

impl KeptUsers {
    /// As it is written. It renders what this run has not rendered for the purpose: for a thread of its own.
    ///
    /// # Errors
    /// A document that is not text: there is none.
    pub(super) fn save(&self) -> io::Result<SavedDocuments> {
        let mut renderer = Renderer::new();
        let mut saved = SavedDocuments::default();
        let mut known: HashMap<String, u32> = HashMap::new();
        for (aor, kept, detained) in &self.0 {
            let mut all: Vec<(Option<Spot>, Document)> =
                kept.documents(&mut renderer).into_iter().map(|document| (None, document)).collect();
            all.extend(kept.at.iter().map(|(spot, last)| (Some(*spot), last.document(&mut renderer))));
            let mut documents = Vec::new();
            for (spot, document) in all {
                let text = std::str::from_utf8(&document.body).map_err(io::Error::other)?;
                let mut pieces = Vec::new();
                for piece in pieces_of(text) {
                    let next = u32::try_from(saved.pieces.len()).map_err(io::Error::other)?;
                    pieces.push(*known.entry(piece.to_owned()).or_insert_with(|| {
                        saved.pieces.push(piece.to_owned());
                        next
                    }));
                }
                documents.push(SavedDocument { content_type: document.content_type.to_owned(), spot: spot.map(SavedSpot::of), pieces });
            }
            let detained = detained.map(|(loss, had, held)| SavedLoss {
                loss: loss.name().to_owned(),
                number: had.number,
                enabled: had.enabled,
                held,
            });
            saved.users.push(SavedUser {
                aor: aor.as_str().to_owned(),
                user: kept.user.to_string(),
                detained,
                documents,
                names: kept.names.clone(),
                password: kept.password.as_ref().map(|password| password.expose().to_owned()),
            });
        }
        Ok(saved)
    }
}

impl SavedDocuments {
    /// Takes everything over: the guard learns what was detained. Whatever cannot be read is left out; there is none, of what this
    /// version wrote.
    pub(super) fn restore(self, now: Instant, guard: &mut Guard) -> HashMap<Aor, Kept> {
        let Self { pieces, users } = self;
        let mut all = HashMap::new();
        for saved in users {
            let (Ok(aor), Ok(user)) = (saved.aor.parse::<Aor>(), saved.user.parse::<ObjectId>()) else { continue };
            let (mut documents, mut at) = (Vec::new(), Vec::new());
            for kept in &saved.documents {
                match (kept.joined(&pieces), &kept.spot) {
                    (Some(document), None) => documents.push(document),
                    (Some(document), Some(spot)) => at.push((spot.restore(), LastAt::Document(document))),
                    (None, _) => {}
                }
            }
            if documents.is_empty() {
                continue;
            }
            if let Some(detained) = &saved.detained
                && let Some(loss) = Loss::ALL.into_iter().find(|loss| loss.name() == detained.loss)
            {
                let had = Had { number: detained.number, enabled: detained.enabled };
                guard.restore(now, aor.clone(), user, loss, had, detained.held);
            }
            let password = saved.password.map(Secret::new);
            all.insert(aor, Kept { user, last: Last::Documents(documents), at, names: saved.names, password });
        }
        all
    }
}

impl SavedDocument {
    fn joined(&self, pieces: &[String]) -> Option<Document> {
        // Of what another version wrote, and this one has no name for, nothing can be published.
        let content_type = [profile::CONTENT_TYPE].into_iter().find(|known| *known == self.content_type)?;
        let parts: Option<Vec<&str>> =
            self.pieces.iter().map(|index| usize::try_from(*index).ok().and_then(|index| pieces.get(index)).map(String::as_str)).collect();
        Some(Document::new(content_type, parts?.concat().into_bytes()))
    }
}

/// A document in pieces, each to the end of a scope: what users share begins and ends there. Joined they are the document, wherever
/// the cuts are.
fn pieces_of(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.match_indices("</").find_map(|(at, _)| {
            let name = rest.get(at + 2..)?;
            let length = name.find('>')?;
            // Settings have a dot in their names, scopes have none.
            let is_scope = name.get(..length)?.bytes().all(|byte| byte.is_ascii_lowercase());
            is_scope.then_some(at + 2 + length + 1)
        });
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::GuardConfig;

    fn document(body: &str) -> Document {
        Document::new(profile::CONTENT_TYPE, body.as_bytes().to_vec())
    }

    fn kept(body: &str, at: Option<(Spot, &str)>) -> Kept {
        Kept {
            user: ObjectId::from_bytes([7; 16]),
            last: Last::Documents(vec![document(body)]),
            at: at.into_iter().map(|(spot, body)| (spot, LastAt::Document(document(body)))).collect(),
            names: vec!["anna@x".into(), "anna".into()],
            password: Some(Secret::new("hunter2")),
        }
    }

    #[test]
    fn what_is_saved_is_restored() {
        let shared = "<telephony><sip.expires>600</sip.expires></telephony><media></media></profile>";
        let (one, other) = (format!("<profile><account>anna</account>{shared}"), format!("<profile><account>ben</account>{shared}"));
        let spot = Spot { subnet: Some(ObjectId::from_bytes([3; 16])), ..Spot::default() };
        let had = Had { number: true, enabled: true };
        let users = KeptUsers(vec![
            ("sip:anna@x".parse().unwrap(), kept(&one, Some((spot, "<profile>elsewhere</profile>"))), Some((Loss::Number, had, true))),
            ("sip:ben@x".parse().unwrap(), kept(&other, None), None),
        ]);
        let bytes = serde_json::to_vec(&users.save().unwrap()).unwrap();
        let saved: SavedDocuments = serde_json::from_slice(&bytes).unwrap();
        // What both have is there once.
        assert_eq!(saved.pieces.iter().filter(|piece| piece.contains("sip.expires")).count(), 1);
        let mut guard = Guard::new(GuardConfig::default());
        let restored = saved.restore(Instant::now(), &mut guard);
        let mut renderer = Renderer::new();
        let anna = &restored[&"sip:anna@x".parse::<Aor>().unwrap()];
        assert_eq!(anna.documents(&mut renderer), [document(&one)]);
        assert_eq!(anna.document_at(&mut renderer, spot), Some(document("<profile>elsewhere</profile>")));
        assert_eq!(anna.document_at(&mut renderer, Spot::default()), None, "never another place's");
        assert_eq!((anna.names.len(), anna.password.as_ref().map(Secret::expose)), (2, Some("hunter2")));
        assert_eq!(restored[&"sip:ben@x".parse::<Aor>().unwrap()].documents(&mut renderer), [document(&other)]);
        let detained: Vec<_> = guard.detained().map(|(aor, detained)| (aor.to_string(), detained.loss, detained.is_held)).collect();
        assert_eq!(detained, [("sip:anna@x".to_owned(), Loss::Number, true)]);
    }

    #[test]
    fn pieces_make_the_whole() {
        for text in ["", "<a>", "</a>", "x</a></b.c></d>y", "</", "</a", "ä</media>ö"] {
            assert_eq!(pieces_of(text).collect::<String>(), text);
        }
        assert_eq!(pieces_of("<x></x.y></z>!").collect::<Vec<_>>(), ["<x></x.y></z>", "!"]);
    }
}
