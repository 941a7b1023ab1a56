#![doc = include_str!("docs/links.md")]
#![doc = include_str!("../docs/README.md")]

// The pages of `docs/`, beside the API and as doctests; a build of the crate leaves them out. They link to each
// other by reference, `[text][shutdown]`, and end with definitions for a reader of the files
// (`[shutdown]: shutdown.md`). Markdown takes the first definition of a name, so those of `links.md`, which come
// before each page, lead a reader of the documentation to the module of that page. A test that fails is named after
// its module, with `links.md` for the file; its line is that of the page plus the lines of `links.md`.
macro_rules! page {
    ($name:ident, $file:literal) => {
        #[doc = include_str!("docs/links.md")]
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
