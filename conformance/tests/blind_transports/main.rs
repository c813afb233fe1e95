//! Broken transports written from the contract alone: the suite must fail each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]
mod tcp;
use repliq_conformance::transport::{TransportHarness, run};
use repliq_conformance::{Outcome, Report};
use repliq_core::Endpoint;
use std::any::Any;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use tcp::{Flaw, Tcp};

struct Loopback(Flaw);
impl TransportHarness for Loopback {
    type Transport = Tcp;
    fn transport(&self) -> Tcp {
        Tcp(self.0)
    }
    fn endpoint(&self) -> Endpoint {
        "blind://127.0.0.1:0".parse().unwrap()
    }
    fn stall(&self, at: &Endpoint) -> Option<Box<dyn std::any::Any + Send>> {
        Some(Box::new(std::net::TcpStream::connect(at.authority()).unwrap()))
    }
    fn silence(&self) -> Option<(Endpoint, Box<dyn Any + Send>)> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("blind://{}", listener.local_addr().unwrap()).parse().unwrap();
        Some((at, Box::new(listener)))
    }
    fn oversize(&self, at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        let mut stream = TcpStream::connect(at.authority()).unwrap();
        stream.write_all(b"BLND").unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.write_all(&(2_u32 << 20).to_be_bytes()).unwrap();
        Some(Box::new(stream))
    }
    fn patience(&self) -> Duration {
        Duration::from_secs(3)
    }
}
fn show(name: &str, report: Report) {
    let failed: Vec<_> = report
        .cases
        .iter()
        .filter(|c| matches!(c.outcome, Outcome::Failed(_)))
        .map(|c| c.name)
        .collect();
    println!("RESULT {name}: {:?} {failed:?}", report.verdict());
}
macro_rules! survey { ($($n:ident)*) => { $( #[test] #[allow(non_snake_case)] fn $n() { show(stringify!($n), run(|| Loopback(Flaw::$n))); } )* } }
mod s {
    use super::*;
    survey! { None ReadExactInRecv RecvYieldsBeforeItGives SendWritesItself SlowSendIsRepeated CloseDropsTheQueue CloseDoesNotWait EndIsToldOnce LostIsAnEnd EndIsALoss EmptyIsTheEnd EmptyIsSkipped MaximumIsTooLarge OversizedIsSent OversizedIsReceived OversizedEndsIt UnboundedQueue ReadsAhead HandshakeInAccept SpoiltHandshakeIsAnError SpoiltHandshakeEndsIt AcceptHangsAfterClose AcceptGoesOnAfterClose PortStaysBound CloseEndsAccepted CloseEndsBoth SaysPortZero VerifiedByNobody LeavesWhenFull OneLockForBoth DropSaysGoodbye ConnectWaitsForEver ShortFramesOvertake EqualFramesOnce GoodbyeIsAFrame FramesAreLines FullPacketIsLost CancelledCloseIsDone ChecksNothing FourAtMost NobodyIsLost InUseIsIo LossIsNotTold }
}
