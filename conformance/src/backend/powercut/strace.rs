//! The record of what a process asked of the kernel, made by `strace`: every call
//! that changes a file below one directory, and every batch that the process
//! acknowledged, in their order. It keeps the order in which calls of several
//! threads began and returned, and never runs anything but the one command.

use super::call::{Call, Names, read_line, unseen};
use crate::Failure;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str;

/// The calls that are recorded. Those that a machine does not have may be missing.
const CALLS: &str = "trace=?open,?openat,?openat2,?creat,close,?dup,?dup2,?dup3,?fcntl,?fcntl64,\
    write,writev,?pwrite64,?pwritev,?pwritev2,read,readv,?lseek,?_llseek,\
    ?truncate,?truncate64,?ftruncate,?ftruncate64,fallocate,?mmap,?mmap2,\
    ?rename,?renameat,?renameat2,?link,linkat,?unlink,unlinkat,?rmdir,?mkdir,mkdirat,\
    ?symlink,symlinkat,fsync,fdatasync,sync,syncfs,?chdir,fchdir,\
    ?sendfile,?sendfile64,?copy_file_range,?splice,?io_submit,?io_uring_setup";

/// A call begins or returns. Calls of several threads overlap.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Begin(usize),
    End(usize),
}

/// What one process did.
pub(super) struct Record {
    pub(super) calls: Vec<Call>,
    pub(super) steps: Vec<Step>,
}

/// Runs a command to its end and records what it does below a directory.
pub(super) fn record(command: &Command, directory: &Path) -> Result<Record, Failure> {
    let log = tempfile::NamedTempFile::new()?;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-xx", "-qq", "-s", "67108864", "--seccomp-bpf"]);
    strace.args(["-e", "signal=none", "-e", CALLS, "-o"]).arg(log.path()).arg("--");
    strace.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    let at = match command.get_current_dir() {
        Some(at) => at.to_owned(),
        None => std::env::current_dir()?,
    };
    strace.current_dir(&at).stdin(Stdio::null());
    let ended = strace
        .output()
        .map_err(|error| Failure::Skipped(format!("strace does not work here: {error}")))?;
    let text = fs::read(log.path())?;
    if text.is_empty() {
        let why = String::from_utf8_lossy(&ended.stderr);
        return Err(Failure::Skipped(format!("strace does not work here: {}", why.trim())));
    }
    if !ended.status.success() {
        let why = String::from_utf8_lossy(&ended.stderr);
        return Err(Failure::Broken(format!("the child ended with {}: {why}", ended.status)));
    }
    let names = Names { root: text_of(directory.as_os_str().to_owned())?, at: text_of(at.into())? };
    read(&text, &names)
}

fn text_of(path: OsString) -> Result<String, Failure> {
    path.into_string().map_err(|_| unseen("a path that is not UTF-8"))
}

/// Puts the two halves of interrupted lines together and reads the calls.
fn read(text: &[u8], names: &Names) -> Result<Record, Failure> {
    let mut whole: Vec<String> = Vec::new();
    let mut steps = Vec::new();
    let mut interrupted: HashMap<&str, usize> = HashMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Ok(line) = str::from_utf8(line) else { return Err(unseen("bytes that are not hex")) };
        let Some((process, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let second = resumed.split_once(" resumed>").map(|(_, second)| second);
            if let (Some(call), Some(second)) = (interrupted.remove(process), second) {
                if let Some(first) = whole.get_mut(call) {
                    first.push_str(second);
                }
                steps.push(Step::End(call));
            }
            continue;
        }
        let call = whole.len();
        steps.push(Step::Begin(call));
        if let Some(first) = rest.strip_suffix("<unfinished ...>") {
            whole.push(first.into());
            interrupted.insert(process, call);
        } else {
            whole.push(rest.into());
            steps.push(Step::End(call));
        }
    }
    let mut calls = Vec::new();
    // Which calls a line became: the acknowledgements of one write are several.
    let mut became = Vec::new();
    for line in whole {
        let first = calls.len();
        read_line(&line, names, &mut calls)?;
        became.push(first..calls.len());
    }
    let calls_of = |line: usize| became.get(line).cloned().unwrap_or(0..0);
    let steps = steps.into_iter().flat_map(|step| match step {
        Step::Begin(line) => calls_of(line).map(Step::Begin as fn(usize) -> Step),
        Step::End(line) => calls_of(line).map(Step::End as fn(usize) -> Step),
    });
    Ok(Record { steps: steps.collect(), calls })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    fn names() -> Names {
        Names { root: "/tmp/store".to_owned(), at: "/tmp".to_owned() }
    }

    fn read_text(text: &str) -> Result<Record, Failure> {
        read(text.as_bytes(), &names())
    }

    /// A line as strace writes it: text is in hex.
    fn line(start: &str, path: &str, end: &str) -> String {
        format!("{start}{}{end}\n", hex(path))
    }

    #[test]
    fn calls_of_two_threads_overlap_as_they_did() {
        let text = [
            line(
                "7 openat(AT_FDCWD<\\x2f>, \"",
                "/tmp/store/db",
                "\", O_RDWR|O_CREAT, 0644) = 3</>",
            ),
            line("7 fsync(3<", "/tmp/store/db", "> <unfinished ...>"),
            line("8 pwrite64(3<", "/tmp/store/db", &format!(">, \"{}\", 2, 9) = 1", hex("ab"))),
            "7 <... fsync resumed>) = 0\n".to_owned(),
            line("7 write(1<pipe:[5]>, \"", "\nrepliq committed 12\n", "\", 21) = 21"),
            line("8 write(4<", "/tmp/other", ">, \"\", 0) = 0"),
        ];
        let record = read_text(&text.concat()).unwrap();
        let steps = record.steps.iter().map(|step| match step {
            Step::Begin(call) => format!("begin {call}"),
            Step::End(call) => format!("end {call}"),
        });
        let steps: Vec<_> = steps.collect();
        let expected =
            ["begin 0", "end 0", "begin 1", "begin 2", "end 2", "end 1", "begin 3", "end 3"];
        assert_eq!(steps, expected);
        let mut calls = record.calls.into_iter();
        let opened = calls.next().unwrap();
        assert!(
            matches!(opened, Call::Open { path, create: true, truncate: false, .. } if path == "db")
        );
        assert!(matches!(calls.next().unwrap(), Call::Sync { descriptor: 3 }));
        let written = calls.next().unwrap();
        assert!(matches!(written, Call::Write { at: Some(9), bytes, .. } if bytes == b"a"));
        assert!(matches!(calls.next().unwrap(), Call::Acknowledge(12)));
    }

    #[test]
    fn a_call_that_failed_did_nothing_and_one_that_never_returned_may_have() {
        let text = [
            line("7 unlink(\"", "/tmp/store/a", "\") = -1 ENOENT (No such file or directory)"),
            line("7 fsync(3<", "/tmp/store/db", "> <unfinished ...>"),
            line("8 rename(\"", "store/a", &format!("\", \"{}\" <unfinished ...>", hex("store/b"))),
        ];
        let record = read_text(&text.concat()).unwrap();
        let [Call::Rename { from, to }] = record.calls.as_slice() else { unreachable!() };
        assert_eq!((from.as_str(), to.as_str()), ("a", "b"));
        assert!(matches!(record.steps.as_slice(), [Step::Begin(0)]));
    }

    #[test]
    fn what_no_record_shows_is_refused() {
        let file = hex("/tmp/store/db");
        for refused in [
            "7 io_uring_setup(8, {flags=0}) = 3".to_owned(),
            format!("7 sendfile(3<{file}>, 4</x>, NULL, 9) = 9"),
            format!("7 openat(AT_FDCWD<\\x2f>, \"{file}\", O_WRONLY|O_DSYNC) = 3</>"),
            format!("7 fallocate(3<{file}>, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) = 0"),
            format!("7 rename(\"{}\", \"{file}\") = 0", hex("/tmp/elsewhere")),
        ] {
            let Err(Failure::Skipped(why)) = read_text(&refused) else { unreachable!("{refused}") };
            assert!(!why.contains("hex"), "{refused}: {why}");
        }
    }
}
