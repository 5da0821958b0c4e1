//! A wire between the daemon and a server that a test can cut.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Forwards TCP connections while it is not cut; a cut closes them all, and new ones at once.
pub struct Relay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cut: bool,
    streams: Vec<TcpStream>,
    refused: usize,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for inner in listener.incoming().flatten() {
                let mut state = shared.lock().unwrap();
                if state.cut {
                    state.refused += 1;
                } else if let Ok(outer) = TcpStream::connect(server) {
                    state.streams.extend([inner.try_clone().unwrap(), outer.try_clone().unwrap()]);
                    pump(inner.try_clone().unwrap(), outer.try_clone().unwrap());
                    pump(outer, inner);
                }
            }
        });
        Self { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection. Until [`Self::mend`], a new one is closed as soon as it is there.
    pub fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.cut = true;
        for stream in state.streams.drain(..) {
            // Closed by the other side already: as well.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        self.state.lock().unwrap().cut = false;
    }

    /// How many connections came while it was cut.
    pub fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
