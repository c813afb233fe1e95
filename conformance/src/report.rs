//! What a run of the suite found, for people and for programs.

use crate::case::Level;
use serde::Serialize;
use std::fmt::{self, Write as _};

/// How one case ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome", content = "why")]
pub enum Outcome {
    /// The promise is kept.
    Passed,
    /// The promise is broken, for this reason.
    Failed(String),
    /// The harness cannot show the promise, for this reason.
    Skipped(String),
}

/// One case and how it ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CaseReport {
    /// The name of the case.
    pub name: &'static str,
    /// Whether an implementation may do without.
    pub level: Level,
    /// The seed it ran with.
    pub seed: u64,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl CaseReport {
    /// What a `#[test]` says about it: why the case failed and how to see it
    /// again, or nothing. Prints why a case was skipped.
    #[must_use]
    pub fn failure(self) -> Option<String> {
        match self.outcome {
            Outcome::Passed => None,
            Outcome::Skipped(why) => {
                eprintln!("{}: skipped: {why}", self.name);
                None
            }
            Outcome::Failed(why) => {
                Some(format!("{}: {why}\nrun it again with REPLIQ_SEED={}", self.name, self.seed))
            }
        }
    }
}

/// What a report comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every core case passed and none failed.
    Conformant,
    /// None failed, but a core case was skipped.
    Partial,
    /// A case failed, or none was run.
    Failed,
}

/// Every case of one run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// Which suite was run: `backend`, `transport` or `crdt`.
    pub suite: &'static str,
    /// The version of the suite.
    pub version: &'static str,
    /// The cases in the order they ran.
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// A report of this suite.
    #[must_use]
    pub const fn new(suite: &'static str, cases: Vec<CaseReport>) -> Self {
        Self { suite, version: env!("CARGO_PKG_VERSION"), cases }
    }

    /// What the report comes to. Running no case at all is a failure.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let failed = |case: &CaseReport| matches!(case.outcome, Outcome::Failed(_));
        let missing = |case: &CaseReport| {
            case.level == Level::Core && matches!(case.outcome, Outcome::Skipped(_))
        };
        if self.cases.is_empty() || self.cases.iter().any(failed) {
            Verdict::Failed
        } else if self.cases.iter().any(missing) {
            Verdict::Partial
        } else {
            Verdict::Conformant
        }
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            let verdict = serde_json::to_value(self.verdict()).unwrap_or_default();
            object.insert("verdict".to_owned(), verdict);
        }
        format!("{value:#}")
    }

    /// The report as a Markdown table.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = format!(
            "# {} conformance {}: {:?}\n\n| case | level | outcome | seed |\n| --- | --- | --- | --- |\n",
            self.suite,
            self.version,
            self.verdict()
        );
        for case in &self.cases {
            let outcome = case.outcome.to_string().replace('|', "\\|").replace('\n', " ");
            let _ =
                writeln!(out, "| `{}` | {:?} | {outcome} | {} |", case.name, case.level, case.seed);
        }
        out
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} conformance {}: {:?}", self.suite, self.version, self.verdict())?;
        for case in &self.cases {
            let CaseReport { name, level, seed, outcome } = case;
            writeln!(f, "  {name} ({level:?}, seed {seed}): {outcome}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed(why) => write!(f, "FAILED: {why}"),
            Self::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}
