//! What a cancellation can reach beyond this crate: blocking sockets, C, and the tokens of other crates.

#![cfg(all(feature = "std", not(loom)))]

use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use tokio_util::sync::{CancellationToken, DropGuard};
use winddown::{CancelScope, CancelToken, Registration};

/// Two ends of one connection on loopback.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

mod a_blocking_socket {
    use super::*;

    fn shut_down_on_cancel(token: &CancelToken, stream: &TcpStream) -> Registration {
        let stream = stream.try_clone().unwrap();
        token.on_cancel(move || drop(stream.shutdown(Shutdown::Both)))
    }

    /// Echoes until the other side or the token ends it; says whether it was the token.
    fn echo(mut stream: TcpStream, token: &CancelToken) -> bool {
        let _unblock = shut_down_on_cancel(token, &stream);
        let mut byte = [0];
        while stream.read(&mut byte).is_ok_and(|count| count == 1) {
            stream.write_all(&byte).unwrap();
        }
        token.is_cancelled()
    }

    /// S3.7: a `read` that blocks on a thread returns when the token is cancelled.
    #[test]
    fn a_read_that_blocks_is_unblocked() {
        let scope = CancelScope::new();
        let peers: Vec<_> = (0..4)
            .map(|_| {
                let (mut near, far) = connection();
                let token = scope.token().child().detach().token().clone();
                let server = thread::spawn(move || echo(far, &token));
                near.write_all(b"x").unwrap();
                let mut byte = [0];
                near.read_exact(&mut byte).unwrap();
                assert_eq!(&byte, b"x", "the server is at work, and back in its read");
                (near, server)
            })
            .collect();
        assert!(scope.cancel());
        for (mut near, server) in peers {
            assert!(server.join().unwrap());
            assert_eq!(near.read(&mut [0]).unwrap(), 0, "the connection was shut down");
        }
    }

    /// The registration goes with the connection, so a later cancel unblocks nothing.
    #[test]
    fn a_connection_that_ends_by_itself_takes_its_callback_back() {
        let scope = CancelScope::new();
        let (near, far) = connection();
        let token = scope.token().clone();
        let server = thread::spawn(move || echo(far, &token));
        near.shutdown(Shutdown::Write).unwrap();
        assert!(!server.join().unwrap());
        assert!(scope.cancel(), "and nothing is left to shut down");
    }

    #[test]
    fn a_connection_under_a_cancelled_token_is_shut_down_at_once() {
        let scope = CancelScope::new();
        scope.cancel();
        let (_near, far) = connection();
        assert!(echo(far, scope.token()));
    }
}

/// A library that takes a function pointer with a context, as C does.
mod a_callback_of_c {
    use super::*;

    /// `void (*callback)(void *context)`.
    type Callback = unsafe extern "C" fn(*mut c_void);

    /// The pair that a C caller hands over.
    struct CCallback {
        callback: Callback,
        context: *mut c_void,
    }

    // SAFETY: the code that makes one promises that the pair may be used from any thread.
    unsafe impl Send for CCallback {}

    impl CCallback {
        fn call(self) {
            // SAFETY: the maker's promise: the pair belongs together and is called once.
            unsafe { (self.callback)(self.context) }
        }
    }

    /// What a C header would declare: returns the registration, to be taken back by its owner.
    ///
    /// # Safety
    ///
    /// `callback` may be called once with `context`, from any thread, until the registration is
    /// taken back.
    unsafe fn on_cancel(
        token: &CancelToken,
        callback: Callback,
        context: *mut c_void,
    ) -> Registration {
        let pair = CCallback { callback, context };
        token.on_cancel(move || pair.call())
    }

    unsafe extern "C" fn add_one(context: *mut c_void) {
        // SAFETY: the tests give an `AtomicUsize` that outlives the registration.
        let count = unsafe { &*context.cast::<AtomicUsize>() };
        count.fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn it_is_called_once_with_its_context() {
        let count = AtomicUsize::new(0);
        let context = (&raw const count).cast_mut().cast::<c_void>();
        let scope = CancelScope::new();
        // SAFETY: `add_one` is for this context, which outlives both registrations.
        let registration = unsafe { on_cancel(scope.token(), add_one, context) };
        // SAFETY: as above.
        let gone = unsafe { on_cancel(scope.token(), add_one, context) };
        assert!(gone.deregister());
        thread::scope(|threads| drop(threads.spawn(|| scope.cancel())));
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert!(!registration.deregister());
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}

/// tokio-util's `CancellationToken`, in both directions.
mod the_token_of_tokio_util {
    use super::*;

    /// Ours cancels theirs: a callback that stays for as long as the scope.
    fn theirs(token: &CancelToken) -> CancellationToken {
        let theirs = CancellationToken::new();
        let guard: DropGuard = theirs.clone().drop_guard();
        token.on_cancel(move || drop(guard)).detach();
        theirs
    }

    /// Theirs cancels ours: a task that ends with either.
    async fn follow(theirs: CancellationToken, ours: CancelScope) -> bool {
        let ended = ours.token().clone();
        let first = ended.run_until_cancelled(theirs.cancelled()).await;
        first.is_ok() && ours.cancel_with("theirs was cancelled").is_ok()
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn ours_cancels_theirs() {
        runtime().block_on(async {
            let root = CancelScope::new();
            let scope = root.token().child();
            let theirs = theirs(scope.token());
            let task = tokio::spawn(theirs.child_token().cancelled_owned());
            tokio::task::yield_now().await;
            assert!(!theirs.is_cancelled() && !task.is_finished());
            root.cancel();
            assert!(theirs.is_cancelled());
            task.await.unwrap();
        });
    }

    #[test]
    fn theirs_is_born_cancelled_below_a_cancelled_token() {
        let scope = CancelScope::new();
        scope.cancel();
        assert!(theirs(scope.token()).is_cancelled());
    }

    /// Nothing can cancel our scope any more: their scope, whose guard was captured, is cancelled.
    #[test]
    fn theirs_ends_with_ours() {
        let scope = CancelScope::new().detach();
        let theirs = theirs(scope.token());
        assert!(!theirs.is_cancelled());
        drop(scope);
        assert!(theirs.is_cancelled());
    }

    #[test]
    fn theirs_cancels_ours() {
        runtime().block_on(async {
            let theirs = CancellationToken::new();
            let root = CancelScope::new();
            let ours = root.token().child();
            let below = ours.token().child();
            let task = tokio::spawn(follow(theirs.child_token(), ours));
            tokio::task::yield_now().await;
            assert!(!below.token().is_cancelled());
            theirs.cancel();
            below.token().cancelled().await;
            assert!(task.await.unwrap());
            assert_eq!(below.token().reason().unwrap().to_string(), "theirs was cancelled");
            assert!(!root.token().is_cancelled());
        });
    }

    /// The task that follows theirs is not left behind when ours ends first.
    #[test]
    fn following_ends_with_ours() {
        runtime().block_on(async {
            let (theirs, root) = (CancellationToken::new(), CancelScope::new());
            let task = tokio::spawn(follow(theirs.clone(), root.token().child()));
            tokio::task::yield_now().await;
            root.cancel();
            assert!(!task.await.unwrap());
            assert!(!theirs.is_cancelled());
        });
    }

    /// Both directions at once: a ring that ends.
    #[test]
    fn a_pair_that_cancels_each_other_comes_to_rest() {
        for by_ours in [false, true] {
            runtime().block_on(async {
                let ours = CancelScope::new();
                let (token, canceller) = (ours.token().clone(), ours.canceller());
                let theirs = theirs(&token);
                let task = tokio::spawn(follow(theirs.clone(), ours));
                tokio::task::yield_now().await;
                if by_ours {
                    assert!(canceller.cancel());
                } else {
                    theirs.cancel();
                }
                assert_eq!(task.await.unwrap(), !by_ours);
                assert!(token.is_cancelled() && theirs.is_cancelled());
            });
        }
    }
}

/// Two of ours, by a callback: no task.
#[test]
fn two_trees_are_merged_by_a_callback() {
    let (a, b) = (CancelScope::new(), CancelScope::new());
    let canceller = a.canceller();
    let token = b.token().clone();
    b.token()
        .on_cancel(move || {
            canceller.cancel_like(&token.check().unwrap_err());
        })
        .detach();
    let (told, answer) = mpsc::channel();
    a.token().on_cancel(move || told.send(()).unwrap()).detach();
    b.cancel_with("b was first").unwrap();
    assert_eq!(answer.recv(), Ok(()));
    assert_eq!(a.token().reason().unwrap().to_string(), "b was first");
}
