//! The notes that come with the demo, in the program itself, so that it runs from
//! anywhere.

use crate::error::AppError;
use std::fs;
use std::path::Path;

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../notes/", $name)))),+]
    };
}

/// File names and contents. One file is empty, one has line ends from Windows.
const NOTES: [(&str, &str); 12] = shipped![
    "bicycle.md",
    "empty.md",
    "garden.md",
    "kitchen/bread.md",
    "kitchen/leek and potato soup.md",
    "meeting.md",
    "packing list.md",
    "reading-list.md",
    "snippets.md",
    "welcome.md",
    "windows.md",
    "übersetzungen.md",
];

/// Writes the notes to files in a folder.
pub(crate) fn write_to(folder: &Path) -> Result<(), AppError> {
    for (name, body) in NOTES {
        let path = folder.join(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all);
        written.and_then(|()| fs::write(&path, body)).map_err(AppError::file(&path))?;
    }
    Ok(())
}
