//! A device as a process of its own, which is killed.
//!
//! It promises that the process had the store open and was connected when it was
//! killed, with no chance to close anything.

use crate::error::AppError;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// How long the process may take to connect.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs this program on a device's data until it is connected, then kills it.
pub(crate) async fn run_and_kill(data_dir: &Path, url: &str) -> Result<(), AppError> {
    let failed =
        |what: &str| AppError::Check(format!("a process on {}: {what}", data_dir.display()));
    let mut process = Command::new(std::env::current_exe()?)
        .arg("--data-dir")
        .arg(data_dir)
        .args(["watch", "--url", url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = process.stdout.take().ok_or_else(|| failed("it has no output"))?;
    let mut lines = BufReader::new(output).lines();
    let live = async {
        while let Some(line) = lines.next_line().await? {
            if line == "* live" {
                return Ok(());
            }
        }
        Err(failed("it ended by itself"))
    };
    timeout(PATIENCE, live).await.map_err(|_| failed("it did not connect in time"))??;
    Ok(process.kill().await?)
}
