//! The object-safe mirror of [`Transport`]: what the engine holds, so that it is
//! compiled once and not once a transport. Implementers never see it; a blanket
//! implementation covers every transport.

use crate::{
    Connection, Endpoint, FrameReceiver, FrameSender, Listener, Transport, TransportError,
};
use async_trait::async_trait;
use bytes::Bytes;

/// A connection of any transport.
pub type DynConnection = Connection<Box<dyn DynSender>, Box<dyn DynReceiver>>;

/// Mirror of [`FrameSender`].
#[async_trait]
pub trait DynSender: Send {
    /// As [`FrameSender::send`].
    async fn send(&mut self, frame: Bytes) -> Result<(), TransportError>;
    /// As [`FrameSender::close`].
    async fn close(&mut self) -> Result<(), TransportError>;
}

/// Mirror of [`FrameReceiver`].
#[async_trait]
pub trait DynReceiver: Send {
    /// As [`FrameReceiver::recv`].
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError>;
}

/// Mirror of [`Listener`].
#[async_trait]
pub trait DynListener: Send {
    /// As [`Listener::accept`].
    async fn accept(&mut self) -> Result<DynConnection, TransportError>;
    /// As [`Listener::local_endpoint`].
    fn local_endpoint(&self) -> Endpoint;
    /// As [`Listener::close`].
    async fn close(&mut self) -> Result<(), TransportError>;
}

/// Mirror of [`Transport`].
#[async_trait]
pub trait DynTransport: Send + Sync {
    /// As [`Transport::schemes`].
    fn schemes(&self) -> &'static [&'static str];
    /// As [`Transport::check`].
    fn check(&self, endpoint: &Endpoint) -> Result<(), TransportError>;
    /// As [`Transport::connect`].
    async fn connect(&self, endpoint: &Endpoint) -> Result<DynConnection, TransportError>;
    /// As [`Transport::listen`].
    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn DynListener>, TransportError>;
}

#[async_trait]
impl<S: FrameSender> DynSender for S {
    async fn send(&mut self, frame: Bytes) -> Result<(), TransportError> {
        FrameSender::send(self, frame).await
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        FrameSender::close(self).await
    }
}

#[async_trait]
impl<R: FrameReceiver> DynReceiver for R {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        FrameReceiver::recv(self).await
    }
}

#[async_trait]
impl<L: Listener> DynListener for L {
    async fn accept(&mut self) -> Result<DynConnection, TransportError> {
        Listener::accept(self).await.map(erase)
    }

    fn local_endpoint(&self) -> Endpoint {
        Listener::local_endpoint(self)
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        Listener::close(self).await
    }
}

#[async_trait]
impl<T: Transport> DynTransport for T {
    fn schemes(&self) -> &'static [&'static str] {
        Transport::schemes(self)
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), TransportError> {
        Transport::check(self, endpoint)
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<DynConnection, TransportError> {
        Transport::connect(self, endpoint).await.map(erase)
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn DynListener>, TransportError> {
        Ok(Box::new(Transport::listen(self, endpoint).await?))
    }
}

fn erase<S: FrameSender, R: FrameReceiver>(connection: Connection<S, R>) -> DynConnection {
    Connection {
        sender: Box::new(connection.sender),
        receiver: Box::new(connection.receiver),
        peer: connection.peer,
    }
}
