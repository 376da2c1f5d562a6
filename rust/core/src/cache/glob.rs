//! Patterns over names: `user:*`.

use std::fmt;

/// A pattern: `*` is any text, `?` any one character, a backslash takes the next character literally.
///
/// Matching takes at most pattern × text steps, whatever the pattern: there are no nested repetitions to explode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<Piece>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Any,
    One,
    Just(char),
}

/// A pattern that ends within an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfinishedEscape;

impl fmt::Display for UnfinishedEscape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("it ends with a single backslash: write two for one that is meant")
    }
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The pattern ends with a single backslash.
    pub fn new(pattern: &str) -> Result<Self, UnfinishedEscape> {
        let mut pieces = Vec::new();
        let mut letters = pattern.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '*' if pieces.last() == Some(&Piece::Any) => {}
                '*' => pieces.push(Piece::Any),
                '?' => pieces.push(Piece::One),
                '\\' => pieces.push(Piece::Just(letters.next().ok_or(UnfinishedEscape)?)),
                _ => pieces.push(Piece::Just(letter)),
            }
        }
        Ok(Self(pieces))
    }

    /// Returns whether the whole text matches. Only the last `*` is ever retried, which is enough.
    pub fn matches(&self, text: &str) -> bool {
        let pieces = &self.0;
        let mut rest = text.chars();
        let mut at = 0;
        let mut again: Option<(usize, std::str::Chars<'_>)> = None; // after the last `*`, and the text it takes up to
        loop {
            let piece = pieces.get(at);
            if piece == Some(&Piece::Any) {
                at += 1;
                again = Some((at, rest.clone()));
                continue;
            }
            let letter = rest.next();
            match (piece, letter) {
                (None, None) => return true,
                (Some(Piece::One), Some(_)) => at += 1,
                (Some(&Piece::Just(wanted)), Some(letter)) if letter == wanted => at += 1,
                _ => {
                    let Some((after, mut from)) = again else { return false };
                    if from.next().is_none() {
                        return false;
                    }
                    (at, rest) = (after, from.clone());
                    again = Some((after, from));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, tried from every position.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|end| naive(rest, &text[end..])),
            (['?', rest @ ..], [_, text @ ..]) => naive(rest, text),
            (['\\', letter, rest @ ..], [first, text @ ..]) => letter == first && naive(rest, text),
            ([letter, rest @ ..], [first, text @ ..]) if *letter != '\\' => letter == first && naive(rest, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matches_what_the_definition_matches(pattern in r"([ab?*é]|\\[ab*?\\]){0,8}", text in r"[abé*?\\]{0,10}") {
            let letters: (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(Glob::new(&pattern).unwrap().matches(&text), naive(&letters.0, &letters.1));
        }
    }

    #[test]
    fn a_pattern_made_to_explode_does_not() {
        let glob = Glob::new(&"*a".repeat(200)).unwrap();
        assert!(!glob.matches(&format!("{}b", "a".repeat(5_000))));
    }

    #[test]
    fn an_escape_of_nothing_is_said() {
        assert_eq!(Glob::new(r"a\"), Err(UnfinishedEscape));
        assert!(Glob::new(r"a\\").unwrap().matches(r"a\"));
    }
}
