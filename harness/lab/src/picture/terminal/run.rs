//! A tape in a terminal.

use super::state::{Key, State};
use super::view::draw;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use std::io::{self, IsTerminal};

/// Why nothing can be shown. The texts complete "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TerminalError {
    /// There is no terminal.
    #[error(
        "show the tape in a terminal: {0} is none; leave out --tui for a transcript, or use --html FILE"
    )]
    NoTerminal(&'static str),
    /// The terminal does not do as it is told.
    #[error("use the terminal: {0}")]
    Io(#[from] io::Error),
}

/// Shows the tape until the user quits. The terminal is as it was afterwards, also where it ends by a panic.
///
/// # Errors
///
/// [`TerminalError`] where standard input or output is no terminal, or it fails.
pub fn run(state: &mut State<'_>) -> Result<(), TerminalError> {
    if !io::stdin().is_terminal() {
        return Err(TerminalError::NoTerminal("standard input"));
    }
    if !io::stdout().is_terminal() {
        return Err(TerminalError::NoTerminal("standard output"));
    }
    let mut terminal = ratatui::try_init()?;
    let mut looking = || -> io::Result<()> {
        while !state.quits {
            terminal.draw(|frame| draw(state, frame))?;
            if let Event::Key(pressed) = event::read()?
                && pressed.kind != KeyEventKind::Release
            {
                match key(pressed.code, pressed.modifiers) {
                    Some(key) => state.key(key),
                    None if pressed.modifiers.contains(KeyModifiers::CONTROL)
                        && pressed.code == KeyCode::Char('c') =>
                    {
                        state.quits = true;
                    }
                    None => {}
                }
            }
        }
        Ok(())
    };
    let looked = looking();
    ratatui::try_restore()?;
    Ok(looked?)
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
    Some(match code {
        KeyCode::Char(char) if !modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
            Key::Char(char)
        }
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        _ => return None,
    })
}
