//! Notes on two devices, kept in SQLite and synced over a Unix socket.

use custom_backend::SqliteBackend;
use custom_transport::UnixSocket;
use repliq::prelude::*;
use std::error::Error;
use std::path::Path;

type Notes = LwwMap<String, String>;
type Device = Replica<SqliteBackend, UnixSocket>;

async fn device(file: &Path) -> Result<(Device, Document<Notes>), Box<dyn Error>> {
    let backend = SqliteBackend::open(file)?;
    let replica = Replica::builder().storage(backend).transport(UnixSocket).build().await?;
    let notes = replica.document("notes").await?;
    Ok((replica, notes))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let file = |name: &str| directory.path().join(name);
    let relay = Relay::open(SqliteBackend::open(file("relay.sqlite"))?).await?;
    let url = format!("unix://{}", file("relay.sock").display());
    relay.listen(UnixSocket, &url).await?;

    let (laptop, on_laptop) = device(&file("laptop.sqlite")).await?;
    let (phone, on_phone) = device(&file("phone.sqlite")).await?;
    on_laptop.update(|notes| notes.set("groceries".into(), "milk, bread".into())).await?;
    on_phone.update(|notes| notes.set("calls".into(), "Ada, on Monday".into())).await?;
    println!("both were offline: each has its own note");

    let (from_laptop, from_phone) = (laptop.sync(&url).await?, phone.sync(&url).await?);
    from_laptop.synced().await?;
    from_phone.synced().await?;
    from_laptop.synced().await?;
    for (name, notes) in [("laptop", &on_laptop), ("phone", &on_phone)] {
        let mut lines = notes.read(|notes| {
            notes.iter().map(|(title, text)| format!("{title}: {text}")).collect::<Vec<_>>()
        })?;
        lines.sort();
        println!("on the {name}: {lines:?}");
        if lines.len() != 2 {
            return Err(format!("the {name} lacks a note").into());
        }
    }
    laptop.close().await;
    phone.close().await;
    relay.close().await;
    Ok(())
}
