//! Three devices, a relay, a network that breaks at any frame: in the end all
//! hold what the timestamps say, and nothing else.

use crate::support::*;
use repliq::prelude::*;
use repliq::{
    Connection, Endpoint, FrameReceiver, FrameSender, Hlc, Message, TransportError,
    TransportErrorKind,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

type Inner = MemoryTransport;

/// A transport whose connections break after a random number of frames.
#[derive(Clone)]
struct Flaky {
    inner: Inner,
    random: Arc<Mutex<Random>>,
    calm: Arc<AtomicBool>,
    breaks: Arc<AtomicU64>,
}

/// How many frames a connection carries, both ways together, before it breaks.
#[derive(Clone)]
struct Fuse {
    left: Arc<watch::Sender<u64>>,
    calm: Arc<AtomicBool>,
    breaks: Arc<AtomicU64>,
}

impl Fuse {
    fn burn(&self) -> Result<(), TransportError> {
        if self.calm.load(Ordering::SeqCst) {
            return Ok(());
        }
        let broke = self.left.send_if_modified(|left| {
            let was = *left;
            *left = left.saturating_sub(1);
            was == 1
        });
        if broke {
            self.breaks.fetch_add(1, Ordering::SeqCst);
        }
        match *self.left.borrow() {
            0 => Err(TransportErrorKind::Lost.into()),
            _ => Ok(()),
        }
    }
}

struct FlakySender(Option<<Inner as Transport>::Sender>, Fuse);
struct FlakyReceiver(<Inner as Transport>::Receiver, watch::Receiver<u64>, Fuse);

impl FrameSender for FlakySender {
    async fn send(&mut self, frame: bytes::Bytes) -> Result<(), TransportError> {
        if let Err(error) = self.1.burn() {
            // The frame is lost, and the peer sees the connection go.
            self.0 = None;
            return Err(error);
        }
        match &mut self.0 {
            Some(sender) => sender.send(frame).await,
            None => Err(TransportErrorKind::Lost.into()),
        }
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        match &mut self.0 {
            Some(sender) => sender.close().await,
            None => Ok(()),
        }
    }
}

impl FrameReceiver for FlakyReceiver {
    async fn recv(&mut self) -> Result<Option<bytes::Bytes>, TransportError> {
        let Self(receiver, left, fuse) = self;
        tokio::select! {
            biased;
            _ = left.wait_for(|left| *left == 0) => Err(TransportErrorKind::Lost.into()),
            frame = receiver.recv() => {
                let frame = frame?;
                fuse.burn()?;
                Ok(frame)
            }
        }
    }
}

struct FlakyListener(<Inner as Transport>::Listener, Flaky);

impl repliq::Listener for FlakyListener {
    type Sender = FlakySender;
    type Receiver = FlakyReceiver;

    async fn accept(&mut self) -> Result<Connection<FlakySender, FlakyReceiver>, TransportError> {
        Ok(self.1.wrap(self.0.accept().await?))
    }

    fn local_endpoint(&self) -> Endpoint {
        self.0.local_endpoint()
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        self.0.close().await
    }
}

impl Flaky {
    fn wrap(
        &self,
        connection: Connection<<Inner as Transport>::Sender, <Inner as Transport>::Receiver>,
    ) -> Connection<FlakySender, FlakyReceiver> {
        let frames = 1 + self.random.lock().unwrap().below(60);
        let (left, broken) = watch::channel(frames);
        let fuse = Fuse {
            left: Arc::new(left),
            calm: Arc::clone(&self.calm),
            breaks: Arc::clone(&self.breaks),
        };
        Connection {
            sender: FlakySender(Some(connection.sender), fuse.clone()),
            receiver: FlakyReceiver(connection.receiver, broken, fuse),
            peer: connection.peer,
        }
    }
}

impl Transport for Flaky {
    type Listener = FlakyListener;
    type Sender = FlakySender;
    type Receiver = FlakyReceiver;

    fn schemes(&self) -> &'static [&'static str] {
        self.inner.schemes()
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Connection<FlakySender, FlakyReceiver>, TransportError> {
        Ok(self.wrap(Transport::connect(&self.inner, endpoint).await?))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<FlakyListener, TransportError> {
        Ok(FlakyListener(Transport::listen(&self.inner, endpoint).await?, self.clone()))
    }
}

/// What won at one key: time, replica and number of the edit, and the value.
type Won = ((Hlc, [u8; 16], u64), Option<String>);

/// The last edit of an element: time, whether it is in, replica and number.
type LastEdit = (Hlc, bool, [u8; 16], u64);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_on_a_network_that_breaks_end_with_what_the_timestamps_say() {
    let mut random =
        Random::new("devices_on_a_network_that_breaks_end_with_what_the_timestamps_say");
    let flaky = Flaky {
        inner: MemoryTransport::new(),
        random: Arc::new(Mutex::new(Random(random.next() | 1))),
        calm: Arc::default(),
        breaks: Arc::default(),
    };
    let url = "memory://relay";
    let data = MemoryBackend::new();
    let mut relay = Relay::open(data.clone()).await.unwrap();
    relay.listen(flaky.inner.clone(), url).await.unwrap();

    let (mut devices, mut links, mut maps, mut sets) = (vec![], vec![], vec![], vec![]);
    for _ in 0..3 {
        let device = Replica::builder().storage(Faulty::new()).transport(flaky.clone());
        let device = device.build().await.unwrap();
        maps.push(device.document::<Notes>("map").await.unwrap());
        sets.push(device.document::<Tags>("set").await.unwrap());
        links.push(device.sync(url).await.unwrap());
        devices.push(device);
    }
    let began = Instant::now();
    let mut updates = 0_u64;
    let mut next_restart = 400;
    while began.elapsed() < Duration::from_millis(2500) {
        let n = random.below(3) as usize;
        let key = random.below(15).to_string();
        updates += 1;
        match random.below(4) {
            0 => maps[n].update(|m| m.set(key, format!("{n} {updates}"))).await.unwrap(),
            1 => maps[n].update(|m| m.remove(key)).await.unwrap(),
            2 => sets[n].update(|s| s.add(key)).await.unwrap(),
            _ => sets[n].update(|s| s.remove(key)).await.unwrap(),
        }
        if random.below(20) == 0 {
            // The link's pause before it connects again would take all the time.
            let again = devices[n].sync(url).await.unwrap();
            drop(std::mem::replace(&mut links[n], again));
        }
        if random.below(8) == 0 {
            tokio::time::sleep(Duration::from_millis(random.below(5))).await;
        }
        if updates == next_restart {
            next_restart += 400;
            within(relay.close()).await;
            relay = Relay::open(data.clone()).await.unwrap();
            relay.listen(flaky.inner.clone(), url).await.unwrap();
        }
    }
    flaky.calm.store(true, Ordering::SeqCst);
    for n in 0..3 {
        links[n] = devices[n].sync(url).await.unwrap();
    }
    for _ in 0..2 {
        for link in &links {
            within(link.synced()).await.unwrap();
        }
    }
    let breaks = flaky.breaks.load(Ordering::SeqCst);
    println!("{updates} updates, {breaks} broken connections");
    assert!(breaks > 3 && updates > 50);

    let (map_oracle, set_oracle, changes) = oracle(&flaky.inner, url).await;
    assert_eq!(changes, updates, "every acknowledged update is at the relay, once");
    let set_view = |set: &Document<Tags>| {
        let mut tags: Vec<String> =
            set.read(|s| s.elements().into_iter().cloned().collect()).unwrap();
        tags.sort();
        tags
    };
    for n in 0..3 {
        assert_eq!(view(&maps[n]), map_oracle, "device {n}");
        assert_eq!(set_view(&sets[n]), set_oracle, "device {n}");
        assert_eq!(maps[n].version().unwrap(), maps[0].version().unwrap());
    }
}

/// The outcome, worked out from the relay's log by the order of design section 5.
async fn oracle(network: &MemoryTransport, url: &str) -> (View, Vec<String>, u64) {
    let mut client = Client::with_transport(ReplicaId::new(), network.clone());
    client.connect(url).await.unwrap();
    let (told, mut changes) = tokio::sync::mpsc::channel(100_000);
    let running =
        tokio::spawn(async move { client.run(move |message| drop(told.try_send(message))).await });
    let mut map: BTreeMap<String, Won> = BTreeMap::new();
    let mut set: BTreeMap<String, LastEdit> = BTreeMap::new();
    let mut count = 0;
    loop {
        let sync = match within(changes.recv()).await.unwrap() {
            Message::Sync(sync) => sync,
            _ => break,
        };
        count += 1;
        let (header, payload) = sync.change.payload().unwrap();
        let dot = sync.change.dot;
        let replica = dot.replica.as_bytes()[..].try_into().unwrap();
        let mut ops = repliq::OpReader::new(&payload);
        if &*sync.document == "map" {
            let op: MapOp<String, String> = ops.next_op().unwrap().unwrap();
            let (key, value) = match op {
                MapOp::Set(key, value) => (key, Some(value)),
                MapOp::Remove(key) => (key, None),
            };
            let won = ((header.hlc, replica, dot.seq), value);
            let at = map.entry(key).or_insert_with(|| won.clone());
            if won > *at {
                *at = won;
            }
        } else {
            let op: SetOp<String> = ops.next_op().unwrap().unwrap();
            let (element, is_in) = match op {
                SetOp::Add(element) => (element, true),
                SetOp::Remove(element) => (element, false),
            };
            let won = (header.hlc, is_in, replica, dot.seq);
            let at = set.entry(element).or_insert(won);
            *at = won.max(*at);
        }
    }
    running.abort();
    let map = map.into_iter().filter_map(|(key, (_, value))| Some((key, value?))).collect();
    let set = set.into_iter().filter(|(_, (_, is_in, ..))| *is_in).map(|(tag, _)| tag);
    (map, set.collect(), count)
}
