//! A directory for configurations and logs, removed at the end unless something is to be looked at.

use std::path::{Path, PathBuf};

/// Removed when dropped, unless it was kept.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    kept: bool,
}

impl Scratch {
    pub fn make(name: &str) -> Result<Scratch, String> {
        let path = std::env::temp_dir().join(format!("sluice-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Scratch { path, kept: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it where it is.
    pub fn keep(&mut self) -> &Path {
        self.kept = true;
        &self.path
    }

    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let file = self.path.join(name);
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(file)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.kept {
            // A directory that cannot be removed is the next clean-up's.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
