//! The fixtures: replies of our own making, one file each under `fixtures/<dialect>/`.

use std::{fs, path::PathBuf};

use dialect::{Dialect, Door, Framing, Operation};

pub(crate) struct Fixture {
    pub(crate) path: PathBuf,
    pub(crate) dialect: Dialect,
    /// `None`: a plain reply.
    pub(crate) framing: Option<Framing>,
    pub(crate) bytes: Vec<u8>,
}

impl Fixture {
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.dialect.name(), self.path.file_name().unwrap().to_string_lossy())
    }

    pub(crate) fn door(&self) -> Door {
        Door::new(self.dialect, Operation::Chat)
    }
}

pub(crate) fn read_all() -> Vec<Fixture> {
    let mut fixtures = Vec::new();
    for dialect in Dialect::ALL {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(dialect.name());
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let framing = match path.extension().and_then(|extension| extension.to_str()) {
                Some("sse") => Some(Framing::Sse),
                Some("array") => Some(Framing::JsonArray),
                Some("document") => Some(Framing::Document),
                Some("json") => None,
                _ => continue,
            };
            let bytes = fs::read(&path).unwrap();
            fixtures.push(Fixture { path, dialect, framing, bytes });
        }
    }
    fixtures.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(fixtures.len() > 40, "the fixtures are missing");
    fixtures
}

pub(crate) fn read_streams() -> Vec<Fixture> {
    read_all().into_iter().filter(|fixture| fixture.framing.is_some()).collect()
}
