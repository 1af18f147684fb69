//! How far a life is, and what it has of the network.

use std::net::IpAddr;

/// How far a life is.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let map = nsgate::SandboxMap::new(&gate);
/// use nsgate::State;
///
/// let sandbox = map.register("sandbox-1", "life-1", ()).map_err(|e| e.0)?;
/// sandbox.mark_running()?;
/// assert_eq!(sandbox.state(), State::Running);
/// assert_eq!(map.count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// In the map, not running yet.
    Registered,
    /// Found by its sandbox id.
    Running,
    /// About to end; no longer found by its sandbox id.
    Stopping,
    /// Ended.
    Stopped,
}

/// What a life has of the network; independent of its state.
///
/// ```
/// # let gate = nsgate::Gate::open(nsgate::GateOptions::default())?;
/// # let map = nsgate::SandboxMap::new(&gate);
/// use nsgate::Network;
///
/// let sandbox = map.register("sandbox-1", "life-1", ()).map_err(|e| e.0)?;
/// sandbox.assign_network("10.0.0.7".parse()?)?;
/// assert_eq!(sandbox.network(), Network::Assigned("10.0.0.7".parse()?));
/// assert!(map.find_by_address("10.0.0.7".parse()?).is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Network {
    /// No address yet.
    None,
    /// The life owns this address.
    Assigned(IpAddr),
    /// The address, if there was one, is given up, and what was attached is handed over.
    Released,
}
