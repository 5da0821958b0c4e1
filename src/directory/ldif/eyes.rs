//! Told by the operating system that files changed (crate `notify`: inotify, and its kin elsewhere).

use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::files::is_ldif;
use super::settle::Touch;

/// How many touches may wait: the loop takes them at once, and one that is lost is made up for by the next, or by the poll.
const WAITING_MAX: usize = 256;

/// A watch on the file's folder, so that renaming over the file, deleting and making it again are seen.
pub(super) struct Eyes {
    path: PathBuf,
    folder: PathBuf,
    sender: mpsc::Sender<(PathBuf, Touch)>,
    watcher: Option<(RecommendedWatcher, Identity)>,
}

/// Which folder it is that is watched: one made anew under the same name is another, and nothing is heard of it.
type Identity = Option<(u64, u64)>;

impl Eyes {
    /// The watch, and where its touches come out.
    pub(super) fn new(path: &Path) -> (Self, mpsc::Receiver<(PathBuf, Touch)>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = if path.is_dir() { path } else { parent };
        let mut eyes = Self { path: path.to_owned(), folder: folder.to_owned(), sender, watcher: None };
        eyes.open();
        (eyes, receiver)
    }

    /// Watches (again), if it does not or what it watches is not there any more. Where no watch can be had, the poll is all there is.
    pub(super) fn open(&mut self) {
        let now = identity(&self.folder);
        if self.watcher.as_ref().is_some_and(|(_, watched)| *watched == now && now.is_some()) {
            return;
        }
        self.watcher = None;
        let (sender, path, folder) = (self.sender.clone(), self.path.clone(), self.folder.clone());
        let handler = move |event: notify::Result<notify::Event>| {
            for touch in touches(&path, &folder, event) {
                let _ = sender.try_send(touch);
            }
        };
        let watcher = notify::recommended_watcher(handler)
            .and_then(|mut watcher| watcher.watch(&self.folder, RecursiveMode::NonRecursive).map(|()| watcher));
        match watcher {
            Ok(watcher) => self.watcher = Some((watcher, now)),
            Err(error) => tracing::debug!(folder = %self.folder.display(), %error, "no watch on the folder: it is polled"),
        }
    }
}

#[cfg(unix)]
fn identity(folder: &Path) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(folder).ok().map(|data| (data.dev(), data.ino()))
}

#[cfg(not(unix))]
fn identity(folder: &Path) -> Identity {
    folder.is_dir().then_some((0, 0))
}

fn touches(path: &Path, folder: &Path, event: notify::Result<notify::Event>) -> Vec<(PathBuf, Touch)> {
    // An error (events were lost): look at everything.
    let Ok(event) = event else { return vec![(path.to_owned(), Touch::Other)] };
    if event.need_rescan() {
        return vec![(path.to_owned(), Touch::Other)];
    }
    let touch = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Touch::Closed,
        // Our own reading, among others.
        EventKind::Access(_) => return Vec::new(),
        EventKind::Modify(ModifyKind::Data(_)) => Touch::Written,
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => Touch::Gone,
        _ => Touch::Other,
    };
    event.paths.into_iter().filter(|touched| concerns(path, folder, touched)).map(|touched| (touched, touch)).collect()
}

/// Whether a touched file is one that is read, or may stand behind a link to one (Kubernetes swaps a link named `..data`).
fn concerns(path: &Path, folder: &Path, touched: &Path) -> bool {
    let name = touched.file_name();
    touched == folder
        || name.is_some_and(|name| name.to_string_lossy().starts_with(".."))
        || if path == folder { is_ldif(touched) } else { name == path.file_name() }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, RemoveKind, RenameMode};

    use super::*;

    fn check(path: &str, folder: &str, kind: EventKind, touched: &str, expect: Option<Touch>) {
        let event = notify::Event::new(kind).add_path(touched.into());
        let found = touches(Path::new(path), Path::new(folder), Ok(event));
        assert_eq!(found.first().map(|(_, touch)| *touch), expect, "{kind:?} {touched}");
    }

    #[test]
    fn what_concerns_the_files() {
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let made = EventKind::Create(CreateKind::Any);
        check("d/a.ldif", "d", written, "d/a.ldif", Some(Touch::Written));
        check("d/a.ldif", "d", closed, "d/a.ldif", Some(Touch::Closed));
        check("d/a.ldif", "d", opened, "d/a.ldif", None);
        check("d/a.ldif", "d", made, "d/b.ldif", None);
        check("d/a.ldif", "d", made, "d/..data", Some(Touch::Other));
        check("d", "d", made, "d/b.ldif", Some(Touch::Other));
        check("d", "d", made, "d/b.txt", None);
        check("d", "d", EventKind::Modify(ModifyKind::Name(RenameMode::To)), "d/b.ldif", Some(Touch::Gone));
        check("d", "d", EventKind::Remove(RemoveKind::Folder), "d", Some(Touch::Gone));
    }

    #[test]
    fn lost_events_are_a_reason_to_look() {
        let lost = notify::Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(touches(Path::new("d/a"), Path::new("d"), Ok(lost)), [("d/a".into(), Touch::Other)]);
        let failed = touches(Path::new("d/a"), Path::new("d"), Err(notify::Error::generic("x")));
        assert_eq!(failed, [("d/a".into(), Touch::Other)]);
    }
}
