//! `loom-tests/mutants.toml`: the mutants, and the models that have none.

use core::iter;

use anyhow::{Result, bail, ensure};
use serde::Deserialize;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    #[serde(rename = "mutant")]
    pub(super) mutants: Vec<Mutant>,
    /// Models that kill no mutant.
    #[serde(default, rename = "exempt")]
    pub(super) exemptions: Vec<Exemption>,
}

/// One way to break the crate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mutant {
    pub(super) name: String,
    /// The edge or condition that it breaks.
    pub(super) why: String,
    /// The item that is changed.
    #[serde(rename = "in")]
    item: String,
    find: Option<String>,
    replace: Option<String>,
    body: Option<String>,
    /// Further changes, where one is not enough.
    #[serde(default)]
    also: Vec<FurtherChange>,
    /// `binary::test`: each must fail.
    pub(super) models: Vec<String>,
    /// Why no model can show it; then each of `models` must pass.
    pub(super) survives: Option<String>,
    /// Run in the bounded form too.
    #[serde(default)]
    pub(super) core: bool,
    /// Run with larger blocks.
    #[serde(default)]
    pub(super) more_seats: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FurtherChange {
    /// As for the first change, which is the default.
    #[serde(rename = "in")]
    item: Option<String>,
    find: Option<String>,
    replace: Option<String>,
    body: Option<String>,
}

/// A model that kills no mutant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exemption {
    pub(super) model: String,
    pub(super) why: String,
}

/// One change of an item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    /// The name of the item.
    pub(super) item: &'a str,
    pub(super) edit: Edit<'a>,
}

/// What is changed in an item.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit<'a> {
    /// `find` occurs once in the item.
    Part { find: &'a str, replace: &'a str },
    /// All statements of the function.
    Body(&'a str),
}

impl<'a> Edit<'a> {
    fn new(
        find: &'a Option<String>,
        replace: &'a Option<String>,
        body: &'a Option<String>,
    ) -> Result<Self> {
        match (find, replace, body) {
            (Some(find), Some(replace), None) => Ok(Self::Part { find, replace }),
            (None, None, Some(body)) => Ok(Self::Body(body)),
            _ => bail!("a change has either `find` and `replace`, or `body`"),
        }
    }
}

impl Mutant {
    /// The letters of the edges that the reason begins with: those of `A, C: …`.
    pub(super) fn edges(&self) -> impl Iterator<Item = &str> {
        let head = self.why.split_once(": ").map_or("", |(head, _)| head);
        let is_letter = |it: &str| matches!(it.as_bytes(), [b'A'..=b'Z']);
        let letters = head.split(", ");
        letters.clone().take_while(move |_| letters.clone().all(is_letter))
    }

    /// What it changes.
    pub(super) fn changes(&self) -> Result<Vec<Change<'_>>> {
        let Self { item, find, replace, body, .. } = self;
        let first = Edit::new(find, replace, body).map(|edit| Change { item, edit });
        let further = self.also.iter().map(|further| {
            let item = further.item.as_ref().unwrap_or(item);
            let edit = Edit::new(&further.find, &further.replace, &further.body)?;
            Ok(Change { item, edit })
        });
        iter::once(first).chain(further).collect()
    }

    /// The mutant, and the first of the models that notice.
    pub(super) fn told(&self) -> String {
        let name = &self.name;
        if self.is_killed() {
            let world = if self.more_seats { " (with more seats)" } else { "" };
            format!("`{name}`, `{}`{world}", self.models[0])
        } else {
            format!("`{name}` *survives*")
        }
    }

    /// Whether a model must fail.
    pub(super) fn is_killed(&self) -> bool {
        self.survives.is_none()
    }

    pub(super) fn check(&self) -> Result<()> {
        ensure!(!self.why.trim().is_empty(), "it does not say why it is wrong");
        ensure!(!self.models.is_empty(), "it names no model");
        if let Some(reason) = &self.survives {
            ensure!(!reason.trim().is_empty(), "it survives without a reason");
        }
        Ok(())
    }
}
