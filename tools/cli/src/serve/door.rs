//! The ways into the service that have a thread of their own.

/// A way into the service beside the line protocol. The controlling thread opens and stops it.
pub(crate) trait Door {
    /// Returns the address at which clients connect.
    fn name(&self) -> String;

    /// Starts the end: requests that wait are answered, and further ones are refused.
    fn stop(&self);

    /// Returns whether the last client has left after [`Door::stop`]. The door wakes the
    /// controlling thread when this happens.
    fn is_closed(&self) -> bool;
}
