//! How it is drawn.

use super::state::State;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style, Stylize};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Paragraph};

/// Columns below which the details stand under the list.
const WIDE: u16 = 110;

/// Draws the whole screen.
pub fn draw(state: &mut State<'_>, frame: &mut Frame<'_>) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(1)])
            .areas(frame.area());
    let [left, right] = if body.width >= WIDE {
        Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(body)
    } else {
        Layout::vertical([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(body)
    };
    let count = if state.query.is_empty() {
        format!("{} events", state.tape.events().len())
    } else {
        format!("{} of {} events", state.rows.len(), state.tape.events().len())
    };
    let title = Line::from(vec![
        Span::from(format!(" {}  ", state.called)).bold(),
        Span::from(count).dim(),
    ]);
    frame.render_widget(Paragraph::new(title).reversed(), head);
    list(state, frame, left);
    details(state, frame, right);
    let keys = " / search  n p failures  c cause  l return  Tab details  q quit";
    let line = match (state.searching, state.query.is_empty()) {
        (true, _) => Line::from(vec![" / ".bold(), state.query.as_str().into(), "_".slow_blink()]),
        (false, false) => Line::from(format!(" search: {}   Esc empties it{keys}", state.query)),
        (false, true) => Line::from(keys).dim(),
    };
    frame.render_widget(Paragraph::new(line), foot);
}

fn border(title: &str, active: bool) -> Block<'_> {
    let block = Block::new().borders(Borders::TOP).title(title);
    if active { block.border_style(Style::new().add_modifier(Modifier::BOLD)) } else { block.dim() }
}

fn list(state: &mut State<'_>, frame: &mut Frame<'_>, area: Rect) {
    let block = border(" events ", !state.in_details);
    let inner = block.inner(area);
    state.page = usize::from(inner.height);
    // The chosen row stays in the middle third.
    let first = state.chosen.saturating_sub(state.page / 2);
    let first = first.min(state.rows.len().saturating_sub(state.page));
    let mut lines = Vec::with_capacity(state.page);
    for (at, place) in state.rows.iter().enumerate().skip(first).take(state.page) {
        let (number, who, title, failed) = state.row(*place);
        let title =
            if failed { Span::from(title.to_owned()).red() } else { Span::from(title.to_owned()) };
        let line = Line::from(vec![
            Span::from(format!("{number:>7} ")).dim(),
            Span::from(format!("{who:8} ")).dim(),
            title,
        ]);
        lines.push(if at == state.chosen { line.reversed() } else { line });
    }
    if lines.is_empty() {
        lines.push(Line::from(" nothing fits the search").dim());
    }
    frame.render_widget(Paragraph::new(Text::from(lines)).block(block), area);
}

fn details(state: &State<'_>, frame: &mut Frame<'_>, area: Rect) {
    let block = border(" details ", state.in_details);
    let lines: Vec<_> = state.details().into_iter().skip(state.scroll).map(Line::from).collect();
    frame.render_widget(Paragraph::new(Text::from(lines)).block(block), area);
}
