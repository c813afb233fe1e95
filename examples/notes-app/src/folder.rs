//! The Markdown files of a folder.
//!
//! It promises the same files in the same order whatever the file system does,
//! and never follows a symbolic link, so it never leaves the folder and always
//! comes to an end.

use crate::error::AppError;
use crate::note::{Digest, MAX_BODY_BYTES};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder to import.
#[derive(Debug)]
pub(crate) struct Folder {
    /// What the folder is known by.
    pub(crate) digest: Digest,
    /// Its Markdown files, by name.
    pub(crate) files: Vec<MarkdownFile>,
    /// What looks like Markdown but cannot be imported.
    pub(crate) problems: Vec<AppError>,
    /// How many files are something else.
    pub(crate) others: usize,
}

/// A Markdown file of a folder.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MarkdownFile {
    /// Its path within the folder, with slashes.
    pub(crate) name: String,
    /// Its path.
    pub(crate) path: PathBuf,
}

impl Folder {
    /// Looks through a folder and the folders in it.
    pub(crate) fn open(root: &Path) -> Result<Self, AppError> {
        let root = root.canonicalize().map_err(AppError::file(root))?;
        let digest = Digest::of(root.as_os_str().as_encoded_bytes());
        let mut folder = Self { digest, files: Vec::new(), problems: Vec::new(), others: 0 };
        let mut open = vec![(root, Some(String::new()))];
        while let Some((path, name)) = open.pop() {
            for entry in fs::read_dir(&path).map_err(AppError::file(&path))? {
                let entry = entry.map_err(AppError::file(&path))?;
                let kind = entry.file_type().map_err(AppError::file(&entry.path()))?;
                let (path, entry) = (entry.path(), entry.file_name());
                let name =
                    name.as_ref().and_then(|name| Some(format!("{name}{}", entry.to_str()?)));
                if entry.as_encoded_bytes().starts_with(b".") {
                    folder.others += 1;
                } else if kind.is_dir() {
                    open.push((path, name.map(|name| name + "/")));
                } else if !kind.is_file() || !is_markdown(&path) {
                    folder.others += 1;
                } else if let Some(name) = name {
                    folder.files.push(MarkdownFile { name, path });
                } else {
                    folder.problems.push(AppError::NameNotText(path));
                }
            }
        }
        folder.files.sort();
        Ok(folder)
    }
}

impl MarkdownFile {
    /// What is in the file.
    pub(crate) fn read(&self) -> Result<String, AppError> {
        let bytes = fs::metadata(&self.path).map_err(AppError::file(&self.path))?.len();
        let most = MAX_BODY_BYTES as u64;
        if bytes > most {
            return Err(AppError::TooLarge { path: self.path.clone(), bytes, most });
        }
        let bytes = fs::read(&self.path).map_err(AppError::file(&self.path))?;
        String::from_utf8(bytes).map_err(|_| AppError::NotText(self.path.clone()))
    }
}

/// Whether a file is Markdown, by its name.
pub(crate) fn is_markdown(path: &Path) -> bool {
    let ending = path.extension();
    ending.is_some_and(|is| is.eq_ignore_ascii_case("md") || is.eq_ignore_ascii_case("markdown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_markdown_that_lies_in_the_folder_is_found() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("deep/er")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        for name in ["b.md", "a.MARKDOWN", "deep/er/c.md", "picture.png", ".git/x.md", ".y.md"] {
            fs::write(at(name), name).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.path(), at("loop")).unwrap();

        let folder = Folder::open(root.path()).unwrap();
        let names: Vec<_> = folder.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.MARKDOWN", "b.md", "deep/er/c.md"]);
        assert_eq!(folder.files[2].read().unwrap(), "deep/er/c.md");
        assert_eq!(folder.others, if cfg!(unix) { 4 } else { 3 });
    }

    #[test]
    fn what_cannot_be_a_note_is_an_error_that_names_the_file() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("latin1.md"), b"caf\xe9").unwrap();
        let large = fs::File::create(root.path().join("too-large.md")).unwrap();
        large.set_len(MAX_BODY_BYTES as u64 + 1).unwrap();
        let folder = Folder::open(root.path()).unwrap();
        assert!(folder.files[0].read().unwrap_err().to_string().contains("latin1.md"));
        assert!(matches!(folder.files[1].read().unwrap_err(), AppError::TooLarge { .. }));
        assert!(Folder::open(&root.path().join("nowhere")).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_that_is_no_text_is_reported_and_the_rest_is_found() {
        use std::os::unix::ffi::OsStrExt;
        let root = tempfile::tempdir().unwrap();
        let odd = std::ffi::OsStr::from_bytes(b"\xff.md");
        if fs::write(root.path().join(odd), "").is_err() {
            eprintln!("skipped: this file system takes no such name");
            return;
        }
        fs::write(root.path().join("good.md"), "").unwrap();
        let folder = Folder::open(root.path()).unwrap();
        assert_eq!(folder.files.len(), 1);
        assert!(matches!(folder.problems[..], [AppError::NameNotText(_)]));
    }
}
