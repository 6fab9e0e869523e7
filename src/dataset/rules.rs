use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How oddities of rows are met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What the assistant says before the first user.
    pub greeting: Greeting,
    /// Two user messages in a row.
    pub double_user: DoubleUser,
    /// A system message behind the first turn.
    pub middle_system: MiddleSystem,
    /// A user who says nothing.
    pub empty_user: EmptyUser,
    /// Calls to tools and their results.
    pub tools: Tools,
    /// Images, sounds, films.
    pub media: Media,
    /// Gaps of a template that were not filled in.
    pub placeholders: Placeholders,
    /// What to fill gaps with.
    pub fill: Fill,
}

/// Defines what may become of something, the first is the default.
macro_rules! choices {
    ($($(#[$meta:meta])* $name:ident { $(#[$first_meta:meta])* $first:ident, $($(#[$variant_meta:meta])* $variant:ident,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            $(#[$first_meta])*
            #[default]
            $first,
            $($(#[$variant_meta])* $variant,)*
        }
    )*};
}

choices! {
    /// What becomes of a greeting.
    Greeting {
        /// It stays, as context that is not written anew.
        Keep,
        /// It goes.
        Drop,
    }

    /// What becomes of two user messages in a row.
    DoubleUser {
        /// They become one, joined by an empty line.
        Join,
        /// They stay two messages of one turn.
        Keep,
        /// The row is left out.
        Skip,
    }

    /// What becomes of a system message behind the first turn.
    MiddleSystem {
        /// It stays in its place.
        Keep,
        /// It is put before the user's next words, for servers that take none there.
        Fold,
        /// It goes.
        Drop,
    }

    /// What becomes of a user turn without words.
    EmptyUser {
        /// The conversation ends before it: what comes after has lost its meaning.
        Cut,
        /// The row is left out.
        Skip,
    }

    /// What becomes of a row in which tools are called.
    Tools {
        /// It is left out.
        Skip,
        /// It ends before the turn with the first call.
        KeepPrefix,
        /// The source's calls and results stay as context; the answers behind them are written anew.
        Replay,
    }

    /// What becomes of images, sounds and films.
    Media {
        /// The row is left out.
        Skip,
        /// They go, the text beside them stays.
        Drop,
    }

    /// What becomes of gaps that were not filled in.
    Placeholders {
        /// They stay, and are counted.
        Keep,
        /// The row is left out.
        Skip,
    }
}

/// Words for the gaps of templates: `name=Ada,author=Lovelace`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fill(Vec<(String, String)>);

impl FromStr for Fill {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pairs = text.split(',').map(|pair| {
            let (name, words) = pair.split_once('=')?;
            Some((name.trim().to_owned(), words.to_owned())).filter(|(name, _)| !name.is_empty())
        });
        pairs.collect::<Option<_>>().map(Self).ok_or("write NAME=WORDS, and a comma before the next")
    }
}

impl Fill {
    /// Puts words into the gaps `{{name}}`, `{{ name }}` and `[name]` of a text. Returns nothing where there are none.
    pub fn apply(&self, text: &str) -> Option<String> {
        let mut filled: Option<String> = None;
        for (name, words) in &self.0 {
            for gap in [format!("{{{{{name}}}}}"), format!("{{{{ {name} }}}}"), format!("[{name}]")] {
                let text = filled.as_deref().unwrap_or(text);
                if text.contains(&gap) {
                    filled = Some(text.replace(&gap, words));
                }
            }
        }
        filled
    }
}
