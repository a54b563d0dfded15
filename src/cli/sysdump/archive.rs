//! Files by their names → a tar archive, compressed.

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};
use weir_core::time::Moment;

/// The directory that all files are in.
const TOP: &str = "weir-sysdump";

/// Files that are to be written.
pub(super) struct Archive {
    files: Vec<(String, String)>,
    at: Moment,
}

impl Archive {
    /// An empty one, whose files are of this moment.
    pub(super) const fn new(at: Moment) -> Self {
        Self {
            files: Vec::new(),
            at,
        }
    }

    /// Adds a file.
    pub(super) fn add(&mut self, name: &str, text: &str) {
        self.files.push((name.to_owned(), text.to_owned()));
    }

    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// All of it.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        for (name, text) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(self.at.as_millis() / 1000);
            header.set_entry_type(tar::EntryType::Regular);
            tar.append_data(&mut header, format!("{TOP}/{name}"), text.as_bytes())?;
        }
        let mut gzip = tar.into_inner()?;
        gzip.flush()?;
        gzip.finish()
    }
}
