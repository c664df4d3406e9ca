//! Something to look at: a tape, or two beside each other, as one page without a network, as a trace for
//! the viewer of Perfetto, or in the terminal.
//!
//! `mark` is what stands out on a tape, `scene` puts what a page needs into columns, `pack` makes them one
//! compact piece of text, `page` puts that into the page whose style and scripts lie in `assets`, `perfetto`
//! writes a trace, `terminal` (feature `tui`) shows a tape in the shell.
//!
//! What a tape says is hostile until it is shown as text. It reaches the page as base64 only, and the page
//! hands it to text nodes and the canvas, never to a parser of HTML.

mod mark;
mod pack;
mod page;
mod perfetto;
mod scene;
#[cfg(feature = "tui")]
pub mod terminal;

pub use mark::{Mark, MarkKind, fault_marks};
pub use page::{EVENTS_MAX, PageError, diff_page, page};
pub use perfetto::perfetto;
