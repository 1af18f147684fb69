//! The thread that tells the host what the thread of the visit can't.
//!
//! A thread that is lost stays inside, and whoever refuses a visit may stand anywhere. A thread of its
//! own, because the host's code may dawdle: nothing waits for it but what is told here, too.

use std::sync::{Arc, Mutex, mpsc};

use crate::error::Result;
use crate::foreign;
use crate::gate::supervisor::{Body, Supervisor, insist};
use crate::panic::caught;
use crate::sync::lock;

/// A handle to the thread, which ends when the last handle is gone and all is told.
#[derive(Clone)]
pub(crate) struct Teller(mpsc::Sender<Body>);

impl Teller {
    fn start(supervisor: &Supervisor) -> Result<Teller> {
        let (sender, inbox) = mpsc::channel();
        start_with(supervisor, &Arc::new(Mutex::new(inbox)))?;
        Ok(Teller(sender))
    }

    pub(crate) fn tell(&self, what: Body) {
        // Who holds a handle keeps the thread alive, so that it always arrives.
        let _ = self.0.send(what);
    }
}

/// Starts the thread, and where it is lost another with what is left to be told.
fn start_with(supervisor: &Supervisor, inbox: &Arc<Mutex<mpsc::Receiver<Body>>>) -> Result<()> {
    let (own, shared) = (supervisor.clone(), inbox.clone());
    let body = move || {
        // There is one thread at a time.
        let inbox = lock(&shared);
        for what in &*inbox {
            // The thread outlives a panic in the host's code, which the panic hook has reported.
            let _ = foreign::run(|| caught(what));
            if foreign::has_lost_thread() {
                break;
            }
        }
        drop(inbox);
        if foreign::has_lost_thread() {
            insist(|| start_with(&own, &shared));
        }
    };
    supervisor.spawn("nsgate-tell", Box::new(body))
}

/// The teller of a pool, made when somebody wants to be told for the first time: it is there before
/// it is needed, so that a lack of threads can't keep anything from being told.
#[derive(Default)]
pub(super) struct LazyTeller(Mutex<Option<Teller>>);

impl LazyTeller {
    pub(super) fn get(&self, supervisor: &Supervisor) -> Result<Teller> {
        let mut place = lock(&self.0);
        if let Some(teller) = &*place {
            return Ok(teller.clone());
        }
        let teller = Teller::start(supervisor)?;
        *place = Some(teller.clone());
        Ok(teller)
    }
}
