//! Engines that wait for calls, so that several Python threads can use one object.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::process;
use std::sync::{Mutex, PoisonError};

/// Engines of one kind. Each call takes one of its own. A call that finds none idle makes one.
pub(crate) struct Pool<T> {
    idle: Mutex<Idle<T>>,
}

struct Idle<T> {
    engines: Vec<T>,
    /// The process that made them.
    process: u32,
}

impl<T> Pool<T> {
    pub(crate) fn new(engines: Vec<T>) -> Self {
        Self { idle: Mutex::new(Idle { engines, process: process::id() }) }
    }

    /// Takes an idle engine, or one that `make` returns.
    pub(crate) fn take<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<Taken<'_, T>, E> {
        let idle = self.with_idle(Vec::pop);
        let engine = idle.map_or_else(make, Ok)?;
        Ok(Taken { engine: Some(engine), pool: self })
    }

    fn with_idle<R>(&self, change: impl FnOnce(&mut Vec<T>) -> R) -> R {
        // The list is valid after every statement, so a panic elsewhere did not damage it.
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.process != process::id() {
            // After a fork, the threads of these engines do not exist. Dropping the engines would
            // wait for them.
            mem::forget(mem::take(&mut idle.engines));
            idle.process = process::id();
        }
        change(&mut idle.engines)
    }
}

/// An engine that goes back to its pool when it is dropped.
pub(crate) struct Taken<'a, T> {
    /// `None` only while it is dropped.
    engine: Option<T>,
    pool: &'a Pool<T>,
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.engine.as_ref().expect("the engine is there until it is dropped")
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.engine.as_mut().expect("the engine is there until it is dropped")
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            self.pool.with_idle(|engines| engines.push(engine));
        }
    }
}
