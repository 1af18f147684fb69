//! Foreign code that panics: the panic ends here and becomes an error.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result, Status};

/// Runs foreign code. A panic of it comes back as PANIC with its message.
///
/// State that the code leaves half changed is its owner's: none of ours is within its reach, as no
/// lock of ours is held.
pub(crate) fn caught<R>(code: impl FnOnce() -> R) -> Result<R> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| {
        let error = Error::new(Status::Panic, format!("panicked: {}", message(&*payload)));
        // A payload is foreign too: what one panics with while it is dropped is let go undropped.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        error
    })
}

/// Drops something foreign.
pub(crate) fn drop_caught<T>(thing: T) -> Result<()> {
    caught(|| drop(thing))
}

fn message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the drop");
        }
    }

    #[test]
    fn a_panic_becomes_an_error_whatever_its_payload_is() {
        assert_eq!(caught(|| 7).unwrap(), 7);
        let text = |error: Error| {
            assert_eq!(error.status(), Status::Panic);
            error.to_string()
        };
        assert_eq!(
            text(caught(|| panic!("plain")).unwrap_err()),
            "panicked: plain"
        );
        assert_eq!(
            text(caught(|| panic!("number {}", 7)).unwrap_err()),
            "panicked: number 7"
        );
        let odd = caught(|| std::panic::panic_any(Bomb)).unwrap_err();
        assert_eq!(text(odd), "panicked: without a message");
        assert_eq!(
            text(drop_caught(Bomb).unwrap_err()),
            "panicked: in the drop"
        );
    }
}
