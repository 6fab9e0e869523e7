//! Runs the decoders of other projects. Some of them panic on damaged files; here a panic becomes an error like others.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use super::fault::Fault;

thread_local! {
    /// True while a decoder runs on this thread.
    static IS_DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder. Its panic is a fault of the file, without a word on standard error.
pub fn decode<T>(run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_DECODING.get() {
                others(panic);
            }
        }));
    });
    let outer = IS_DECODING.replace(true);
    // What the decoder leaves half done is dropped with the fault.
    let result = catch_unwind(AssertUnwindSafe(run));
    IS_DECODING.set(outer);
    result.unwrap_or_else(|_| Err(Fault::new("its content contradicts itself", Fault::DAMAGED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault_and_the_next_call_works() {
        let fault = decode::<()>(|| panic!("out of range")).unwrap_err();
        assert_eq!(fault.hint, Fault::DAMAGED);
        assert_eq!(decode(|| decode(|| Ok(1))), Ok(1));
        assert!(!IS_DECODING.get());
    }
}
