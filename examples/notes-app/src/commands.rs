//! The commands, each one function: what it does to the notes and what it prints.
//!
//! They promise that what is printed as done is durable. They never print the
//! control characters of a title, which another device may have chosen.

use crate::error::AppError;
use crate::export::{Exported, export};
use crate::import::{Imported, import};
use crate::note::{Changes, Content};
use crate::notebook::Notebook;
use crate::options::{Command, Options};
use crate::{demo, server, signal, sync};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::path::Path;

/// How much of an id is shown; [`Notebook::find`] takes any part that is unique.
const SHOWN_ID: usize = 8;

/// Runs a command.
pub(crate) async fn run(Options { data_dir, command }: Options) -> Result<(), AppError> {
    match command {
        Command::Server { addr } => return server::run(&data_dir, addr).await,
        Command::Demo { dir } => return demo::run(dir.as_deref()).await,
        _ => {}
    }
    let book = Notebook::open(&data_dir).await?;
    let result = on(&book, command).await;
    book.close().await;
    result
}

async fn on(book: &Notebook, command: Command) -> Result<(), AppError> {
    match command {
        Command::Add { title, body, tag } => {
            let mut note = Content::new(&title, &body);
            note.tags.extend(tag);
            say(&format!("Added {}", book.add(note).await?))
        }
        Command::List { tag } if tag.is_empty() => {
            list(book.all()?, "No notes yet: add one, or sync with a device that has some")
        }
        Command::List { tag } => {
            let all = book.all()?.into_iter();
            let tagged = all.filter(|(_, note)| tag.iter().all(|tag| note.tags.contains(tag)));
            list(tagged, "No note has that tag")
        }
        Command::Show { id } => show(&book.find(&id)?),
        Command::Edit { id, title, body, tag, untag } => {
            let changes = Changes { title, body, tag, untag, source: None };
            say(&format!("Changed {}", book.edit(&id, changes).await?))
        }
        Command::Remove { id } => say(&format!("Removed {}", book.remove(&id).await?)),
        Command::Search { text } => {
            let found = book.all()?.into_iter().filter(|(_, note)| note.mentions(&text));
            list(found, "No note holds that")
        }
        Command::Import { dir } => import_folder(book, &dir).await,
        Command::Export { dir, overwrite } => {
            let Exported { written, unchanged } = export(&book.all()?, &dir, overwrite)?;
            say(&format!("{} written, {unchanged} there already", count(written, "file")))
        }
        Command::Sync { url, timeout } => sync::once(book, &url, timeout).await,
        Command::Watch { url } => sync::watch(book, &url).await,
        Command::Server { .. } | Command::Demo { .. } => Ok(()),
    }
}

/// Prints a line.
pub(crate) fn say(line: &str) -> Result<(), AppError> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// The part of an id that is shown.
pub(crate) fn short(id: &str) -> String {
    one_line(&id.chars().take(SHOWN_ID).collect::<String>())
}

/// So many of them: `1 note`, `2 notes`.
pub(crate) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// A text as one line without control characters.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn list(notes: impl IntoIterator<Item = (String, Content)>, if_none: &str) -> Result<(), AppError> {
    let line = |(id, note): (String, Content)| {
        let tags: String = note.tags.iter().map(|tag| format!("  #{}", one_line(tag))).collect();
        (one_line(&note.title), short(&id), tags)
    };
    let mut lines: Vec<_> = notes.into_iter().map(line).collect();
    lines.sort();
    if lines.is_empty() {
        return say(if_none);
    }
    lines.into_iter().try_for_each(|(title, id, tags)| say(&format!("{id}  {title}{tags}")))
}

fn show((id, note): &(String, Content)) -> Result<(), AppError> {
    say(&format!("Id     {}\nTitle  {}", one_line(id), one_line(&note.title)))?;
    if !note.tags.is_empty() {
        let tags: Vec<_> = note.tags.iter().map(|tag| one_line(tag)).collect();
        say(&format!("Tags   {}", tags.join(", ")))?;
    }
    if let Some(source) = &note.source {
        say(&format!("File   {}", one_line(&source.path)))?;
    }
    say(&format!("\n{}", note.body))
}

async fn import_folder(book: &Notebook, folder: &Path) -> Result<(), AppError> {
    let stop = signal::stop_flag()?;
    let bar = progress_bar();
    let done = import(book, folder, &stop, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        if bar.is_hidden() { say(&format!("{done} of {}", count(total, "file"))) } else { Ok(()) }
    });
    let imported = done.await;
    bar.finish_and_clear();
    let Imported { added, updated, unchanged, others, problems, .. } = imported?;
    say(&format!("{} added, {updated} updated, {unchanged} unchanged", count(added, "note")))?;
    if others > 0 {
        say(&format!("{} left alone: hidden, or no Markdown", count(others, "file")))?;
    }
    for problem in &problems {
        writeln!(std::io::stderr(), "notes-app: not imported: {problem}")?;
    }
    if problems.is_empty() { Ok(()) } else { Err(AppError::NotAllImported(problems.len())) }
}

/// A bar on the terminal, if there is one.
pub(crate) fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} files");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
