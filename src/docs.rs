//! The guides: the pages of the repository's `docs/` folder, whose examples are tests of this crate.
//!
//! They are here for a reader of the documentation and for `cargo test`; a build of the crate leaves them out.

/// One page. The pages link to each other by reference, `[text][shutdown]`, and end with definitions for a reader
/// of the files (`[shutdown]: shutdown.md`). Markdown takes the first definition of a name, so the ones given here
/// lead a reader of the documentation to the module of the same page.
macro_rules! page {
    ($name:ident, $file:literal) => {
        #[doc = "[blocking]: crate::docs::blocking"]
        #[doc = "[embedded]: crate::docs::embedded"]
        #[doc = "[from-crossbeam-and-wg]: crate::docs::from_crossbeam_and_wg"]
        #[doc = "[from-go]: crate::docs::from_go"]
        #[doc = "[from-tokio-util]: crate::docs::from_tokio_util"]
        #[doc = "[libraries]: crate::docs::libraries"]
        #[doc = "[recipes]: crate::docs::recipes"]
        #[doc = "[shutdown]: crate::docs::shutdown"]
        #[doc = ""]
        #[doc = include_str!(concat!("../docs/", $file))]
        pub mod $name {}
    };
}

page!(shutdown, "shutdown.md");
page!(recipes, "recipes.md");
page!(libraries, "libraries.md");
page!(blocking, "blocking.md");
page!(embedded, "embedded.md");
page!(from_tokio_util, "from-tokio-util.md");
page!(from_go, "from-go.md");
page!(from_crossbeam_and_wg, "from-crossbeam-and-wg.md");
