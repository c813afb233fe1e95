//! scratch
use repliq::prelude::*;
fn size(p: &std::path::Path) -> f64 {
    use std::os::unix::fs::MetadataExt;
    let mut t = 0;
    for e in std::fs::read_dir(p).unwrap() {
        let e = e.unwrap();
        let m = e.metadata().unwrap();
        t += m.blocks() * 512;
    }
    t as f64 / 1048576.0
}
#[tokio::test]
async fn growth() {
    for (together, len, keys) in [
        (false, 1000usize, 3000u32),
        (true, 1000, 3000),
        (false, 100, 3000),
        (true, 100, 3000),
        (false, 20, 30),
        (false, 1000, 30),
    ] {
        let d = tempfile::tempdir().unwrap();
        let mut n = 0u32;
        for open in 0..6 {
            let t = std::time::Instant::now();
            let r = Replica::open(d.path().join("s")).await.unwrap();
            let m: Document<LwwMap<String, String>> = r.document("m").await.unwrap();
            let to = t.elapsed();
            let mut v = Vec::new();
            for _ in 0..500 {
                n += 1;
                let k = (n % keys).to_string();
                let u = m.update(move |m| m.set(k, "x".repeat(len)));
                if together {
                    v.push(tokio::spawn(u));
                } else {
                    u.await.unwrap();
                }
            }
            for u in v {
                u.await.unwrap().unwrap();
            }
            r.close().await;
            println!(
                "{together} {len} {keys} {open}: {:.1} MiB {to:?}, all {:?}",
                size(&d.path().join("s")),
                t.elapsed()
            );
        }
    }
}
