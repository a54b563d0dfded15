//! Files → a tar archive that depends on nothing but them: sorted, owned by number 0, all of one
//! moment, with the directories that they lie in.

use std::{collections::BTreeSet, io::Write, path::Path};

use anyhow::{Context, Result, bail};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// A file of an archive.
#[derive(Clone, Debug)]
pub struct File {
    /// From the root, without a slash before it.
    pub path: String,
    /// Whether it is a program.
    pub program: bool,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl File {
    /// A file that is read.
    #[must_use]
    pub fn data(path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.to_owned(),
            program: false,
            content: content.into(),
        }
    }

    /// A file that is run.
    #[must_use]
    pub fn program(path: &str, content: Vec<u8>) -> Self {
        Self {
            path: path.to_owned(),
            program: true,
            content,
        }
    }
}

/// The files as a tar archive, in the order of their paths; `seconds` is when all were made.
///
/// # Errors
/// Two files have one path, or a path does not fit into an archive.
pub fn tar(files: &[File], seconds: u64) -> Result<Vec<u8>> {
    let mut sorted: Vec<_> = files.iter().collect();
    sorted.sort_by(|one, other| one.path.cmp(&other.path));
    if let Some([one, _]) = sorted
        .array_windows()
        .find(|[one, other]| one.path == other.path)
    {
        bail!("two files have the path {}", one.path);
    }
    let mut archive = Builder::new(Vec::new());
    let mut entered = BTreeSet::new();
    for file in sorted {
        for directory in directories(&file.path) {
            if entered.insert(directory) {
                let header = header(EntryType::Directory, 0o755, 0, seconds);
                append(&mut archive, header, directory, &[])?;
            }
        }
        let mode = if file.program { 0o755 } else { 0o644 };
        let size = u64::try_from(file.content.len())?;
        let header = header(EntryType::Regular, mode, size, seconds);
        append(&mut archive, header, &file.path, &file.content)?;
    }
    archive.into_inner().context("ending a tar archive")
}

/// The directories that a path lies in, the outermost first.
fn directories(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .map(|(end, slash)| &path[..end + slash.len()])
}

fn header(kind: EntryType, mode: u32, size: u64, seconds: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(seconds);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn append(
    archive: &mut Builder<Vec<u8>>,
    mut header: Header,
    path: &str,
    content: &[u8],
) -> Result<()> {
    archive
        .append_data(&mut header, Path::new(path), content)
        .with_context(|| format!("adding {path} to an archive"))
}

/// Compressed as all engines read it; of the same bytes it makes the same bytes.
///
/// # Errors
/// None that memory does not cause.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish().context("ending a compressed archive")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use tar::Archive;

    use super::*;

    fn files() -> Vec<File> {
        vec![
            File::data("usr/share/b", "b"),
            File::program("bin/weir", b"program".to_vec()),
            File::data("usr/share/a", "a"),
        ]
    }

    #[test]
    fn entries_are_sorted_and_say_nothing_of_who_made_them() {
        let bytes = tar(&files(), 1_764_262_800).unwrap();
        let entries: Vec<_> = Archive::new(bytes.as_slice())
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!(header.mtime().unwrap(), 1_764_262_800);
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
                assert_eq!(header.username().unwrap(), Some(""));
                let path = entry.path().unwrap().display().to_string();
                format!("{path} {:o}", header.mode().unwrap())
            })
            .collect();
        assert_eq!(
            entries,
            [
                "bin/ 755",
                "bin/weir 755",
                "usr/ 755",
                "usr/share/ 755",
                "usr/share/a 644",
                "usr/share/b 644"
            ]
        );
    }

    #[test]
    fn the_order_in_which_files_come_changes_no_byte() {
        let mut reversed = files();
        reversed.reverse();
        let (one, other) = (tar(&files(), 7).unwrap(), tar(&reversed, 7).unwrap());
        assert_eq!(one, other);
        assert_ne!(one, tar(&files(), 8).unwrap());
        assert_eq!(gzip(&one).unwrap(), gzip(&other).unwrap());
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let mut back = Vec::new();
        GzDecoder::new(gzip(b"weir").unwrap().as_slice())
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, b"weir");
    }

    #[test]
    fn two_files_of_one_path_are_refused() {
        let mut files = files();
        files.push(File::data("usr/share/a", "another"));
        let error = tar(&files, 0).unwrap_err().to_string();
        assert!(error.contains("two files"), "{error}");
    }
}
