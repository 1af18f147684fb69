use std::sync::mpsc;

use super::*;
use crate::kernel::process::ProcRoot;

const LONG: Duration = Duration::from_secs(15);

/// A pool with one thread, whose home is where the process is.
fn one_thread() -> NamespaceThreads {
    let supervisor = Supervisor::start(&ProcRoot::open().unwrap()).unwrap();
    let home = std::fs::File::open("/proc/self/ns/mnt").unwrap().into();
    NamespaceThreads::new(supervisor, home, 1, LONG, None)
}

type Told = mpsc::Receiver<Result<()>>;

fn start(threads: &NamespaceThreads, enter: Enter, job: Box<dyn FnOnce() + Send>) -> (RunId, Told) {
    let (tell, told) = mpsc::channel();
    let done = Box::new(move |outcome| tell.send(outcome).unwrap());
    (threads.start(&"a test", enter, job, done).unwrap(), told)
}

/// Starts a job that keeps the thread until the sender is dropped, and sees it begin.
fn hold(threads: &NamespaceThreads) -> (mpsc::Sender<()>, Told) {
    let (let_go, held) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let job = move || {
        begin.send(()).unwrap();
        let _ = held.recv_timeout(LONG);
    };
    let (_, told) = start(threads, Box::new(|| Ok(())), Box::new(job));
    begun.recv_timeout(LONG).unwrap();
    (let_go, told)
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in the drop");
    }
}

/// A job that panics unless it is run.
fn bomb() -> Box<dyn FnOnce() + Send> {
    let bomb = Bomb;
    Box::new(move || std::mem::forget(bomb))
}

#[test]
fn a_job_that_is_not_run_and_panics_in_its_drop_costs_no_thread() {
    let threads = one_thread();
    let refuse = || Err(Error::new(Status::Os, "no way in"));
    let (_, told) = start(&threads, Box::new(refuse), bomb());
    let outcome = told.recv_timeout(LONG).unwrap();
    assert_eq!(outcome.unwrap_err().status(), Status::Os);
    let (_, told) = start(&threads, Box::new(|| Ok(())), Box::new(|| ()));
    told.recv_timeout(LONG).unwrap().unwrap();
    threads.close();
}

#[test]
fn nor_does_a_way_in_that_panics() {
    let threads = one_thread();
    let (_, told) = start(&threads, Box::new(|| panic!("on the way in")), bomb());
    let outcome = told.recv_timeout(LONG).unwrap();
    assert_eq!(outcome.unwrap_err().status(), Status::Panic);
    let (_, told) = start(&threads, Box::new(|| Ok(())), Box::new(|| ()));
    told.recv_timeout(LONG).unwrap().unwrap();
    threads.close();
}

#[test]
fn who_started_a_job_that_panics_in_its_drop_is_told_of_the_refusal() {
    let threads = one_thread();
    let (let_go, first) = hold(&threads);
    let (_, told) = start(&threads, Box::new(|| Ok(())), bomb());
    threads.close();
    let outcome = told.recv_timeout(LONG).unwrap();
    assert_eq!(outcome.unwrap_err().status(), Status::Closed);
    drop(let_go);
    first.recv_timeout(LONG).unwrap().unwrap();
}

#[test]
fn what_is_taken_back_is_gone_and_nobody_is_told() {
    let threads = one_thread();
    let (let_go, first) = hold(&threads);
    let (taken, untold) = start(&threads, Box::new(|| Ok(())), bomb());
    let (_, told) = start(&threads, Box::new(|| Ok(())), Box::new(|| ()));
    assert!(threads.take_back(taken));
    // The sender went with it.
    assert_eq!(
        untold.try_recv().unwrap_err(),
        mpsc::TryRecvError::Disconnected
    );
    assert!(!threads.take_back(taken));
    assert!(!threads.take_back(RunId::from_raw(0)));
    drop(let_go);
    first.recv_timeout(LONG).unwrap().unwrap();
    told.recv_timeout(LONG).unwrap().unwrap();
    threads.close();
}

#[test]
fn what_somebody_waits_for_is_not_taken_back() {
    let threads = one_thread();
    let (let_go, _told) = hold(&threads);
    let waiting = threads.visit(visit()).unwrap();
    assert!(!threads.take_back(waiting));
    drop(let_go);
    threads.close();
}

fn visit() -> Visit {
    Visit {
        enter: Box::new(|| Ok(())),
        job: Box::new(|| ()),
        done: Done::Waiter(crossbeam_channel::bounded(1).0),
        trace: trace::Visit::default(),
    }
}

#[test]
fn a_nested_visit_is_not_left_to_its_own_thread_when_no_other_can_be_made() {
    let home = std::fs::File::open("/dev/null").unwrap().into();
    let supervisor = Supervisor::without_thread();
    let threads = NamespaceThreads::new(supervisor, home, 2, Duration::from_secs(1), None);
    // This test is the only thread of the pool, in the middle of a job.
    lock(&threads.0.state).threads = 1;
    INSIDE.set(Arc::as_ptr(&threads.0));
    let answer = threads.visit(visit());
    INSIDE.set(std::ptr::null());
    assert_eq!(answer.unwrap_err().status(), Status::Closed);
    let state = lock(&threads.0.state);
    assert!(state.queue.is_empty());
    assert_eq!(state.threads, 1);
}
