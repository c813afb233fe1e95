//! One call of the kernel as `strace` writes it down, with all text in hex. What no
//! record can show, it refuses instead of leaving it out: io_uring, `sendfile` and
//! the like, files that sync with every write.

use crate::backend::child::acknowledged;
use crate::{CaseResult, Failure};
use std::path::Path;
use std::str;

/// What stands between arguments, or around what is one.
const SPECIAL: [char; 6] = [',', '"', '{', '}', '[', ']'];

/// What a process did below a directory; paths are relative to it.
pub(super) enum Call {
    Open { path: String, create: bool, truncate: bool, append: bool, result: i64 },
    Duplicate { descriptor: i64, result: i64 },
    Close { descriptor: i64 },
    Write { descriptor: i64, at: Option<usize>, bytes: Vec<u8> },
    Read { descriptor: i64, bytes: usize },
    Seek { descriptor: i64, to: usize },
    SetLength { place: Place, length: usize },
    Allocate { descriptor: i64, to: usize },
    Zero { descriptor: i64, from: usize, to: usize },
    Map { descriptor: i64 },
    MakeDirectory { path: String },
    Remove { path: String },
    Rename { from: String, to: String },
    Link { from: String, to: String },
    Sync { descriptor: i64 },
    Acknowledge(u64),
}

/// How a call names a file.
pub(super) enum Place {
    Descriptor(i64),
    Path(String),
}

/// Reads a line and adds the calls that it is, if it concerns us.
pub(super) fn read_line(line: &str, names: &Names, calls: &mut Vec<Call>) -> CaseResult {
    let Some((name, rest)) = line.split_once('(') else { return Ok(()) };
    // A call that never returned has no result: what it does may have happened.
    let (arguments, result) = match rest.rsplit_once(" = ") {
        Some((arguments, result)) => (arguments.trim_end(), result),
        None => (rest, "?"),
    };
    let arguments = arguments.strip_suffix(')').unwrap_or(arguments).trim_end();
    let line = Line {
        name,
        arguments: split(arguments),
        result: leading_number(result),
        returned: !result.starts_with('?'),
        names,
    };
    if line.result.is_some_and(|result| result < 0) {
        return Ok(());
    }
    line.read(calls)
}

/// Splits arguments at the commas outside of brackets and of text, which is long
/// and all in hex.
fn split(arguments: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    let mut rest = 0;
    while let Some(found) = arguments.get(rest..).and_then(|text| text.find(SPECIAL)) {
        let at = rest + found;
        rest = at + 1;
        match arguments.as_bytes().get(at) {
            Some(b'"') => {
                let text = arguments.get(rest..).unwrap_or_default();
                rest += text.find('"').map_or(text.len(), |end| end + 1);
            }
            Some(b'{' | b'[') => depth += 1,
            Some(b'}' | b']') => depth -= 1,
            _ if depth == 0 => {
                parts.push(arguments.get(start..at).unwrap_or_default().trim());
                start = rest;
            }
            _ => {}
        }
    }
    parts.push(arguments.get(start..).unwrap_or_default().trim());
    parts
}

fn leading_number(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// Bytes in quotes, every one as `\x` and two digits.
fn bytes(quoted: &str) -> Result<Vec<u8>, Failure> {
    let inner = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let inner = inner.ok_or_else(|| unseen("a text that it cuts short"))?;
    unescaped(inner.as_bytes())
}

fn unescaped(text: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    for escape in text.chunks(4) {
        let byte = match escape {
            [b'\\', b'x', high, low] => digit(*high) << 4 | digit(*low),
            _ => return Err(unseen("bytes that are not hex")),
        };
        bytes.push(byte);
    }
    Ok(bytes)
}

const fn digit(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit & 15,
    }
}

/// Which paths are below the directory.
pub(super) struct Names {
    pub(super) root: String,
    /// What relative paths of the process are relative to.
    pub(super) at: String,
}

impl Names {
    /// The path relative to the directory, if it is below.
    fn inside(&self, base: &str, path: &str) -> Option<String> {
        let joined = Path::new(base).join(path);
        let mut parts: Vec<&str> = Vec::new();
        for part in joined.to_str()?.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let path = format!("/{}", parts.join("/"));
        let rest = path.strip_prefix(&self.root)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/').to_owned())
    }
}

/// One line of the record.
struct Line<'a> {
    name: &'a str,
    arguments: Vec<&'a str>,
    result: Option<i64>,
    returned: bool,
    names: &'a Names,
}

impl Line<'_> {
    fn argument(&self, index: usize) -> &str {
        self.arguments.get(index).copied().unwrap_or_default()
    }

    fn number(&self, index: usize) -> Result<usize, Failure> {
        let number = self.argument(index).parse();
        number.map_err(|_| unseen(&format!("the arguments of {}", self.name)))
    }

    fn has(&self, index: usize, flag: &str) -> bool {
        self.argument(index).split('|').any(|set| set == flag)
    }

    /// A descriptor of a file below the directory; one that was removed counts.
    fn descriptor(&self, index: usize) -> Option<i64> {
        let (number, path) = self.argument(index).split_once('<')?;
        let (path, _) = path.split_once('>')?;
        // Pipes and sockets are not in hex.
        let path = String::from_utf8(unescaped(path.as_bytes()).ok()?).ok()?;
        self.names.inside("/", &path)?;
        number.parse().ok()
    }

    /// A path below the directory; `base` is the argument it is relative to.
    fn path(&self, base: Option<usize>, index: usize) -> Result<Option<String>, Failure> {
        let path = bytes(self.argument(index))?;
        let Ok(path) = String::from_utf8(path) else {
            return Err(unseen("a path that is not UTF-8"));
        };
        let base = base.and_then(|base| self.argument(base).split_once('<'));
        let base = base.and_then(|(_, base)| base.strip_suffix('>'));
        let base = match base {
            Some(base) => unescaped(base.as_bytes())?,
            None => self.names.at.clone().into_bytes(),
        };
        Ok(str::from_utf8(&base).ok().and_then(|base| self.names.inside(base, &path)))
    }

    fn read(&self, calls: &mut Vec<Call>) -> CaseResult {
        let call = match self.name {
            "open" => self.open(None, 0, 1)?,
            "openat" | "openat2" => self.open(Some(0), 1, 2)?,
            "creat" => self.open(None, 0, usize::MAX)?,
            "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" => return self.write(calls),
            "read" | "readv" | "lseek" | "_llseek" | "close" => self.position()?,
            "dup" | "dup2" | "dup3" | "fcntl" | "fcntl64" => self.duplicate()?,
            "ftruncate" | "ftruncate64" => match self.descriptor(0) {
                Some(descriptor) => Some(Call::SetLength {
                    place: Place::Descriptor(descriptor),
                    length: self.number(1)?,
                }),
                None => None,
            },
            "truncate" | "truncate64" => match self.path(None, 0)? {
                Some(path) => {
                    Some(Call::SetLength { place: Place::Path(path), length: self.number(1)? })
                }
                None => None,
            },
            "fallocate" => self.fallocate()?,
            "mmap" | "mmap2" => self.map()?,
            "fsync" | "fdatasync" if self.returned => {
                self.descriptor(0).map(|descriptor| Call::Sync { descriptor })
            }
            "fsync" | "fdatasync" => None,
            _ => return self.names_change(calls),
        };
        calls.extend(call);
        Ok(())
    }

    fn open(
        &self,
        base: Option<usize>,
        path: usize,
        flags: usize,
    ) -> Result<Option<Call>, Failure> {
        let (Some(result), Some(path)) = (self.result, self.path(base, path)?) else {
            return Ok(None);
        };
        let creat = flags == usize::MAX;
        let has = |flag| self.argument(flags).contains(flag);
        if has("O_TMPFILE") || has("O_PATH") || has("O_SYNC") || has("O_DSYNC") {
            return Err(unseen(&format!("files opened with {}", self.argument(flags))));
        }
        Ok(Some(Call::Open {
            path,
            create: creat || has("O_CREAT"),
            truncate: creat || has("O_TRUNC"),
            append: has("O_APPEND"),
            result,
        }))
    }

    fn write(&self, calls: &mut Vec<Call>) -> CaseResult {
        let Some(descriptor) = self.descriptor(0) else {
            if self.argument(0).split('<').next() == Some("1") && self.name == "write" {
                let said = bytes(self.argument(1))?;
                let said = String::from_utf8_lossy(&said);
                calls.extend(said.lines().filter_map(acknowledged).map(Call::Acknowledge));
            }
            return Ok(());
        };
        let mut written = if self.name.ends_with('v') || self.name.ends_with("v2") {
            let mut all = Vec::new();
            for part in self.argument(1).split("iov_base=").skip(1) {
                let quoted = part.split_once(',').map_or(part, |(quoted, _)| quoted);
                all.extend(bytes(quoted)?);
            }
            all
        } else {
            bytes(self.argument(1))?
        };
        if let Some(length) = self.result {
            written.truncate(usize::try_from(length)?);
        }
        if self.argument(4).contains("SYNC") {
            return Err(unseen("writes that sync"));
        }
        let at = if self.name.starts_with('p') { Some(self.number(3)?) } else { None };
        calls.push(Call::Write { descriptor, at, bytes: written });
        Ok(())
    }

    fn position(&self) -> Result<Option<Call>, Failure> {
        let Some(descriptor) = self.descriptor(0) else { return Ok(None) };
        let result = || usize::try_from(self.result.unwrap_or_default());
        Ok(Some(match self.name {
            "close" => Call::Close { descriptor },
            "lseek" => Call::Seek { descriptor, to: result()? },
            "_llseek" => return Err(unseen("_llseek")),
            _ => Call::Read { descriptor, bytes: result()? },
        }))
    }

    fn duplicate(&self) -> Result<Option<Call>, Failure> {
        let copies = self.name.starts_with("dup") || self.argument(1).starts_with("F_DUPFD");
        let (true, Some(descriptor), Some(result)) = (copies, self.descriptor(0), self.result)
        else {
            return Ok(None);
        };
        Ok(Some(Call::Duplicate { descriptor, result }))
    }

    fn fallocate(&self) -> Result<Option<Call>, Failure> {
        let Some(descriptor) = self.descriptor(0) else { return Ok(None) };
        let (from, length) = (self.number(2)?, self.number(3)?);
        let to = from.saturating_add(length);
        match self.argument(1) {
            "0" => Ok(Some(Call::Allocate { descriptor, to })),
            "FALLOC_FL_KEEP_SIZE" => Ok(None),
            flags if flags.contains("KEEP_SIZE") && !flags.contains("RANGE") => {
                Ok(Some(Call::Zero { descriptor, from, to }))
            }
            flags => Err(unseen(&format!("fallocate with {flags}"))),
        }
    }

    fn map(&self) -> Result<Option<Call>, Failure> {
        let writes = self.has(2, "PROT_WRITE") && self.argument(3).contains("MAP_SHARED");
        let descriptor = if writes { self.descriptor(4) } else { None };
        Ok(descriptor.map(|descriptor| Call::Map { descriptor }))
    }

    fn names_change(&self, calls: &mut Vec<Call>) -> CaseResult {
        let two = |from: Option<String>, to: Option<String>| match (from, to) {
            (None, None) => Ok(None),
            (Some(from), Some(to)) => Ok(Some((from, to))),
            _ => Err(unseen("names that move into the directory or out of it")),
        };
        let call = match self.name {
            "rename" => two(self.path(None, 0)?, self.path(None, 1)?)?
                .map(|(from, to)| Call::Rename { from, to }),
            "renameat" | "renameat2" if !self.argument(4).contains("EXCHANGE") => {
                two(self.path(Some(0), 1)?, self.path(Some(2), 3)?)?
                    .map(|(from, to)| Call::Rename { from, to })
            }
            "link" => two(self.path(None, 0)?, self.path(None, 1)?)?
                .map(|(from, to)| Call::Link { from, to }),
            "linkat" => two(self.path(Some(0), 1)?, self.path(Some(2), 3)?)?
                .map(|(from, to)| Call::Link { from, to }),
            "unlink" | "rmdir" => self.path(None, 0)?.map(|path| Call::Remove { path }),
            "unlinkat" => self.path(Some(0), 1)?.map(|path| Call::Remove { path }),
            "mkdir" => self.path(None, 0)?.map(|path| Call::MakeDirectory { path }),
            "mkdirat" => self.path(Some(0), 1)?.map(|path| Call::MakeDirectory { path }),
            _ => return self.refused(),
        };
        calls.extend(call);
        Ok(())
    }

    /// Calls that matter when they concern the directory, and cannot be followed.
    fn refused(&self) -> CaseResult {
        let everywhere = ["io_uring_setup", "io_submit", "sync", "chdir", "fchdir"];
        let inside = self.arguments.iter().enumerate().any(|(index, argument)| {
            let path = argument.starts_with('"') && matches!(self.path(None, index), Ok(Some(_)));
            path || self.descriptor(index).is_some()
        });
        if inside || everywhere.contains(&self.name) {
            return Err(unseen(self.name));
        }
        Ok(())
    }
}

/// The record is of no use here.
pub(super) fn unseen(what: &str) -> Failure {
    Failure::Skipped(format!("the record cannot show {what}"))
}
