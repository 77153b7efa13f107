//! The contribution of each word of a text to the score of a label.

mod contribution_chart;
mod players;
mod report;
mod shapley;

pub(crate) use contribution_chart::draw;
pub(crate) use players::{kept, parts, words};
pub(crate) use report::{ExplainedPart, Report};
pub(crate) use shapley::{Game, estimate};
